/* SPDX-License-Identifier: MIT */
/* Answers per second and source prefix. */
#include "daemon/core/reply_limit.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)

int reply_limit_init(struct reply_limit *l, uint64_t key)
{
    struct reply_bucket *buckets = calloc(REPLY_LIMIT_BUCKETS, sizeof(*buckets));

    if (buckets == NULL)
        return -ENOMEM;
    *l = (struct reply_limit){.key = key, .buckets = buckets};
    return 0;
}

void reply_limit_deinit(struct reply_limit *l)
{
    free(l->buckets);
    *l = (struct reply_limit){0};
}

/* FNV-1a over the prefix, seeded and mixed. */
static uint32_t bucket_of(const struct reply_limit *l, const struct address *to)
{
    size_t n = to->family == ADDRESS_IPV4 ? 15 : 7;
    uint64_t hash = l->key;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ to->ip[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 29;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 52);
}

bool reply_limit_take(struct reply_limit *l, const struct address *to, uint32_t per_second,
                      uint64_t now_ns)
{
    struct reply_bucket *b = &l->buckets[bucket_of(l, to)];
    uint64_t since = now_ns - b->filled_ns;

    if (per_second == 0)
        return false;
    if (b->filled_ns == 0 || since >= SECOND_NS) {
        b->tokens = per_second;
        b->filled_ns = now_ns;
    } else {
        uint64_t earned = since * per_second / SECOND_NS;
        if (earned > 0) {
            b->tokens =
                b->tokens + earned > per_second ? per_second : (uint32_t)(b->tokens + earned);
            b->filled_ns += earned * SECOND_NS / per_second;
        }
    }
    if (b->tokens == 0)
        return false;
    b->tokens--;
    return true;
}
