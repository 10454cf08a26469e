/* SPDX-License-Identifier: MIT */
/* The latest replies to requests. */
#include "daemon/core/reply_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define N_BUCKETS 4096u

/* Followed by the id and the reply, padded. */
struct entry {
    uint64_t hash;
    uint64_t endpoint;
    uint32_t total; /* bytes, all included */
    uint32_t next;  /* in its bucket, an older one; offset + 1 */
    uint32_t n_reply;
    uint32_t n_id; /* 0: nothing, up to the end of the circle */
};

/* So that what is left at the end of the circle always holds an entry. */
#define ALIGNMENT ((uint32_t)sizeof(struct entry))

_Static_assert(sizeof(struct entry) == 32, "a power of two");

static uint32_t round_up(uint32_t n)
{
    return (n + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

int reply_cache_init(struct reply_cache *c, const struct hash_key *key, uint32_t capacity)
{
    *c = (struct reply_cache){.key = *key, .capacity = round_up(capacity)};
    c->bytes = malloc(c->capacity > 0 ? c->capacity : 1);
    c->buckets = calloc(N_BUCKETS, sizeof(*c->buckets));
    if (c->bytes != NULL && c->buckets != NULL)
        return 0;
    reply_cache_deinit(c);
    return -ENOMEM;
}

void reply_cache_deinit(struct reply_cache *c)
{
    free(c->bytes);
    free(c->buckets);
    *c = (struct reply_cache){0};
}

static struct entry *entry_at(const struct reply_cache *c, uint64_t position)
{
    return (struct entry *)(void *)(c->bytes + position % c->capacity);
}

static uint64_t hash_of(const struct reply_cache *c, const struct message_key *k)
{
    uint8_t bytes[sizeof(k->endpoint) + FRAME_ID_MAX];

    memcpy(bytes, &k->endpoint, sizeof(k->endpoint));
    memcpy(bytes + sizeof(k->endpoint), k->id->text.bytes, k->id->text.n);
    return keyed_hash(&c->key, bytes, sizeof(k->endpoint) + k->id->text.n);
}

static uint32_t *bucket_of(const struct reply_cache *c, uint64_t hash)
{
    return &c->buckets[hash % N_BUCKETS];
}

/* Gives up the oldest, which is the last of its bucket. */
static void drop_oldest(struct reply_cache *c)
{
    struct entry *oldest = entry_at(c, c->tail);

    if (oldest->n_id > 0) {
        uint32_t *at = bucket_of(c, oldest->hash);
        while (entry_at(c, *at - 1) != oldest)
            at = &entry_at(c, *at - 1)->next;
        *at = 0;
    }
    c->tail += oldest->total;
}

/* Room for `total` bytes in one piece at the head. */
static struct entry *make_room(struct reply_cache *c, uint32_t total)
{
    uint32_t to_end = c->capacity - (uint32_t)(c->head % c->capacity);
    uint32_t skip = total > to_end ? to_end : 0;

    while (c->head + skip + total - c->tail > c->capacity)
        drop_oldest(c);
    if (skip > 0) {
        struct entry *e = entry_at(c, c->head);
        e->total = skip;
        e->n_id = 0;
        c->head += skip;
    }
    return entry_at(c, c->head);
}

void reply_cache_put(struct reply_cache *c, const struct message_key *k, const void *bytes,
                     uint32_t n)
{
    uint32_t n_id = (uint32_t)k->id->text.n;
    uint32_t total = round_up((uint32_t)sizeof(struct entry) + n_id + n);

    if (total > c->capacity / 4)
        return;
    struct entry *e = make_room(c, total);
    uint64_t hash = hash_of(c, k);
    uint32_t *bucket = bucket_of(c, hash);

    *e = (struct entry){.hash = hash,
                        .endpoint = k->endpoint,
                        .total = total,
                        .next = *bucket,
                        .n_reply = n,
                        .n_id = n_id};
    memcpy(e + 1, k->id->text.bytes, n_id);
    memcpy((uint8_t *)(e + 1) + n_id, bytes, n);
    *bucket = (uint32_t)(c->head % c->capacity) + 1;
    c->head += total;
}

const void *reply_cache_find(const struct reply_cache *c, const struct message_key *k, uint32_t *n)
{
    uint64_t hash = hash_of(c, k);

    for (uint32_t at = *bucket_of(c, hash); at != 0;) {
        const struct entry *e = entry_at(c, at - 1);
        if (e->hash == hash && e->endpoint == k->endpoint && e->n_id == k->id->text.n &&
            memcmp(e + 1, k->id->text.bytes, e->n_id) == 0) {
            *n = e->n_reply;
            return (const uint8_t *)(e + 1) + e->n_id;
        }
        at = e->next;
    }
    return NULL;
}
