/* SPDX-License-Identifier: MIT */
/* A private log that is read from the front. */
#include "daemon/core/shelf.h"

struct record *shelf_front(struct shelf *s, uint64_t *position)
{
    while (s->read < s->log.head && !shelf_is_empty(s)) {
        uint64_t next;
        struct record *r = chunk_log_at(&s->log, s->read, &next);
        if (r != NULL) {
            *position = s->read;
            return r;
        }
        s->read = next;
    }
    return NULL;
}

void shelf_pop(struct shelf *s, uint64_t position, uint32_t bytes)
{
    s->read = position + bytes;
    chunk_log_kill(&s->log, position);
}

bool shelf_join(struct shelf *older, struct shelf *newer)
{
    if (!chunk_log_append_all(&older->log, &newer->log))
        return false;
    newer->read = newer->log.head;
    return true;
}
