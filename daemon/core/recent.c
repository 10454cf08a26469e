/* SPDX-License-Identifier: MIT */
/* A table of what was used recently: chained buckets, and a list in the order of use. */
#include "daemon/core/recent.h"

#include <errno.h>
#include <stdlib.h>

static struct recent_entry *entry_at(const struct recent *t, uint32_t place)
{
    return (struct recent_entry *)(void *)(t->entries + (size_t)(place - 1) * t->entry_bytes);
}

static uint32_t place_of(const struct recent *t, const struct recent_entry *e)
{
    return (uint32_t)((size_t)((const uint8_t *)e - t->entries) / t->entry_bytes) + 1;
}

static uint32_t *bucket_of(const struct recent *t, uint64_t hash)
{
    return &t->buckets[hash & t->bucket_mask];
}

int recent_init(struct recent *t, const struct recent_options *o)
{
    uint32_t n_buckets = 16;

    while (n_buckets < o->capacity)
        n_buckets *= 2;
    *t = (struct recent){.entry_bytes = (o->entry_bytes + 7) & ~(size_t)7,
                         .capacity = o->capacity,
                         .bucket_mask = n_buckets - 1,
                         .life_ms = o->life_ms};
    t->entries = calloc(o->capacity, t->entry_bytes);
    t->buckets = calloc(n_buckets, sizeof(*t->buckets));
    if (t->entries != NULL && t->buckets != NULL)
        return 0;
    recent_deinit(t);
    return -ENOMEM;
}

void recent_deinit(struct recent *t)
{
    free(t->entries);
    free(t->buckets);
    *t = (struct recent){0};
}

void *recent_find(const struct recent *t, uint64_t hash, recent_is is, const void *key)
{
    for (uint32_t at = *bucket_of(t, hash); at != 0;) {
        struct recent_entry *e = entry_at(t, at);
        if (e->hash == hash && is(e, key))
            return e;
        at = e->next;
    }
    return NULL;
}

static void unlink_use(struct recent *t, struct recent_entry *e)
{
    *(e->newer != 0 ? &entry_at(t, e->newer)->older : &t->newest) = e->older;
    *(e->older != 0 ? &entry_at(t, e->older)->newer : &t->oldest) = e->newer;
}

static void link_newest(struct recent *t, struct recent_entry *e)
{
    uint32_t place = place_of(t, e);

    e->newer = 0;
    e->older = t->newest;
    *(t->newest != 0 ? &entry_at(t, t->newest)->newer : &t->oldest) = place;
    t->newest = place;
}

static void unlink_bucket(struct recent *t, const struct recent_entry *e)
{
    uint32_t *at = bucket_of(t, e->hash);

    while (entry_at(t, *at) != e)
        at = &entry_at(t, *at)->next;
    *at = e->next;
}

bool recent_has_room(const struct recent *t, uint64_t now_ms)
{
    return t->n < t->capacity ||
           (t->oldest != 0 && now_ms - entry_at(t, t->oldest)->used_ms >= t->life_ms);
}

void *recent_add(struct recent *t, uint64_t hash, uint64_t now_ms)
{
    struct recent_entry *e;
    uint32_t *bucket = bucket_of(t, hash);

    if (t->n < t->capacity) {
        e = entry_at(t, ++t->n);
    } else {
        e = entry_at(t, t->oldest);
        unlink_use(t, e);
        unlink_bucket(t, e);
    }
    e->hash = hash;
    e->used_ms = now_ms;
    e->next = *bucket;
    *bucket = place_of(t, e);
    link_newest(t, e);
    return e;
}

void recent_touch(struct recent *t, void *entry, uint64_t now_ms)
{
    struct recent_entry *e = entry;

    e->used_ms = now_ms;
    if (t->newest == place_of(t, e))
        return;
    unlink_use(t, e);
    link_newest(t, e);
}
