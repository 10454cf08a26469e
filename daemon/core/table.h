/* SPDX-License-Identifier: MIT */
/* A hash table whose links lie in its members, and the keyed hash for it. */
#ifndef MSGD_DAEMON_CORE_TABLE_H
#define MSGD_DAEMON_CORE_TABLE_H

#include "daemon/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* In a member; list_member (daemon/base/list.h) leads back to it. */
struct table_link {
    struct table_link *next;
    uint64_t hash;
};

struct table {
    struct table_link **buckets; /* n_buckets of them, a power of two */
    size_t n_buckets;
    size_t count;
};

/* 0 or -ENOMEM. */
int table_init(struct table *t) MUST_USE;
/* Frees no member. Safe on a zeroed table. */
void table_deinit(struct table *t);

/* Adds a link that is in no table. Where there is no memory to grow, chains get longer. */
void table_add(struct table *t, struct table_link *link, uint64_t hash);
void table_remove(struct table *t, struct table_link *link);

/* The first link with this hash, and the next one; NULL: none. The caller compares the keys. */
struct table_link *table_first(const struct table *t, uint64_t hash);
struct table_link *table_next(const struct table_link *link);

/* SipHash-1-3 of n bytes under a secret seed. */
uint64_t table_hash(uint64_t seed, const void *bytes, size_t n);

#endif
