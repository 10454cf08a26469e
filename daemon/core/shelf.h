/* SPDX-License-Identifier: MIT */
/* A private log that is read from the front: messages that wait for no consumer in particular. */
#ifndef MSGD_DAEMON_CORE_SHELF_H
#define MSGD_DAEMON_CORE_SHELF_H

#include "daemon/core/chunk_log.h"

#include <stdbool.h>
#include <stdint.h>

struct shelf {
    struct chunk_log log;
    uint64_t read; /* position of the first record that is left */
    /* Of the numbers that have come since it was empty. */
    uint64_t low;
    uint64_t high;
    bool is_mixed; /* they did not only rise */
};

static inline bool shelf_is_empty(const struct shelf *s)
{
    return chunk_log_is_empty(&s->log);
}

/* The first record, and its position for shelf_pop. NULL: there is none. */
struct record *shelf_front(struct shelf *s, uint64_t *position);
/* A message of that number is about to be added. */
void shelf_note(struct shelf *s, uint64_t seq);
/* No message on it has a lower number. UINT64_MAX: it is empty. */
uint64_t shelf_floor(struct shelf *s);
/* Removes it; bytes: what it takes in the log. */
void shelf_pop(struct shelf *s, uint64_t position, uint32_t bytes);
/* Puts all that is on `newer` behind what is on `older`; newer is empty then. False: no room for
 * that, nothing changed. */
bool shelf_join(struct shelf *older, struct shelf *newer);

#endif
