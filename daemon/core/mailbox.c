/* SPDX-License-Identifier: MIT */
/* What an endpoint holds for its consumers: filing, moving, taking back. */
#include "daemon/core/mailbox.h"

#include "daemon/core/mailbox_inside.h"

#include <errno.h>
#include <stdlib.h>

/* ---- Life ---- */

int mailbox_init(struct mailbox *mb, const struct mailbox_options *options)
{
    const struct settings *s = options->settings;
    uint32_t entries = chunk_log_entries(s->mailbox_bytes);

    *mb = (struct mailbox){
        .mode = s->mode,
        .next_mode = s->mode,
        .when_full = s->when_full,
        .bound = s->mailbox_bytes,
        .account = options->account,
        .ledger = options->ledger,
        .state = options->state,
        .max_deliver = s->max_deliver,
        .ttl_ns = s->ttl_s * INT64_C(1000000000),
        .settled = options->settled,
        .aside = options->aside,
        .spool = options->spool,
        .disk_refusal = options->disk_refusal,
        .context = options->context,
    };
    if (chunk_log_init(&mb->older.log, NULL, NULL, entries) != 0 ||
        chunk_log_init(&mb->backlog.log, NULL, NULL, entries) != 0) {
        mailbox_deinit(mb);
        return -ENOMEM;
    }
    return 0;
}

static void settle_spool(struct mailbox *mb)
{
    if (mb->spool == NULL)
        return;
    mb->spool->log.owner = mb->state->number | CHUNK_OF_JOURNAL;
    mb->spool->log.arena = mb->older.log.arena;
}

void mailbox_settle(struct mailbox *mb, struct arena *arena)
{
    if (mb->state != NULL)
        mb->older.log.owner = mb->backlog.log.owner = mb->state->number;
    mb->older.log.arena = arena;
    mb->backlog.log.arena = arena;
    settle_spool(mb);
}

void mailbox_configure(struct mailbox *mb, const struct settings *s,
                       struct chunk_log_tables tables[2], struct spool **spool)
{
    bool is_copy = mb->mode == MODE_COPY || s->mode == MODE_COPY;

    chunk_log_grow(&mb->older.log, &tables[0]);
    chunk_log_grow(&mb->backlog.log, &tables[1]);
    mb->bound = s->mailbox_bytes;
    mb->when_full = s->when_full;
    mb->max_deliver = s->max_deliver;
    mb->ttl_ns = s->ttl_s * INT64_C(1000000000);
    mb->next_mode = s->mode;
    bool is_first = mb->spool == NULL && *spool != NULL;
    if (is_first) {
        mb->spool = *spool;
        *spool = NULL;
        settle_spool(mb);
    }
    if (mb->spool != NULL)
        spool_configure(mb->spool, s);
    if (is_first && mb->spool->is_durable)
        spool_begin_late(mb);
    if (mb->consumers == NULL || !is_copy)
        mb->mode = s->mode;
}

void mailbox_deinit(struct mailbox *mb)
{
    chunk_log_deinit(&mb->older.log);
    chunk_log_deinit(&mb->backlog.log);
    free(mb->copies.slots);
    mb->spool = spool_free(mb->spool);
    *mb = (struct mailbox){0};
}

/* ---- Filing ---- */

/* Numbers rise but for what another consumer has left. */
static void note_order(struct order *o, uint64_t seq, uint64_t end)
{
    if (seq > o->high) {
        o->high = seq;
        return;
    }
    o->low = o->until == 0 || seq < o->low ? seq : o->low;
    o->until = end;
}

static bool file_for(struct consumer *c, const struct filing *f)
{
    const struct record *r = filing_put(&c->lane->log, c->slot, f);

    if (r == NULL)
        return false;
    lane_note_filed(c->lane, r);
    note_order(&c->order, r->seq, c->lane->log.head);
    c->used += filing_bytes(f);
    c->queued++;
    lane_mark_dirty(c->lane);
    return true;
}

static bool is_handing_over(const struct mailbox *mb)
{
    return mb->n_active > 0 && mb->n_leaving == 0 && mb->n_awaited == 0 && !mb->is_held;
}

static bool is_direct(const struct mailbox *mb)
{
    return is_handing_over(mb) && shelf_is_empty(&mb->older) && shelf_is_empty(&mb->backlog);
}

/* Whom the next message of an exclusive or share endpoint goes to: who holds least. */
static struct consumer *least_laden(const struct mailbox *mb)
{
    struct consumer *least = NULL;

    for (struct consumer *c = mb->consumers; c != NULL; c = c->next)
        if (!c->is_leaving && (least == NULL || c->used < least->used))
            least = c;
    return least;
}

void mailbox_collect(struct mailbox *mb)
{
    for (struct consumer *c = mb->consumers; c != NULL; c = c->next)
        (void)!lane_collect(c->lane); /* a broken lane says so itself */
}

/* ---- Putting ---- */

static bool make_room(struct mailbox *mb, uint32_t need)
{
    if (mb->used + need <= mb->bound)
        return true;
    mailbox_collect(mb);
    while (mb->used + need > mb->bound)
        if (mb->when_full != WHEN_FULL_DROP_OLD || !mailbox_drop_oldest(mb))
            return false;
    return true;
}

void mailbox_prepay(struct mailbox *mb, uint64_t bytes)
{
    if (account_take(mb->account, bytes))
        mb->prepaid += bytes;
}

void mailbox_refund(struct mailbox *mb)
{
    if (mb->prepaid > 0)
        account_give(mb->account, mb->prepaid);
    mb->prepaid = 0;
}

static bool charge(struct mailbox *mb, uint32_t bytes)
{
    uint64_t from_prepaid = mb->prepaid < bytes ? mb->prepaid : bytes;

    if (from_prepaid < bytes && !account_take(mb->account, bytes - from_prepaid))
        return false;
    mb->prepaid -= from_prepaid;
    return true;
}

static bool shelve(struct shelf *s, const struct filing *f)
{
    shelf_note(s, f->seq);
    return filing_put(&s->log, 0, f) != NULL;
}

static int put_one(struct mailbox *mb, const struct filing *f)
{
    uint32_t need = filing_bytes(f);

    if (!make_room(mb, need))
        return DROP_MAILBOX_FULL;
    if (!charge(mb, need))
        return DROP_QUOTA_EXCEEDED;
    bool is_filed = is_direct(mb) ? file_for(least_laden(mb), f) : shelve(&mb->backlog, f);
    if (!is_filed) {
        account_give(mb->account, need);
        return DROP_NO_MEMORY;
    }
    mb->used += need;
    mb->ledger->queued++;
    return MESSAGE_KEPT;
}

static bool make_room_for(struct mailbox *mb, struct consumer *c, uint32_t need)
{
    if (c->used + need <= mb->bound)
        return true;
    (void)!lane_collect(c->lane); /* a broken lane says so itself */
    while (c->used + need > mb->bound)
        if (mb->when_full != WHEN_FULL_DROP_OLD || !consumer_drop_oldest(c))
            return false;
    return true;
}

/* A copy for each consumer. MESSAGE_KEPT if at least one got it. */
static int put_copies(struct mailbox *mb, const struct filing *f)
{
    uint32_t need = filing_bytes(f);
    uint32_t n_holders = 0;
    int outcome = DROP_MAILBOX_FULL;

    if (!copies_has_room(&mb->copies))
        return DROP_NO_MEMORY;
    for (struct consumer *c = mb->consumers; c != NULL; c = c->next) {
        if (c->is_leaving)
            continue;
        if (!make_room_for(mb, c, need)) {
            c->missed++;
        } else if (!charge(mb, need)) {
            c->missed++;
            outcome = DROP_QUOTA_EXCEEDED;
        } else if (!file_for(c, f)) {
            account_give(mb->account, need);
            c->missed++;
            outcome = DROP_NO_MEMORY;
        } else {
            mb->used += need;
            n_holders++;
        }
    }
    if (n_holders == 0)
        return outcome;
    copies_add(&mb->copies, f->seq, n_holders);
    return MESSAGE_KEPT;
}

bool mailbox_has_room(struct mailbox *mb, uint32_t bytes)
{
    if (mb->mode != MODE_COPY || !is_direct(mb)) {
        if (mb->used + bytes > mb->bound)
            mailbox_collect(mb);
        return mb->used + bytes <= mb->bound;
    }
    for (struct consumer *c = mb->consumers; c != NULL; c = c->next) {
        if (!c->is_leaving && c->used + bytes > mb->bound)
            (void)!lane_collect(c->lane); /* a broken lane says so itself */
        if (!c->is_leaving && c->used + bytes > mb->bound)
            return false;
    }
    return true;
}

int mailbox_put_in_memory(struct mailbox *mb, const struct filing *f)
{
    if (mb->mode != MODE_COPY || !is_direct(mb))
        return put_one(mb, f);

    int outcome = put_copies(mb, f);
    mb->ledger->queued += outcome == MESSAGE_KEPT;
    return outcome;
}

int mailbox_put(struct mailbox *mb, struct filing *f)
{
    f->seq = mb->last_seq + 1;
    int outcome = mb->spool != NULL ? spool_put(mb, f) : mailbox_put_in_memory(mb, f);
    if (outcome == MESSAGE_KEPT) {
        mb->last_seq++;
        if (mb->state != NULL)
            mb->state->last_seq = mb->last_seq;
    }
    return outcome;
}

/* ---- Taking back ---- */

/* Back on the shelf, charged again. */
static void reshelve(struct mailbox *mb, const struct record *r, bool was_taken)
{
    uint32_t bytes = record_bytes_of(r);
    struct filing filing = was_taken ? filing_of_returned(r) : filing_of(r);
    struct consumer *other = mb->mode == MODE_SHARE ? least_laden(mb) : NULL;

    bool is_filed = (other != NULL && file_for(other, &filing)) || shelve(&mb->older, &filing);
    if (!is_filed) {
        mailbox_count_end(mb, r, DROP_NO_MEMORY);
        return;
    }
    mb->used += bytes;
    atomic_fetch_add_explicit(&mb->account->used, bytes, memory_order_relaxed);
}

/* Has it come back as often as it may, now that it comes back again? */
static bool is_worn_out(const struct mailbox *mb, const struct record *r, bool was_taken)
{
    return was_taken && mb->max_deliver > 0 &&
           record_returns_of(record_word_of(r)) + 1 >= mb->max_deliver;
}

/* Whoever it was for: nobody holds it any more. */
static bool is_to_come_again(const struct mailbox *mb, enum copy_outcome outcome)
{
    if (mb->is_held && mb->mode == MODE_COPY)
        return outcome != COPY_HELD;
    return outcome == COPY_MISSED && (mb->mode != MODE_COPY || mb->n_active == 0);
}

bool mailbox_take_back(struct mailbox *mb, struct consumer *from, const struct record *r,
                       bool was_taken, int drop)
{
    enum copy_outcome outcome = COPY_MISSED;

    if (drop == MESSAGE_KEPT && is_worn_out(mb, r, was_taken)) {
        if (mb->aside.has_room != NULL && !mb->aside.has_room(mb->context, r))
            return false;
        drop = (int)DROP_MAX_DELIVER;
    }

    account_give(mb->account, consumer_forget(from, r));
    if (mb->mode == MODE_COPY)
        outcome = copies_drop(&mb->copies, r->seq, false);
    if (outcome == COPY_MISSED && drop != MESSAGE_KEPT) {
        mailbox_count_end(mb, r, drop);
    } else if (is_to_come_again(mb, outcome)) {
        reshelve(mb, r, was_taken);
    } else {
        mailbox_count_copy(mb, r, outcome, DROP_MAILBOX_FULL);
    }
    return true;
}

/* ---- After a predecessor ---- */

bool mailbox_restore(struct mailbox *mb, const struct record *r, bool was_taken)
{
    uint32_t bytes = record_bytes_of(r);
    struct filing filing = was_taken ? filing_of_returned(r) : filing_of(r);

    if (!shelve(&mb->older, &filing))
        return false;
    mb->used += bytes;
    atomic_fetch_add_explicit(&mb->account->used, bytes, memory_order_relaxed);
    return true;
}

void mailbox_leave(struct mailbox *mb)
{
    mb->spool = spool_leave(mb->spool);
    chunk_log_leave(&mb->older.log);
    chunk_log_leave(&mb->backlog.log);
    mailbox_deinit(mb);
}

/* ---- Moving ---- */

bool mailbox_can_move(const struct mailbox *mb)
{
    return is_handing_over(mb) && !(shelf_is_empty(&mb->older) && shelf_is_empty(&mb->backlog));
}

/* Moves the first record of a shelf to who is to have it. False: no memory there at present. */
static bool move_front(struct mailbox *mb, struct shelf *s, uint64_t position, struct record *r)
{
    uint32_t bytes = record_bytes_of(r);
    struct filing filing = filing_of(r);

    if (mb->mode == MODE_COPY) {
        /* Each copy is charged by itself; the shelf's own charge ends here. */
        mb->used -= bytes;
        account_give(mb->account, bytes);
        int outcome = put_copies(mb, &filing);
        if (outcome != MESSAGE_KEPT)
            mailbox_count_end(mb, r, outcome);
    } else if (!file_for(least_laden(mb), &filing)) {
        return false;
    }
    shelf_pop(s, position, bytes);
    return true;
}

bool mailbox_move(struct mailbox *mb, uint64_t budget)
{
    uint64_t moved = 0;

    while (mailbox_can_move(mb)) {
        uint64_t position;
        struct shelf *s = shelf_is_empty(&mb->older) ? &mb->backlog : &mb->older;
        struct record *r = shelf_front(s, &position);
        if (r == NULL)
            return false;
        if (moved >= budget)
            return true;
        moved += record_bytes_of(r);
        if (!move_front(mb, s, position, r))
            return false;
    }
    return false;
}
