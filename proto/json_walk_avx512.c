/* SPDX-License-Identifier: MIT */
/*
 * The JSON walk with AVX-512 and GFNI: eight words, 512 bytes, at a time.
 *
 * A block becomes its eight planes in three instructions: a product of bit matrices turns each
 * eight bytes by a quarter, and a permutation puts the bytes together that belong to one plane.
 * Eight blocks then change places with their eight planes.
 */
#include "proto/json_variants.h"

#include <immintrin.h>

#define LANES 8
typedef uint64_t words __attribute__((vector_size(64)));

#include "proto/json_words.h"

/* The walk of short texts: eight words of which one or two are used take longer than these. */
#define SHORT_BYTES (2 * BLOCK_BYTES)

ALWAYS_INLINE bool words_any(words x)
{
    return _mm512_test_epi64_mask((__m512i)x, (__m512i)x) != 0;
}

ALWAYS_INLINE uint64_t words_last(words x)
{
    return x[LANES - 1];
}

ALWAYS_INLINE words words_shift(words x, words *carry)
{
    __m512i before = _mm512_alignr_epi64((__m512i)x, (__m512i)*carry, LANES - 1);

    *carry = x;
    return (words)_mm512_shldi_epi64((__m512i)x, before, 1);
}

/* Lanes that overflow carry into the next, and on through those that are all ones: for which lanes
 * this is so is an addition too, of a bit for each. */
ALWAYS_INLINE words words_add(words a, words b, uint64_t *carry)
{
    const __m512i ones = _mm512_set1_epi8(-1);
    __m512i sum = _mm512_add_epi64((__m512i)a, (__m512i)b);
    unsigned overflows = _mm512_cmplt_epu64_mask(sum, (__m512i)a);
    unsigned passes = _mm512_cmpeq_epi64_mask(sum, ones);
    unsigned comes = (2 * overflows + (unsigned)*carry + passes) ^ passes;

    *carry = comes >> LANES;
    return (words)_mm512_mask_sub_epi64(sum, (__mmask8)comes, sum, ones);
}

/* In each word, bit i: is the number of bits from 0 to i odd? */
ALWAYS_INLINE words words_odd(words x)
{
    x ^= x << 1;
    x ^= x << 2;
    x ^= x << 4;
    x ^= x << 8;
    x ^= x << 16;
    x ^= x << 32;
    return x;
}

ALWAYS_INLINE words words_string(words odd, uint64_t *carry)
{
    unsigned ends = _mm512_movepi64_mask((__m512i)odd); /* the lane's quotes are odd in number */

    ends ^= ends << 1;
    ends ^= ends << 2;
    ends ^= ends << 4;

    unsigned begins = ends << 1 ^ (unsigned)*carry; /* the lane begins inside a string */

    *carry = -(uint64_t)(begins >> LANES & 1);
    return odd ^ (words)_mm512_movm_epi64((__mmask8)begins);
}

/* n: how many bytes of the block are text; spaces stand for the others. Plane k in lane k. */
ALWAYS_INLINE __m512i block_load(const uint8_t *p, size_t n)
{
    /* the product takes the last of eight bytes for the first row */
    const __m512i reversed =
        _mm512_broadcast_i32x4(_mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
    const __m512i rows = _mm512_set1_epi64((long long)UINT64_C(0x8040201008040201));
    const __m512i every_eighth = _mm512_setr_epi64(
        0x3830282018100800, 0x3931292119110901, 0x3a322a221a120a02, 0x3b332b231b130b03,
        0x3c342c241c140c04, 0x3d352d251d150d05, 0x3e362e261e160e06, 0x3f372f271f170f07);
    __m512i v = _mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), first_bits(n), p);

    v = _mm512_gf2p8affine_epi64_epi8(rows, _mm512_shuffle_epi8(v, reversed), 0);
    return _mm512_permutexvar_epi8(every_eighth, v);
}

/* Lane i of r[k] becomes lane k of b[i]. */
ALWAYS_INLINE void transpose(const __m512i r[8], words b[8])
{
    __m512i t[8], u[8];

#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        u[i] = _mm512_shuffle_i64x2(t[i], t[2 + i], 0x88);
        u[2 + i] = _mm512_shuffle_i64x2(t[i], t[2 + i], 0xdd);
        u[4 + i] = _mm512_shuffle_i64x2(t[4 + i], t[6 + i], 0x88);
        u[6 + i] = _mm512_shuffle_i64x2(t[4 + i], t[6 + i], 0xdd);
        b[i] = (words)_mm512_shuffle_i64x2(u[i], u[4 + i], 0x88);
        b[2 + i] = (words)_mm512_shuffle_i64x2(u[2 + i], u[6 + i], 0x88);
        b[4 + i] = (words)_mm512_shuffle_i64x2(u[i], u[4 + i], 0xdd);
        b[6 + i] = (words)_mm512_shuffle_i64x2(u[2 + i], u[6 + i], 0xdd);
    }
}

ALWAYS_INLINE void planes_load(struct planes *planes, const uint8_t *p, const uint8_t *tail,
                               size_t n)
{
    const __m512i spaces = _mm512_setr_epi64(0, 0, 0, 0, 0, -1, 0, 0);
    __m512i r[LANES] = {spaces, spaces, spaces, spaces, spaces, spaces, spaces, spaces};

#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i++) {
        size_t at = i * BLOCK_BYTES;

        if (n <= at)
            break;
        r[i] = block_load(n - at > BLOCK_BYTES ? p + at : tail, n - at);
    }
    transpose(r, planes->b);
}

ALWAYS_INLINE void classes_load(struct classes *c, const uint8_t *p, const uint8_t *tail, size_t n)
{
    struct planes planes;

    planes_load(&planes, p, tail, n);
    planes_classify(&planes, c);
}

#include "proto/json_walk.h"

bool json_walk_avx512(const uint8_t *p, size_t n, const uint8_t *tail)
{
    return n <= SHORT_BYTES ? json_walk_avx512_short(p, n, tail) : walk(p, n, tail);
}

/* ---- Rows ---- */

/*
 * Texts side by side, each in `lanes` words of its own. Nothing is carried out of a text that is
 * valid: its last byte is a bracket outside strings, and only spaces follow. So each is walked as
 * if it were alone, up to the first that is wrong.
 */
struct row {
    const uint8_t *p;
    size_t n; /* bytes of each text */
    size_t stride;
    unsigned lanes;  /* a power of two */
    unsigned begins; /* lanes in which a text begins */
    words first;     /* its first byte */
    words last;
};

ALWAYS_INLINE struct row row_of(const struct json_texts *texts, unsigned lanes)
{
    size_t n = texts->n;
    unsigned begins = 0xffu / ((1u << lanes) - 1);
    unsigned ends = begins << (n - 1) / BLOCK_BYTES;
    long long last = (long long)(UINT64_C(1) << (n - 1) % BLOCK_BYTES);

    return (struct row){.p = texts->first,
                        .n = n,
                        .stride = texts->stride,
                        .lanes = lanes,
                        .begins = begins,
                        .first = (words)_mm512_maskz_set1_epi64((__mmask8)begins, 1),
                        .last = (words)_mm512_maskz_set1_epi64((__mmask8)ends, last)};
}

ALWAYS_INLINE void row_load(const struct row *row, struct planes *planes)
{
    __m512i r[LANES];

#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i++) {
        size_t at = i % row->lanes * BLOCK_BYTES;

        r[i] =
            block_load(row->p + i / row->lanes * row->stride + at, at < row->n ? row->n - at : 0);
    }
    transpose(r, planes->b);
}

/* Words and brackets, text by text. As blocks_follow. */
static __attribute__((noinline)) words row_follow(const struct row *row, const struct classes *c,
                                                  words string, bool *is_wrong)
{
    uint64_t in_object[LANES] = {0};
    struct blocks blocks;
    struct nesting nesting;
    words result;

    blocks_load(&blocks, c, string);
    for (size_t i = 0; i < LANES && !*is_wrong; i++) {
        const uint8_t *text = row->p + i / row->lanes * row->stride;
        size_t place = i % row->lanes;

        if (place == 0) {
            nesting_begin(&nesting, *text);
            blocks.brackets[i] &= ~UINT64_C(1);
        }
        in_object[i] =
            block_follow(&blocks, i, &nesting, text + place * BLOCK_BYTES, text + row->n, is_wrong);
        *is_wrong |= place + 1 == row->lanes && nesting.depth != 0;
    }
    memcpy(&result, in_object, sizeof result);
    return result;
}

/* The bytes that have an object around them where no text has brackets but the outer ones. */
ALWAYS_INLINE words row_surround(const struct row *row, const struct classes *c)
{
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    __m512i begin = _mm512_and_si512(lane, _mm512_set1_epi64(-(long long)row->lanes));

    return -((words)_mm512_permutexvar_epi64(begin, (__m512i)c->curly) & 1);
}

ALWAYS_INLINE bool row_is_valid(const struct row *row)
{
    struct walk w;
    struct strings strings;
    struct planes planes;
    struct classes c;
    words wrong = {0}, in_object;
    bool is_wrong = false;

    walk_begin(&w, row->p, row->n);
    w.carry.other.run = row->begins;
    row_load(row, &planes);
    planes_classify(&planes, &c);
    if (words_any(c.backslash | c.high)) {
        strings_begin(&strings);
        wrong = strings_check(&strings, &planes, c.backslash, &c.quote);
    }

    words string = words_string(words_odd(c.quote), &w.in_string);
    words inner = ((c.open | c.close) & ~(row->first | row->last)) | c.word;

    wrong |= (row->first & (string | ~c.open)) | (row->last & ~c.close) | (c.control & string);
    if (words_any(inner & ~string))
        in_object = row_follow(row, &c, string, &is_wrong);
    else
        in_object = row_surround(row, &c);
    wrong |= grammar_check(&w, &c, string, in_object);
    return !is_wrong && w.in_string == 0 && !words_any(wrong);
}

/* With a constant number of lanes the compiler knows where each block lies. */
ALWAYS_INLINE size_t row_check(const struct json_texts *texts, unsigned lanes)
{
    if (texts->n_texts < LANES / lanes)
        return 0;

    struct row row = row_of(texts, lanes);

    return row_is_valid(&row) ? LANES / lanes : 0;
}

size_t json_row_avx512(const struct json_texts *texts)
{
    const uint8_t *p = texts->first;
    size_t n = texts->n;

    /* As the first one begins and ends, so do the others, mostly. */
    if (n < 2 || (p[0] | 0x20) != '{' || (p[n - 1] | 0x20) != '}')
        return 0;
    if (n <= BLOCK_BYTES)
        return row_check(texts, 1);
    if (n <= 2 * BLOCK_BYTES)
        return row_check(texts, 2);
    return n <= 4 * BLOCK_BYTES ? row_check(texts, 4) : 0;
}
