/* SPDX-License-Identifier: MIT */
/* The JSON walk with what every x86-64 processor has. */
#include "proto/json_variants.h"
#include "proto/json_word.h"

#include <emmintrin.h>

ALWAYS_INLINE void block_load(struct planes *planes, const uint8_t *block)
{
    *planes = (struct planes){{0}};
#pragma GCC unroll 4
    for (int i = 0; i < BLOCK_BYTES; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(block + i));

#pragma GCC unroll 8
        for (int k = 7; k >= 0; k--) {
            planes->b[k] |= (uint64_t)(uint32_t)_mm_movemask_epi8(v) << i;
            v = _mm_add_epi8(v, v);
        }
    }
}

#include "proto/json_word_planes.h"

#include "proto/json_walk.h"

bool json_walk_sse2(const uint8_t *p, size_t n, const uint8_t *tail)
{
    return walk(p, n, tail);
}
