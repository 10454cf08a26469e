/* SPDX-License-Identifier: MIT */
/* A ring of records: one writer, one reader. */
#include "daemon/data/spsc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Before each record: its length, or SKIP: go on at the start. Records begin at multiples of 64
 * bytes. */
#define HEADER_BYTES 64u
#define SKIP         UINT32_MAX

static uint32_t step_of(uint32_t n_bytes)
{
    return HEADER_BYTES + ((n_bytes + 63) & ~UINT32_C(63));
}

int spsc_init(struct spsc *s, uint32_t n_bytes)
{
    *s = (struct spsc){.n_bytes = n_bytes, .bytes = aligned_alloc(64, n_bytes)};
    return s->bytes != NULL ? 0 : -ENOMEM;
}

void spsc_deinit(struct spsc *s)
{
    free(s->bytes);
    s->bytes = NULL;
}

static void put_length(struct spsc *s, uint64_t at, uint32_t length)
{
    memcpy(s->bytes + at % s->n_bytes, &length, sizeof(length));
}

static uint32_t get_length(const struct spsc *s, uint64_t at)
{
    uint32_t length;

    memcpy(&length, s->bytes + at % s->n_bytes, sizeof(length));
    return length;
}

/* Where a record of that size goes at present: at head, or at the start of the ring. */
static uint64_t place(const struct spsc *s, uint64_t head, uint32_t n_bytes)
{
    uint64_t offset = head % s->n_bytes;

    return offset + step_of(n_bytes) > s->n_bytes ? head + s->n_bytes - offset : head;
}

void *spsc_reserve(struct spsc *s, uint32_t n_bytes)
{
    uint64_t head = atomic_load_explicit(&s->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&s->tail, memory_order_acquire);
    uint64_t at = place(s, head, n_bytes);

    if (at + step_of(n_bytes) - tail > s->n_bytes)
        return NULL;
    return s->bytes + at % s->n_bytes + HEADER_BYTES;
}

void spsc_commit(struct spsc *s, uint32_t n_bytes)
{
    uint64_t head = atomic_load_explicit(&s->head, memory_order_relaxed);
    uint64_t at = place(s, head, n_bytes);

    if (at != head)
        put_length(s, head, SKIP);
    put_length(s, at, n_bytes);
    atomic_store_explicit(&s->head, at + step_of(n_bytes), memory_order_release);
}

const void *spsc_peek(struct spsc *s, uint32_t *n_bytes)
{
    uint64_t tail = atomic_load_explicit(&s->tail, memory_order_relaxed);

    if (tail == atomic_load_explicit(&s->head, memory_order_acquire))
        return NULL;
    if (get_length(s, tail) == SKIP) {
        tail += s->n_bytes - tail % s->n_bytes;
        atomic_store_explicit(&s->tail, tail, memory_order_release);
    }
    *n_bytes = get_length(s, tail);
    return s->bytes + tail % s->n_bytes + HEADER_BYTES;
}

void spsc_pop(struct spsc *s)
{
    uint64_t tail = atomic_load_explicit(&s->tail, memory_order_relaxed);

    atomic_store_explicit(&s->tail, tail + step_of(get_length(s, tail)), memory_order_release);
}
