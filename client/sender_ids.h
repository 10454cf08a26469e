/* SPDX-License-Identifier: MIT */
/* Which message under way has an id that is a text: a table by the text. */
#ifndef MSGD_CLIENT_SENDER_IDS_H
#define MSGD_CLIENT_SENDER_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sender_id {
    const char *text; /* n bytes of the caller's; NULL: a free place */
    size_t n;
    uint64_t number; /* of the message */
};

struct sender_ids {
    struct sender_id *places; /* open addressing, linear probing */
    size_t n_places;          /* a power of two, at least twice as many as are ever used */
    uint64_t seed;            /* of the hash */
};

/* For at most max_ids at a time. 0 or -ENOMEM. */
int sender_ids_init(struct sender_ids *ids, size_t max_ids, uint64_t seed)
    __attribute__((warn_unused_result));
void sender_ids_deinit(struct sender_ids *ids);

/* The number of the message of that id, 0: there is none. */
uint64_t sender_ids_find(const struct sender_ids *ids, const void *text, size_t n);

/* Keeps text, which is in the table at most once, until it is removed. */
void sender_ids_add(struct sender_ids *ids, const char *text, size_t n, uint64_t number);
void sender_ids_remove(struct sender_ids *ids, const char *text, size_t n);

#endif
