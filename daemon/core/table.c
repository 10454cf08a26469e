/* SPDX-License-Identifier: MIT */
/* A hash table whose links lie in its members. */
#include "daemon/core/table.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_BUCKETS 16

int table_init(struct table *t)
{
    *t = (struct table){.n_buckets = FIRST_BUCKETS};
    t->buckets = calloc(FIRST_BUCKETS, sizeof(t->buckets[0]));
    return t->buckets ? 0 : -ENOMEM;
}

void table_deinit(struct table *t)
{
    free(t->buckets);
    *t = (struct table){0};
}

static struct table_link **bucket_of(const struct table *t, uint64_t hash)
{
    return &t->buckets[hash & (t->n_buckets - 1)];
}

static void push(struct table *t, struct table_link *link)
{
    struct table_link **bucket = bucket_of(t, link->hash);

    link->next = *bucket;
    *bucket = link;
}

static void grow(struct table *t)
{
    struct table bigger = {.n_buckets = t->n_buckets * 2, .count = t->count};

    bigger.buckets = calloc(bigger.n_buckets, sizeof(bigger.buckets[0]));
    if (!bigger.buckets)
        return;
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct table_link *link = t->buckets[i], *next; link; link = next) {
            next = link->next;
            push(&bigger, link);
        }
    }
    free(t->buckets);
    *t = bigger;
}

void table_add(struct table *t, struct table_link *link, uint64_t hash)
{
    if (t->count >= t->n_buckets)
        grow(t);
    link->hash = hash;
    push(t, link);
    t->count++;
}

void table_remove(struct table *t, struct table_link *link)
{
    struct table_link **at = bucket_of(t, link->hash);

    while (*at && *at != link)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = link->next;
    link->next = NULL;
    t->count--;
}

static struct table_link *skip_others(struct table_link *link, uint64_t hash)
{
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct table_link *table_first(const struct table *t, uint64_t hash)
{
    return skip_others(*bucket_of(t, hash), hash);
}

struct table_link *table_next(const struct table_link *link)
{
    return skip_others(link->next, link->hash);
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

uint64_t table_hash(uint64_t seed, const void *bytes, size_t n)
{
    /* The published constants; the key is the seed and its complement. */
    uint64_t v[4] = {seed ^ 0x736f6d6570736575u, ~seed ^ 0x646f72616e646f6du,
                     seed ^ 0x6c7967656e657261u, ~seed ^ 0x7465646279746573u};
    const unsigned char *at = bytes;
    uint64_t word, last = (uint64_t)n << 56;

    for (size_t left = n; left >= sizeof(word); left -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sip_word(v, word);
    }
    for (size_t i = 0; i < n % sizeof(word); i++)
        last |= (uint64_t)at[i] << (8 * i);
    sip_word(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
