/* SPDX-License-Identifier: MIT */
/* What ends in a mailbox: released, dropped for what is newer, expired; and which is the oldest
 * that has not. */
#include "daemon/core/mailbox.h"

#include "daemon/core/mailbox_inside.h"

/* ---- Counting ---- */

void mailbox_tell(const struct mailbox *mb, const struct record *r, int outcome)
{
    struct message_tag tag;

    if (record_trailer_length_of(record_word_of(r)) == 0 || mb->settled == NULL)
        return;
    record_tag(r, &tag);
    bool waits_for_disk = tag.wants_disk && mb->spool != NULL && r->seq > mb->spool->committed;
    /* Who sent a request waits for the reply, not for its release. */
    if (outcome == MESSAGE_RELEASED && !waits_for_disk &&
        (!tag.is_awaited || tag.type == MESSAGE_REQUEST))
        return;
    if (outcome == MESSAGE_UNANSWERED && !tag.is_awaited)
        return;
    mb->settled(mb->context, r, outcome);
}

void mailbox_count_end(struct mailbox *mb, const struct record *r, int outcome)
{
    if (mb->intent != NULL) {
        mb->intent->number = 0;
        DURABLE_STEP();
        mb->intent->seq = r->seq;
        DURABLE_STEP();
        mb->intent->number = mb->state->number;
        DURABLE_STEP();
    }
    mb->ledger->queued--;
    if (outcome == (int)DROP_MAX_DELIVER && mb->aside.put != NULL)
        mb->aside.put(mb->context, r);
    if (outcome < 0)
        mb->ledger->delivered++;
    else
        mb->ledger->dropped[outcome]++;
    DURABLE_STEP();
    mailbox_tell(mb, r, outcome);
}

uint32_t consumer_forget(struct consumer *c, const struct record *r)
{
    uint32_t bytes = record_bytes_of(r);

    c->queued--;
    c->used -= bytes;
    c->mailbox->used -= bytes;
    return bytes;
}

void mailbox_count_copy(struct mailbox *mb, const struct record *r, enum copy_outcome outcome,
                        enum drop_reason reason)
{
    if (outcome != COPY_HELD)
        mailbox_count_end(mb, r, outcome == COPY_DELIVERED ? MESSAGE_RELEASED : (int)reason);
}

/* ---- Dropping the oldest ---- */

/* Why, and only what came before. */
struct drop {
    enum drop_reason reason;
    int64_t before_ns;
};

static const struct drop for_room = {DROP_MAILBOX_FULL, INT64_MAX};

static void count_dropped(struct consumer *c, const struct record *r, enum drop_reason reason)
{
    struct mailbox *mb = c->mailbox;

    account_give(mb->account, consumer_forget(c, r));
    if (mb->mode == MODE_COPY) {
        c->missed++;
        mailbox_count_copy(mb, r, copies_drop(&mb->copies, r->seq, false), reason);
    } else {
        mailbox_count_end(mb, r, (int)reason);
    }
}

/* The first record of c that nobody has taken, from c->oldest on; the lane is locked. */
static bool find_waiting(struct consumer *c, uint64_t *position)
{
    struct chunk_log *log = &c->lane->log;

    if (c->oldest < c->lane->taken)
        c->oldest = c->lane->taken;
    while (c->oldest < log->head) {
        uint64_t next;
        struct record *r = chunk_log_at(log, c->oldest, &next);
        if (r != NULL && r->slot == c->slot) {
            *position = c->oldest;
            return true;
        }
        c->oldest = next;
    }
    return false;
}

/* Drops c's oldest waiting message, if it is old enough. */
static bool drop_waiting(struct consumer *c, const struct drop *drop)
{
    if (c->queued == 0 || lane_lock(c->lane) != 0)
        return false;

    uint64_t position;
    uint64_t next;
    struct record *r =
        find_waiting(c, &position) ? chunk_log_at(&c->lane->log, position, &next) : NULL;
    bool is_found = r != NULL && r->time_ns < drop->before_ns;
    if (is_found) {
        count_dropped(c, r, drop->reason);
        lane_note_gone(c->lane, r);
        chunk_log_kill(&c->lane->log, position);
        c->oldest = next;
    }
    lane_unlock(c->lane);
    return is_found;
}

static bool drop_front(struct mailbox *mb, struct shelf *s, const struct drop *drop)
{
    uint64_t position;
    struct record *r = shelf_front(s, &position);

    if (r == NULL || r->time_ns >= drop->before_ns)
        return false;
    uint32_t bytes = record_bytes_of(r);
    mb->used -= bytes;
    account_give(mb->account, bytes);
    mailbox_count_end(mb, r, (int)drop->reason);
    shelf_pop(s, position, bytes);
    return true;
}

bool mailbox_drop_oldest(struct mailbox *mb)
{
    struct consumer *fullest = NULL;

    for (struct consumer *c = mb->consumers; c != NULL; c = c->next)
        if (!c->is_leaving && (fullest == NULL || c->used > fullest->used))
            fullest = c;
    if (fullest != NULL && drop_waiting(fullest, &for_room))
        return true;
    for (struct consumer *c = mb->consumers; c != NULL; c = c->next)
        if (!c->is_leaving && c != fullest && drop_waiting(c, &for_room))
            return true;
    return drop_front(mb, &mb->older, &for_room) || drop_front(mb, &mb->backlog, &for_room);
}

bool consumer_drop_oldest(struct consumer *c)
{
    return drop_waiting(c, &for_room);
}

void mailbox_discard(struct mailbox *mb, enum drop_reason reason)
{
    const struct drop all = {reason, INT64_MAX};

    while (drop_front(mb, &mb->older, &all) || drop_front(mb, &mb->backlog, &all))
        continue;
}

bool mailbox_expire(struct mailbox *mb, int64_t before_ns, uint32_t max)
{
    const struct drop drop = {DROP_EXPIRED, before_ns};
    uint32_t n = 0;

    for (struct consumer *c = mb->consumers; c != NULL; c = c->next)
        while (!c->is_leaving && n < max && drop_waiting(c, &drop))
            n++;
    while (n < max && (drop_front(mb, &mb->older, &drop) || drop_front(mb, &mb->backlog, &drop)))
        n++;
    return n == max;
}

/* ---- The oldest ---- */

static uint64_t consumer_floor(struct consumer *c)
{
    struct order *o = &c->order;

    if (c->queued == 0)
        return UINT64_MAX;
    if (o->first < c->lane->released)
        o->first = c->lane->released;
    if (o->until <= c->lane->released)
        o->until = 0;
    while (o->first < c->lane->log.head) {
        uint64_t next;
        const struct record *r = chunk_log_at(&c->lane->log, o->first, &next);
        if (r != NULL && r->slot == c->slot && o->first >= c->departed)
            return o->until > 0 && o->low < r->seq ? o->low : r->seq;
        o->first = next;
    }
    return o->until > 0 ? o->low : UINT64_MAX;
}

uint64_t mailbox_floor(struct mailbox *mb)
{
    uint64_t older = shelf_floor(&mb->older), backlog = shelf_floor(&mb->backlog);
    uint64_t floor = older < backlog ? older : backlog;

    for (struct consumer *c = mb->consumers; c != NULL; c = c->next) {
        uint64_t own = consumer_floor(c);
        floor = own < floor ? own : floor;
    }
    return floor;
}

/* ---- Releasing ---- */

void refund_pay(struct refund *refund)
{
    if (refund->bytes > 0)
        account_give(refund->account, refund->bytes);
    refund->bytes = 0;
}

void consumer_released(struct consumer *c, const struct record *r, int outcome,
                       struct refund *refund)
{
    struct mailbox *mb = c->mailbox;

    if (refund->account != mb->account)
        refund_pay(refund);
    refund->account = mb->account;
    refund->bytes += consumer_forget(c, r);
    c->delivered++;
    if (mb->mode == MODE_COPY)
        mailbox_count_copy(mb, r, copies_drop(&mb->copies, r->seq, true), DROP_MAILBOX_FULL);
    else
        mailbox_count_end(mb, r, outcome);
}
