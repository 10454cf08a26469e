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
};

static inline bool shelf_is_empty(const struct shelf *s)
{
    return chunk_log_is_empty(&s->log);
}

/* The first record, and its position for shelf_pop. NULL: there is none. */
struct record *shelf_front(struct shelf *s, uint64_t *position);
/* Removes it; bytes: what it takes in the log. */
void shelf_pop(struct shelf *s, uint64_t position, uint32_t bytes);
/* Puts all that is on `newer` behind what is on `older`; newer is empty then. False: no room for
 * that, nothing changed. */
bool shelf_join(struct shelf *older, struct shelf *newer);

#endif
