/* SPDX-License-Identifier: MIT */
/* Hands out the chunks of a piece of memory that somebody else maps; the chunk last given back
 * comes first. */
#ifndef MSGD_DAEMON_CORE_ARENA_H
#define MSGD_DAEMON_CORE_ARENA_H

#include "proto/ring.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many free chunks keep their pages; those beyond are given back to the kernel. */
#define ARENA_WARM_CHUNKS 8

/* What a successor needs to know of a chunk. */
struct chunk_entry {
    _Atomic uint64_t owner;  /* whose private log it belongs to; 0: nobody's, or a link's */
    _Atomic uint32_t filled; /* up to where it holds records */
    uint32_t reserved;
};

/* Beside the number of an endpoint in `owner`. */
#define CHUNK_OF_JOURNAL (UINT64_C(1) << 63)

struct arena {
    struct chunk_entry *directory; /* n_chunks; owned unless it was given */
    bool has_given_directory;
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
/* Before the first chunk is taken: entries (zeroed, the caller's) that outlive the process. */
void arena_use_directory(struct arena *a, struct chunk_entry *directory);
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
