/* SPDX-License-Identifier: MIT */
/* Consumers come to a mailbox and leave it. */
#include "daemon/core/mailbox.h"
#include "daemon/core/spool.h"

#include <string.h>

/* Records that are handled while the consumer's word is locked: a few microseconds. */
#define RECORDS_PER_LOCK 64

void consumer_hurry(struct consumer *c, bool is_hurried)
{
    if (c->is_hurried == is_hurried)
        return;
    c->is_hurried = is_hurried;
    lane_hurry(c->lane, is_hurried);
}

/* For a successor: while msgd stops it stays as it was. */
static void note_consumers(struct mailbox *mb)
{
    if (mb->state != NULL && !mb->is_held)
        mb->state->spool.n_consumers = mb->n_active;
}

bool mailbox_await(struct mailbox *mb)
{
    bool has_something =
        !shelf_is_empty(&mb->older) || !shelf_is_empty(&mb->backlog) || mb->state->spool.from != 0;

    mb->n_awaited = mb->mode == MODE_COPY && has_something && mb->state->spool.n_consumers > 1
                        ? mb->state->spool.n_consumers
                        : 0;
    return mb->n_awaited > 0;
}

void mailbox_end_await(struct mailbox *mb)
{
    mb->n_awaited = 0;
}

void mailbox_hold(struct mailbox *mb)
{
    mb->is_held = true;
}

void mailbox_join(struct mailbox *mb, struct consumer *c, struct lane *lane, uint32_t slot)
{
    c->mailbox = mb;
    c->lane = lane;
    c->slot = slot;
    c->oldest = lane->log.head;
    c->departed = lane->log.head;
    if (c->kept_departed != NULL)
        *c->kept_departed = c->departed;
    c->watch = (struct watch){0};
    c->order = (struct order){.first = lane->log.head};
    c->is_hurried = false;
    lane->slots[slot] = c;

    struct consumer **last = &mb->consumers;
    while (*last != NULL)
        last = &(*last)->next;
    *last = c;
    mb->n_active++;
    note_consumers(mb);
    if (mb->n_active >= mb->n_awaited)
        mb->n_awaited = 0;
    consumer_hurry(c, mb->spool != NULL && mb->state->spool.from != 0);
}

void mailbox_begin_leave(struct mailbox *mb, struct consumer *c)
{
    /* What this one leaves is older than what waits already. */
    if (mb->n_leaving == 0 && shelf_join(&mb->older, &mb->backlog)) {
        struct shelf older = mb->older;
        mb->older = mb->backlog;
        mb->backlog = older;
    }
    c->is_leaving = true;
    mb->n_active--;
    note_consumers(mb);
    mb->n_leaving++;
}

void mailbox_end_leave(struct mailbox *mb, struct consumer *c)
{
    struct consumer **at = &mb->consumers;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    mb->n_leaving--;
    consumer_hurry(c, false);
    if (c->lane->slots[c->slot] == c)
        c->lane->slots[c->slot] = NULL;
    if (mb->consumers == NULL)
        mb->mode = mb->next_mode;
}

void departure_begin(struct departure *d, struct lane *lane, struct consumer *only, int drop)
{
    *d = (struct departure){.lane = lane,
                            .only = only,
                            .drop = drop,
                            .position = lane->released,
                            .end = lane->log.head};
    if (only != NULL && only->queued == 0)
        d->end = d->position;
}

static struct consumer *leaver_of(const struct departure *d, const struct record *r)
{
    struct consumer *c = r->slot < d->lane->n_slots ? d->lane->slots[r->slot] : NULL;

    if (c == NULL || !c->is_leaving || d->position < c->departed)
        return NULL;
    return d->only == NULL || c == d->only ? c : NULL;
}

/* False: not now. */
static bool hand_on(struct departure *d, struct consumer *c, struct record *r)
{
    bool was_taken = d->position < d->lane->taken;

    if (!mailbox_take_back(c->mailbox, c, r, was_taken, d->drop))
        return false;
    /* What the consumer has taken it may still be reading: its memory stays until it is released.
     */
    if (!was_taken) {
        lane_note_gone(d->lane, r);
        chunk_log_kill(&d->lane->log, d->position);
    }
    return true;
}

/* Nothing of c before `position` is its own any more. */
static void depart(struct consumer *c, uint64_t position)
{
    c->departed = position;
    if (c->kept_departed != NULL)
        *c->kept_departed = position;
    DURABLE_STEP();
}

/* Handles some records under one lock. False: one of them has to wait. */
static bool step(struct departure *d, uint64_t *handled)
{
    for (int n = 0; n < RECORDS_PER_LOCK && d->position < d->end; n++) {
        uint64_t next;
        struct record *r = chunk_log_at(&d->lane->log, d->position, &next);
        struct consumer *c = r != NULL ? leaver_of(d, r) : NULL;
        if (c != NULL && !hand_on(d, c, r))
            return false;
        *handled += next - d->position;
        d->position = next;
        if (d->only != NULL && d->only->departed < next)
            depart(d->only, next);
        else if (d->only == NULL && c != NULL && d->lane->kept_released != NULL) {
            *d->lane->kept_released = next;
            DURABLE_STEP();
        }
    }
    return true;
}

bool departure_step(struct departure *d, uint64_t budget)
{
    uint64_t handled = 0;
    bool is_going = true;

    while (is_going && d->position < d->end && handled < budget) {
        if (lane_collect(d->lane) != 0 || lane_lock(d->lane) != 0)
            lane_abandon(d->lane);
        if (d->position < d->lane->released)
            d->position = d->lane->released;
        is_going = step(d, &handled);
        lane_unlock(d->lane);
    }
    return d->position < d->end;
}
