/* SPDX-License-Identifier: MIT */
/* Chunks of a piece of memory, last given back first handed out. */
#include "daemon/core/arena.h"

#include <errno.h>
#include <stdlib.h>

int arena_init(struct arena *a, uint8_t *chunks, uint32_t n_chunks,
               void (*discard)(uint8_t *, size_t))
{
    uint32_t *stack = calloc(n_chunks, sizeof(*stack));

    struct chunk_entry *directory = calloc(n_chunks, sizeof(*directory));

    if (stack == NULL || directory == NULL) {
        free(stack);
        free(directory);
        return -ENOMEM;
    }
    *a = (struct arena){.directory = directory,
                        .chunks = chunks,
                        .n_chunks = n_chunks,
                        .free = stack,
                        .discard = discard};
    return 0;
}

void arena_use_directory(struct arena *a, struct chunk_entry *directory)
{
    free(a->directory);
    a->directory = directory;
    a->has_given_directory = true;
}

void arena_deinit(struct arena *a)
{
    if (!a->has_given_directory)
        free(a->directory);
    free(a->free);
    *a = (struct arena){0};
}

uint32_t arena_take(struct arena *a)
{
    if (a->n_free > 0) {
        uint32_t chunk = a->free[--a->n_free];
        if (a->n_cold > a->n_free)
            a->n_cold = a->n_free;
        return chunk;
    }
    if (a->n_touched < a->n_chunks)
        return a->n_touched++;
    return RING_HOLE;
}

void arena_give(struct arena *a, uint32_t chunk)
{
    atomic_store_explicit(&a->directory[chunk].owner, 0, memory_order_relaxed);
    a->free[a->n_free++] = chunk;
    if (a->discard != NULL && a->n_free - a->n_cold > ARENA_WARM_CHUNKS)
        a->discard(arena_chunk(a, a->free[a->n_cold++]), RING_CHUNK_BYTES);
}
