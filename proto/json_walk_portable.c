/* SPDX-License-Identifier: MIT */
/* The JSON walk in plain C. */
#include "proto/json_variants.h"
#include "proto/json_word.h"

#include <endian.h>
#include <string.h>

/* Eight rows of eight bits change places with the columns (Hacker's Delight, 7-3). */
ALWAYS_INLINE uint64_t transpose_8x8(uint64_t x)
{
    uint64_t t = (x ^ x >> 7) & UINT64_C(0x00aa00aa00aa00aa);

    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & UINT64_C(0x0000cccc0000cccc);
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & UINT64_C(0x00000000f0f0f0f0);
    return x ^ t ^ t << 28;
}

ALWAYS_INLINE void block_load(struct planes *planes, const uint8_t *block)
{
    *planes = (struct planes){{0}};
    for (int i = 0; i < BLOCK_BYTES; i += 8) {
        uint64_t bytes;

        memcpy(&bytes, block + i, sizeof bytes);
        bytes = transpose_8x8(le64toh(bytes));
        for (int k = 0; k < 8; k++)
            planes->b[k] |= (bytes >> 8 * k & 0xff) << i;
    }
}

#include "proto/json_word_planes.h"

#include "proto/json_walk.h"

bool json_walk_portable(const uint8_t *p, size_t n, const uint8_t *tail)
{
    return walk(p, n, tail);
}
