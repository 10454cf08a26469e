/* SPDX-License-Identifier: MIT */
/* A sliding window of bytes in blocks. */
#include "proto/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void blocks_init(struct blocks *b, uint64_t max_bytes)
{
    uint64_t n_slots = 2; /* a window that begins within a block reaches into one more */

    while (n_slots < max_bytes / BLOCK_BYTES + 2)
        n_slots *= 2;
    *b = (struct blocks){.mask = n_slots - 1, .max_bytes = max_bytes};
}

void blocks_deinit(struct blocks *b)
{
    blocks_trim(b);
}

static uint8_t **slot_of(const struct blocks *b, uint64_t offset)
{
    return &b->table[(offset / BLOCK_BYTES) & b->mask];
}

static uint8_t *new_block(struct blocks *b)
{
    uint8_t *block = b->spare;

    b->spare = NULL;
    return block != NULL ? block : malloc(BLOCK_BYTES);
}

static size_t piece(uint64_t offset, size_t n)
{
    size_t left = (size_t)(BLOCK_BYTES - offset % BLOCK_BYTES);

    return n < left ? n : left;
}

int blocks_put(struct blocks *b, uint64_t offset, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;

    if (b->table == NULL)
        b->table = calloc(b->mask + 1, sizeof *b->table);
    if (b->table == NULL)
        return -ENOMEM;
    while (n > 0) {
        uint8_t **slot = slot_of(b, offset);
        size_t n_here = piece(offset, n);

        if (*slot == NULL)
            *slot = new_block(b);
        if (*slot == NULL)
            return -ENOMEM;
        memcpy(*slot + offset % BLOCK_BYTES, from, n_here);
        offset += n_here;
        from += n_here;
        n -= n_here;
    }
    return 0;
}

void blocks_get(const struct blocks *b, uint64_t offset, void *out, size_t n)
{
    uint8_t *to = out;

    while (n > 0) {
        size_t n_here = piece(offset, n);

        memcpy(to, *slot_of(b, offset) + offset % BLOCK_BYTES, n_here);
        offset += n_here;
        to += n_here;
        n -= n_here;
    }
}

uint8_t *blocks_at(const struct blocks *b, uint64_t offset, size_t *n)
{
    *n = piece(offset, SIZE_MAX);
    return *slot_of(b, offset) + offset % BLOCK_BYTES;
}

void blocks_release(struct blocks *b, uint64_t begin, uint64_t end)
{
    if (b->table == NULL)
        return;
    for (uint64_t at = begin - begin % BLOCK_BYTES; at + BLOCK_BYTES <= end; at += BLOCK_BYTES) {
        uint8_t **slot = slot_of(b, at);

        if (b->spare == NULL)
            b->spare = *slot;
        else
            free(*slot);
        *slot = NULL;
    }
}

void blocks_trim(struct blocks *b)
{
    if (b->table != NULL)
        for (uint64_t i = 0; i <= b->mask; i++)
            free(b->table[i]);
    free(b->table);
    free(b->spare);
    b->table = NULL;
    b->spare = NULL;
}
