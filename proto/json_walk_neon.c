/* SPDX-License-Identifier: MIT */
/* The JSON walk for 64-bit ARM. */
#if defined(__aarch64__)
#include "proto/json_variants.h"
#include "proto/json_word.h"

#include <arm_neon.h>

/* The bits of `bit` in 64 bytes, the first byte's lowest. */
ALWAYS_INLINE uint64_t plane(const uint8x16_t v[4], uint8_t bit)
{
    static const uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t place = vld1q_u8(places), wanted = vdupq_n_u8(bit);
    uint8x16_t a =
        vpaddq_u8(vandq_u8(vtstq_u8(v[0], wanted), place), vandq_u8(vtstq_u8(v[1], wanted), place));
    uint8x16_t b =
        vpaddq_u8(vandq_u8(vtstq_u8(v[2], wanted), place), vandq_u8(vtstq_u8(v[3], wanted), place));

    a = vpaddq_u8(a, b);
    a = vpaddq_u8(a, a);
    return vgetq_lane_u64(vreinterpretq_u64_u8(a), 0);
}

ALWAYS_INLINE void block_load(struct planes *planes, const uint8_t *block)
{
    const uint8x16_t v[4] = {vld1q_u8(block), vld1q_u8(block + 16), vld1q_u8(block + 32),
                             vld1q_u8(block + 48)};

#pragma GCC unroll 8
    for (int k = 0; k < 8; k++)
        planes->b[k] = plane(v, (uint8_t)(1u << k));
}

#include "proto/json_word_planes.h"

#include "proto/json_walk.h"

bool json_walk_neon(const uint8_t *p, size_t n, const uint8_t *tail)
{
    return walk(p, n, tail);
}
#endif
