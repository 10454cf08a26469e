/* SPDX-License-Identifier: MIT */
/*
 * Bytes at offsets of a stream, of which a sliding window is held. Memory comes in blocks that
 * exist only where something lies, so that an empty window costs nothing and a full one no more
 * than it holds.
 */
#ifndef MSGD_PROTO_BLOCKS_H
#define MSGD_PROTO_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_BYTES UINT64_C(8192)

struct blocks {
    uint8_t **table; /* of block (offset / BLOCK_BYTES) & mask; made with the first byte */
    uint64_t mask;
    uint64_t max_bytes; /* from the lowest offset held to the end of the highest */
    uint8_t *spare;     /* the block that was emptied last: the next to be filled */
};

/* Holds nothing yet. Zeroed blocks may be deinitialised. */
void blocks_init(struct blocks *b, uint64_t max_bytes);
void blocks_deinit(struct blocks *b);

/*
 * Copies n bytes to where the window has room for them. 0 or -ENOMEM: then some of them may have
 * been copied, and what they were copied to counts as empty.
 */
int blocks_put(struct blocks *b, uint64_t offset, const void *bytes, size_t n)
    __attribute__((warn_unused_result));

/* Copies out what was put. */
void blocks_get(const struct blocks *b, uint64_t offset, void *out, size_t n);

/* Where the byte lies, and in *n how many of the following lie in one piece with it. */
uint8_t *blocks_at(const struct blocks *b, uint64_t offset, size_t *n);

/* Nothing below `end` is held any more; nothing below `begin` was before. */
void blocks_release(struct blocks *b, uint64_t begin, uint64_t end);

/* Nothing is held at all: gives back what a block in use or to be used again still costs. */
void blocks_trim(struct blocks *b);

#endif
