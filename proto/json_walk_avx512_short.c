/* SPDX-License-Identifier: MIT */
/*
 * The JSON walk with AVX-512 for short texts: a word at a time, for of eight words in a vector most
 * would be empty. A comparison of a whole block gives its word at once.
 */
#include "proto/json_variants.h"
#include "proto/json_word.h"

#include <immintrin.h>

#define ALL_16(c) c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c
#define ALL_64(c)                                  \
    {                                              \
        ALL_16(c), ALL_16(c), ALL_16(c), ALL_16(c) \
    }
#define FOUR(...)                                          \
    {                                                      \
        __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__ \
    }

/* Operands in memory, which the compiler must not know: it would make each of them of an integer
 * again and again. A table has at each place a byte whose low four bits are the place, or 0 (at
 * place 0: not 0). */
static const struct constants {
    uint8_t quote[64], backslash[64], open[64], close[64], colon[64], comma[64], zero[64];
    uint8_t minus[64], plus[64], dot[64], e[64], last_control[64], nine[64], bit5[64];
    uint8_t spaces[64], words[64];
} constants __attribute__((aligned(64))) = {
    ALL_64('"'),
    ALL_64('\\'),
    ALL_64('{'),
    ALL_64('}'),
    ALL_64(':'),
    ALL_64(','),
    ALL_64('0'),
    ALL_64('-'),
    ALL_64('+'),
    ALL_64('.'),
    ALL_64('e'),
    ALL_64(0x1f),
    ALL_64(9),
    ALL_64(0x20),
    FOUR(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0),
    FOUR(1, 0, 0, 0, 't', 0, 'f', 0, 0, 0, 0, 0, 0, 0, 'n', 0),
};

ALWAYS_INLINE __m512i constant(const uint8_t c[64])
{
    return _mm512_load_si512(c);
}

ALWAYS_INLINE uint64_t equal_to(__m512i v, const uint8_t c[64])
{
    return _mm512_cmpeq_epi8_mask(v, constant(c));
}

ALWAYS_INLINE uint64_t one_of(__m512i v, const uint8_t table[64])
{
    return _mm512_cmpeq_epi8_mask(v, _mm512_shuffle_epi8(constant(table), v));
}

/* n: how many bytes of the block are text; spaces stand for the others. */
ALWAYS_INLINE __m512i block_load(const uint8_t *p, const uint8_t *tail, size_t n)
{
    return _mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), first_bits(n), n > BLOCK_BYTES ? p : tail);
}

ALWAYS_INLINE void classes_load(struct classes *c, const uint8_t *p, const uint8_t *tail, size_t n)
{
    __m512i v = block_load(p, tail, n);
    const struct constants *k = &constants;

    __asm__("" : "+r"(k));

    __m512i folded = _mm512_or_si512(v, constant(k->bit5));

    c->quote = equal_to(v, k->quote);
    c->backslash = equal_to(v, k->backslash);
    c->control = _mm512_cmple_epu8_mask(v, constant(k->last_control));
    c->high = _mm512_movepi8_mask(v);
    c->space = one_of(v, k->spaces);
    c->open = equal_to(folded, k->open);
    c->close = equal_to(folded, k->close);
    c->curly = _mm512_movepi8_mask(_mm512_slli_epi16(v, 2));
    c->colon = equal_to(v, k->colon);
    c->comma = equal_to(v, k->comma);
    c->digit = _mm512_cmple_epu8_mask(_mm512_sub_epi8(v, constant(k->zero)), constant(k->nine));
    c->zero = equal_to(v, k->zero);
    c->minus = equal_to(v, k->minus);
    c->plus = equal_to(v, k->plus);
    c->dot = equal_to(v, k->dot);
    c->e = equal_to(folded, k->e);
    c->word = one_of(v, k->words);
}

ALWAYS_INLINE void planes_load(struct planes *planes, const uint8_t *p, const uint8_t *tail,
                               size_t n)
{
    __m512i v = block_load(p, tail, n);

#pragma GCC unroll 8
    for (int k = 7; k >= 0; k--) {
        planes->b[k] = _mm512_movepi8_mask(v);
        v = _mm512_add_epi8(v, v);
    }
}

#include "proto/json_walk.h"

bool json_walk_avx512_short(const uint8_t *p, size_t n, const uint8_t *tail)
{
    return walk(p, n, tail);
}
