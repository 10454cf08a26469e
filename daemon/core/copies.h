/* SPDX-License-Identifier: MIT */
/* Mode `copy`: which messages are still held by how many consumers, and whether one has released
 * them. */
#ifndef MSGD_DAEMON_CORE_COPIES_H
#define MSGD_DAEMON_CORE_COPIES_H

#include <stdbool.h>
#include <stdint.h>

/* A message that at least one consumer holds. */
struct copy_entry {
    uint64_t seq; /* 0: free */
    uint32_t n_holders;
    bool is_released; /* at least one consumer has released it */
};

/* Open addressing with linear probing; n_slots is a power of two, more than twice the entries.
 * Zeroed: empty. */
struct copies {
    struct copy_entry *slots; /* owned */
    uint64_t n_slots;
    uint64_t n_entries;
};

/* Slots for a table that can hold `entries` entries. */
uint64_t copies_slots(uint64_t entries);

/*
 * Moves everything into `slots`, n_slots zeroed entries that the table owns from now on. Returns
 * the former ones for the caller to free (allocating is not for the data path). slots that would
 * not do are given back unused.
 */
struct copy_entry *copies_grow(struct copies *c, struct copy_entry *slots, uint64_t n_slots)
    __attribute__((warn_unused_result));

static inline bool copies_has_room(const struct copies *c)
{
    return c->n_entries * 2 < c->n_slots;
}

/* Only where there is room. */
void copies_add(struct copies *c, uint64_t seq, uint32_t n_holders);

enum copy_outcome {
    COPY_HELD = 0,      /* others still hold it */
    COPY_DELIVERED = 1, /* this was the last holder; one has released it */
    COPY_MISSED = 2,    /* this was the last holder; nobody has released it */
};

/* One holder less; `seq` is in the table. */
enum copy_outcome copies_drop(struct copies *c, uint64_t seq, bool is_released);

#endif
