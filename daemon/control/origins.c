/* SPDX-License-Identifier: MIT */
/* Where handed-over messages came from, and which are not released yet. */
#include "daemon/control/origins.h"

#include <errno.h>
#include <stdlib.h>

#define AT_FIRST 64u

void origins_deinit(struct origins *o)
{
    free(o->kept);
    *o = (struct origins){0};
}

static int grow_origins(struct origins *o)
{
    size_t capacity = o->capacity ? 2 * o->capacity : AT_FIRST;
    struct origin *kept = reallocarray(o->kept, capacity, sizeof(*kept));

    if (!kept)
        return -ENOMEM;
    /* It is full and has never turned over, so everything stays in its place. */
    o->kept = kept;
    o->capacity = capacity;
    return 0;
}

int origins_add(struct origins *o, const struct origin *origin)
{
    if (o->n_added == o->capacity && o->capacity < ORIGINS_KEPT) {
        int r = grow_origins(o);

        if (r < 0)
            return r;
    }
    o->kept[o->n_added++ & (o->capacity - 1)] = *origin;
    return 0;
}

struct origin *origins_find(struct origins *o, uint64_t seq)
{
    uint64_t n = o->n_added < o->capacity ? o->n_added : o->capacity;

    for (uint64_t i = 1; i <= n; i++) {
        struct origin *origin = &o->kept[(o->n_added - i) & (o->capacity - 1)];

        if (origin->seq == seq)
            return origin;
    }
    return NULL;
}

void unreleased_deinit(struct unreleased *u)
{
    free(u->seqs);
    *u = (struct unreleased){0};
}

static int grow_unreleased(struct unreleased *u)
{
    size_t capacity = u->capacity ? 2 * u->capacity : AT_FIRST;
    uint64_t *seqs = reallocarray(NULL, capacity, sizeof(*seqs));

    if (!seqs)
        return -ENOMEM;
    for (uint64_t i = u->first; i < u->end; i++)
        seqs[i & (capacity - 1)] = u->seqs[i & (u->capacity - 1)];
    free(u->seqs);
    u->seqs = seqs;
    u->capacity = capacity;
    return 0;
}

int unreleased_add(struct unreleased *u, uint64_t seq)
{
    if (unreleased_count(u) == u->capacity) {
        int r = grow_unreleased(u);

        if (r < 0)
            return r;
    }
    u->seqs[u->end++ & (u->capacity - 1)] = seq;
    return 0;
}

static uint64_t seq_at(const struct unreleased *u, uint64_t i)
{
    return u->seqs[i & (u->capacity - 1)];
}

/* Where it is; u->end: nowhere. */
static uint64_t find_unreleased(const struct unreleased *u, uint64_t seq)
{
    uint64_t i = u->first;

    while (i < u->end && seq_at(u, i) != seq)
        i++;
    return i;
}

bool unreleased_has(const struct unreleased *u, uint64_t seq)
{
    return find_unreleased(u, seq) < u->end;
}

void unreleased_release(struct unreleased *u, uint64_t seq)
{
    uint64_t at = find_unreleased(u, seq);

    if (at < u->end) {
        u->first = at + 1;
        return;
    }
    while (u->first < u->end && seq_at(u, u->first) < seq)
        u->first++;
}
