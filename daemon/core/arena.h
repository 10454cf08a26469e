/* SPDX-License-Identifier: MIT */
/* Hands out the chunks of a piece of memory that somebody else maps; the chunk last given back
 * comes first. */
#ifndef MSGD_DAEMON_CORE_ARENA_H
#define MSGD_DAEMON_CORE_ARENA_H

#include "proto/ring.h"

#include <stddef.h>
#include <stdint.h>

/* How many free chunks keep their pages; those beyond are given back to the kernel. */
#define ARENA_WARM_CHUNKS 8

struct arena {
    uint8_t *chunks; /* n_chunks * RING_CHUNK_BYTES, the caller's */
    uint32_t n_chunks;
    uint32_t n_touched; /* chunks below it have been handed out at some time */
    uint32_t *free;     /* stack of n_free, owned */
    uint32_t n_free;
    uint32_t n_cold; /* of those, at the bottom, whose pages are gone */
    /* Gives the pages of a chunk back; its content is lost. */
    void (*discard)(uint8_t *chunk, size_t bytes);
};

/* 0 or -ENOMEM. discard may be NULL. */
int arena_init(struct arena *a, uint8_t *chunks, uint32_t n_chunks,
               void (*discard)(uint8_t *, size_t)) __attribute__((warn_unused_result));
void arena_deinit(struct arena *a);

/* A chunk, or RING_HOLE if there is none left. */
uint32_t arena_take(struct arena *a);
void arena_give(struct arena *a, uint32_t chunk);

static inline uint8_t *arena_chunk(const struct arena *a, uint32_t chunk)
{
    return a->chunks + (size_t)chunk * RING_CHUNK_BYTES;
}

/* Chunks that may have pages. */
static inline uint32_t arena_resident_chunks(const struct arena *a)
{
    return a->n_touched - a->n_cold;
}

#endif
