/* SPDX-License-Identifier: MIT */
/*
 * The JSON walk with AVX2. A word at a time: moving words into vectors costs as much as is won
 * there. A comparison for each class is less work than the way through the planes.
 */
#include "proto/json_variants.h"
#include "proto/json_word.h"

#include <immintrin.h>

#define ALL_4(c) c, c, c, c
#define ALL_32(c)                                                                      \
    {                                                                                  \
        ALL_4(c), ALL_4(c), ALL_4(c), ALL_4(c), ALL_4(c), ALL_4(c), ALL_4(c), ALL_4(c) \
    }

/* Operands in memory, which the compiler must not know: it would make each of them of an integer
 * again and again, in three instructions. */
static const struct constants {
    uint8_t quote[32], backslash[32], open[32], close[32], colon[32], comma[32], zero[32];
    uint8_t minus[32], plus[32], dot[32], e[32], last_control[32], nine[32], bit5[32];
} constants __attribute__((aligned(32))) = {
    ALL_32('"'), ALL_32('\\'), ALL_32('{'), ALL_32('}'), ALL_32(':'),  ALL_32(','), ALL_32('0'),
    ALL_32('-'), ALL_32('+'),  ALL_32('.'), ALL_32('e'), ALL_32(0x1f), ALL_32(9),   ALL_32(0x20),
};

struct block {
    __m256i low, high;
};

ALWAYS_INLINE __m256i constant(const uint8_t c[32])
{
    return _mm256_load_si256((const __m256i *)(const void *)c);
}

ALWAYS_INLINE uint64_t mask(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

ALWAYS_INLINE uint64_t equal(struct block v, struct block w)
{
    return mask(_mm256_cmpeq_epi8(v.low, w.low), _mm256_cmpeq_epi8(v.high, w.high));
}

ALWAYS_INLINE uint64_t equal_to(struct block v, const uint8_t c[32])
{
    return equal(v, (struct block){constant(c), constant(c)});
}

ALWAYS_INLINE uint64_t at_most(struct block v, const uint8_t most[32])
{
    __m256i limit = constant(most);

    return equal(v, (struct block){_mm256_min_epu8(v.low, limit), _mm256_min_epu8(v.high, limit)});
}

/* table: at each place a byte whose low four bits are the place, or 0 (at place 0: not 0). Those
 * bytes. */
ALWAYS_INLINE uint64_t one_of(struct block v, __m128i table)
{
    __m256i both = _mm256_broadcastsi128_si256(table);

    return equal(
        v, (struct block){_mm256_shuffle_epi8(both, v.low), _mm256_shuffle_epi8(both, v.high)});
}

/* n: how many bytes of the block are text; spaces stand for the others. */
ALWAYS_INLINE struct block block_load(const uint8_t *p, size_t n)
{
    struct block v = {_mm256_loadu_si256((const __m256i *)(const void *)p),
                      _mm256_loadu_si256((const __m256i *)(const void *)(p + 32))};

    if (n < BLOCK_BYTES) {
        const __m256i places =
            _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                             20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
        const __m256i space = _mm256_set1_epi8(' ');
        __m256i low = _mm256_set1_epi8((char)n), high = _mm256_set1_epi8((char)((int)n - 32));

        v.low = _mm256_blendv_epi8(space, v.low, _mm256_cmpgt_epi8(low, places));
        v.high = _mm256_blendv_epi8(space, v.high, _mm256_cmpgt_epi8(high, places));
    }
    return v;
}

ALWAYS_INLINE void classes_load(struct classes *c, const uint8_t *p, const uint8_t *tail, size_t n)
{
    struct block v = block_load(n > BLOCK_BYTES ? p : tail, n);
    const struct constants *k = &constants;

    __asm__("" : "+r"(k));

    __m256i bit5 = constant(k->bit5), zero = constant(k->zero);
    struct block folded = {_mm256_or_si256(v.low, bit5), _mm256_or_si256(v.high, bit5)};
    struct block value = {_mm256_sub_epi8(v.low, zero), _mm256_sub_epi8(v.high, zero)};

    c->quote = equal_to(v, k->quote);
    c->backslash = equal_to(v, k->backslash);
    c->control = at_most(v, k->last_control);
    c->high = mask(v.low, v.high);
    c->space = one_of(v, _mm_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0));
    c->open = equal_to(folded, k->open);
    c->close = equal_to(folded, k->close);
    c->curly = mask(_mm256_slli_epi16(v.low, 2), _mm256_slli_epi16(v.high, 2));
    c->colon = equal_to(v, k->colon);
    c->comma = equal_to(v, k->comma);
    c->digit = at_most(value, k->nine);
    c->zero = equal_to(v, k->zero);
    c->minus = equal_to(v, k->minus);
    c->plus = equal_to(v, k->plus);
    c->dot = equal_to(v, k->dot);
    c->e = equal_to(folded, k->e);
    c->word = one_of(v, _mm_setr_epi8(1, 0, 0, 0, 't', 0, 'f', 0, 0, 0, 0, 0, 0, 0, 'n', 0));
}

ALWAYS_INLINE void planes_load(struct planes *planes, const uint8_t *p, const uint8_t *tail,
                               size_t n)
{
    struct block v = block_load(n > BLOCK_BYTES ? p : tail, n);

#pragma GCC unroll 8
    for (int k = 7; k >= 0; k--) {
        planes->b[k] = mask(v.low, v.high);
        v.low = _mm256_add_epi8(v.low, v.low);
        v.high = _mm256_add_epi8(v.high, v.high);
    }
}

#include "proto/json_walk.h"

bool json_walk_avx2(const uint8_t *p, size_t n, const uint8_t *tail)
{
    return walk(p, n, tail);
}
