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

void shelf_note(struct shelf *s, uint64_t seq)
{
    if (shelf_is_empty(s)) {
        s->low = s->high = seq;
        s->is_mixed = false;
        return;
    }
    s->is_mixed = s->is_mixed || seq < s->high;
    s->low = seq < s->low ? seq : s->low;
    s->high = seq > s->high ? seq : s->high;
}

uint64_t shelf_floor(struct shelf *s)
{
    uint64_t position;
    const struct record *r = shelf_front(s, &position);

    if (r == NULL)
        return UINT64_MAX;
    return s->is_mixed ? s->low : r->seq;
}

/* As if what is on `newer` had been added to `older`. */
static void note_all(struct shelf *older, const struct shelf *newer)
{
    if (shelf_is_empty(newer))
        return;
    if (shelf_is_empty(older)) {
        older->low = newer->low;
        older->high = newer->high;
        older->is_mixed = newer->is_mixed;
        return;
    }
    older->is_mixed = older->is_mixed || newer->is_mixed || newer->low < older->high;
    older->low = newer->low < older->low ? newer->low : older->low;
    older->high = newer->high > older->high ? newer->high : older->high;
}

bool shelf_join(struct shelf *older, struct shelf *newer)
{
    struct shelf before = *older;

    note_all(older, newer);
    if (!chunk_log_append_all(&older->log, &newer->log)) {
        older->low = before.low;
        older->high = before.high;
        older->is_mixed = before.is_mixed;
        return false;
    }
    newer->read = newer->log.head;
    return true;
}
