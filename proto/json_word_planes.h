/* SPDX-License-Identifier: MIT */
/* What json_walk.h asks for, made of block_load(&planes, block): the 64 bytes of a block as bits.
 */
#ifndef MSGD_PROTO_JSON_WORD_PLANES_H
#define MSGD_PROTO_JSON_WORD_PLANES_H

ALWAYS_INLINE void planes_load(struct planes *planes, const uint8_t *p, const uint8_t *tail,
                               size_t n)
{
    block_load(planes, n > BLOCK_BYTES ? p : tail);
    if (n >= BLOCK_BYTES)
        return;
    for (int k = 0; k < 8; k++)
        planes->b[k] &= first_bits(n);
    planes->b[5] |= ~first_bits(n); /* ' ' is 0x20 */
}

ALWAYS_INLINE void classes_load(struct classes *c, const uint8_t *p, const uint8_t *tail, size_t n)
{
    struct planes planes;

    planes_load(&planes, p, tail, n);
    planes_classify(&planes, c);
}

#endif
