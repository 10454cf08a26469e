/* SPDX-License-Identifier: MIT */
/* The walk's vectors where they are one word: any machine. */
#ifndef MSGD_PROTO_JSON_WORD_H
#define MSGD_PROTO_JSON_WORD_H

#include <stdbool.h>
#include <stdint.h>
#ifdef __PCLMUL__
#include <immintrin.h>
#endif

#define LANES 1
typedef uint64_t words;

#include "proto/json_words.h"

ALWAYS_INLINE bool words_any(words x)
{
    return x != 0;
}

/* The word of the last 64 bytes. */
ALWAYS_INLINE uint64_t words_last(words x)
{
    return x;
}

/* Each bit moves on to the next byte. *carry: as words_shift left it for the words before, or 0. */
ALWAYS_INLINE words words_shift(words x, words *carry)
{
    words moved = (x << 1) + *carry;

    *carry = x >> 63;
    return moved;
}

/* a + b + *carry, which is 0 or 1 before and after. (Not where a is all ones: nothing valid is.) */
ALWAYS_INLINE words words_add(words a, words b, uint64_t *carry)
{
    unsigned long long sum;

    *carry = __builtin_uaddll_overflow(a + *carry, b, &sum);
    return sum;
}

/* In each word, bit i: is the number of bits from 0 to i odd? */
ALWAYS_INLINE words words_odd(words x)
{
#ifdef __PCLMUL__
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)x), _mm_set1_epi8(-1), 0);

    return (uint64_t)_mm_cvtsi128_si64(product);
#else
    x ^= x << 1;
    x ^= x << 2;
    x ^= x << 4;
    x ^= x << 8;
    x ^= x << 16;
    x ^= x << 32;
    return x;
#endif
}

/* odd: bit i says whether a word's bits 0 to i hold an odd number of quotes. Where strings are;
 * *carry: all ones if the words before end in one. */
ALWAYS_INLINE words words_string(words odd, uint64_t *carry)
{
    words string = odd ^ *carry;

    *carry = -(string >> 63);
    return string;
}

#endif
