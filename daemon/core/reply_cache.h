/* SPDX-License-Identifier: MIT */
/* The latest replies to requests, for those that ask again because the answer got lost. */
#ifndef MSGD_DAEMON_CORE_REPLY_CACHE_H
#define MSGD_DAEMON_CORE_REPLY_CACHE_H

#include "daemon/core/duplicates.h"

#include <stddef.h>
#include <stdint.h>

/* Replies lie in a circle of bytes in the order in which they were given; the oldest go. */
struct reply_cache {
    struct hash_key key;
    uint8_t *bytes; /* owned; capacity of them */
    uint32_t capacity;
    uint64_t head;     /* bytes ever written */
    uint64_t tail;     /* of the oldest that is left */
    uint32_t *buckets; /* owned; offset + 1 of the latest entry */
};

/* capacity: bytes, rounded up. 0 or -ENOMEM. */
int reply_cache_init(struct reply_cache *c, const struct hash_key *key, uint32_t capacity) MUST_USE;
/* Safe on a zeroed one. */
void reply_cache_deinit(struct reply_cache *c);

/* Keeps a reply (n bytes). One that is more than a quarter of all there is room for is not kept. */
void reply_cache_put(struct reply_cache *c, const struct message_key *k, const void *bytes,
                     uint32_t n);
/* NULL: it is not there (any more). Valid until the next put. */
const void *reply_cache_find(const struct reply_cache *c, const struct message_key *k, uint32_t *n);

#endif
