/* SPDX-License-Identifier: MIT */
/* What of a mailbox is set aside: filing it, and what is left of it. */
#include "daemon/core/spool.h"

#include "daemon/core/mailbox_inside.h"
#include "daemon/core/spool_inside.h"

#include <errno.h>
#include <stdlib.h>

/* ---- Life ---- */

int spool_new(struct spool **out, const struct settings *settings,
              const struct spool_remains *remains, struct account *budget)
{
    struct spool *s = calloc(1, sizeof(*s));

    *out = NULL;
    if (s == NULL)
        return -ENOMEM;
    if (chunk_log_init(&s->log, NULL, NULL, chunk_log_entries(atomic_load(&budget->limit))) != 0) {
        free(s);
        return -ENOMEM;
    }
    s->budget = budget;
    s->remains = *remains;
    spool_configure(s, settings);
    *out = s;
    return 0;
}

void spool_configure(struct spool *s, const struct settings *settings)
{
    s->is_durable = settings->is_durable;
    s->is_overflow = settings->when_full == WHEN_FULL_SPOOL;
    s->max_bytes = settings->spool_bytes > 0 ? settings->spool_bytes : UINT64_MAX;
    s->max_messages = settings->spool_messages > 0 ? settings->spool_messages : UINT64_MAX;
}

static struct spool *let_go(struct spool *s, void (*of_log)(struct chunk_log *))
{
    if (s == NULL)
        return NULL;
    account_give(s->budget, s->log_bytes);
    of_log(&s->log);
    free(s);
    return NULL;
}

struct spool *spool_free(struct spool *s)
{
    return let_go(s, chunk_log_deinit);
}

struct spool *spool_leave(struct spool *s)
{
    return let_go(s, chunk_log_leave);
}

/* ---- Counting ---- */

uint64_t spool_on_disk(const struct endpoint_state *state)
{
    const struct spool_place *p = &state->spool;

    return p->from == 0 || p->to < p->from ? 0 : p->to - p->from + 1 - p->n_gone;
}

uint64_t spool_in_journal(const struct endpoint_state *state)
{
    const struct spool_place *p = &state->spool;
    uint64_t before = p->to < p->from ? p->from - 1 : p->to;

    return p->from == 0 ? 0 : state->last_seq - before;
}

void spool_recount(struct endpoint_state *state)
{
    if (state->spool.from > state->last_seq)
        state->spool.from = 0;
    state->ledger.spooled = spool_on_disk(state);
}

/* Whoever releases something is to say so at once while there is something to come back. */
static void hurry(struct mailbox *mb, bool is_hurried)
{
    for (struct consumer *c = mb->consumers; c != NULL; c = c->next)
        consumer_hurry(c, is_hurried);
}

static void begin(struct mailbox *mb, const struct filing *first)
{
    struct spool_place *p = &mb->state->spool;
    struct spool *s = mb->spool;

    p->n_gone = 0;
    p->to = first->seq - 1;
    DURABLE_STEP();
    p->from = first->seq;
    DURABLE_STEP();
    s->bytes = 0;
    s->since_ns = first->meta->time_ns;
    s->read = s->log.head;
    hurry(mb, true);
}

static void end(struct mailbox *mb)
{
    mb->state->spool.from = 0;
    DURABLE_STEP();
    mb->spool->bytes = 0;
    hurry(mb, false);
}

void spool_move_from(struct mailbox *mb, uint64_t from)
{
    uint64_t before = spool_in_journal(mb->state);

    if (from > mb->state->last_seq) {
        end(mb);
    } else {
        mb->state->spool.from = from;
        DURABLE_STEP();
    }
    mb->ledger->queued -= before - spool_in_journal(mb->state);
    mb->ledger->spooled = spool_on_disk(mb->state);
}

/* Does what is begun; all of it may have been done before. */
static void change(struct endpoint_state *state)
{
    struct spool_place *p = &state->spool;

    state->ledger.dropped[p->change.reason] = p->change.dropped;
    DURABLE_STEP();
    p->n_gone = p->change.n_gone;
    DURABLE_STEP();
    p->from = p->change.from;
    DURABLE_STEP();
    p->change.is_begun = false;
    DURABLE_STEP();
}

void spool_pass(struct mailbox *mb, uint64_t next, enum drop_reason reason)
{
    struct spool_place *p = &mb->state->spool;
    uint64_t n = next - p->from;
    uint64_t n_no_messages = n < p->n_gone ? n : p->n_gone;
    uint64_t in_journal = spool_in_journal(mb->state);

    p->change.from = next;
    p->change.n_gone = p->n_gone - n_no_messages;
    p->change.reason = reason;
    p->change.dropped = mb->ledger->dropped[reason] + n - n_no_messages;
    DURABLE_STEP();
    p->change.is_begun = true;
    DURABLE_STEP();
    change(mb->state);
    mb->ledger->queued -= in_journal - spool_in_journal(mb->state);
    spool_move_from(mb, next); /* which may have been the last */
}

uint64_t spool_discard(struct mailbox *mb, enum drop_reason reason)
{
    struct spool *s = mb->spool;
    uint64_t n;

    if (s == NULL || mb->state->spool.from == 0)
        return 0;
    n = spool_on_disk(mb->state) + spool_in_journal(mb->state);
    for (uint64_t at = s->read, next; at < s->log.head; at = next) {
        const struct record *r = chunk_log_at(&s->log, at, &next);
        if (r != NULL && spool_is_in_journal(mb->state, r->seq))
            mailbox_tell(mb, r, (int)reason);
    }
    spool_pass(mb, mb->state->last_seq + 1, reason);
    return n;
}

/* ---- Filing ---- */

static int refusal_of_disk(const struct mailbox *mb)
{
    return mb->disk_refusal != NULL ? mb->disk_refusal(mb->context) : DROP_SPOOL_FAILED;
}

/* What is late goes first. */
int spool_refusal(const struct mailbox *mb, uint32_t bytes)
{
    const struct account *budget = mb->spool->budget;
    int refusal = refusal_of_disk(mb);

    if (refusal != MESSAGE_KEPT)
        return refusal;
    return mb->spool->late != 0 ||
                   atomic_load_explicit(&budget->used, memory_order_relaxed) + bytes >
                       atomic_load_explicit(&budget->limit, memory_order_relaxed)
               ? DROP_SPOOL_FULL
               : MESSAGE_KEPT;
}

int spool_put_in_journal(struct mailbox *mb, const struct filing *f)
{
    struct spool *s = mb->spool;
    uint32_t bytes = filing_bytes(f);

    if (!account_take(s->budget, bytes))
        return DROP_SPOOL_FULL;
    const struct record *r = filing_put(&s->log, 0, f);
    if (r == NULL) {
        account_give(s->budget, bytes);
        return DROP_NO_MEMORY;
    }
    struct message_tag tag;
    s->log_bytes += bytes;
    record_tag(r, &tag);
    s->has_waiters = s->has_waiters || tag.wants_disk;
    return MESSAGE_KEPT;
}

static int set_aside(struct mailbox *mb, const struct filing *f)
{
    struct spool *s = mb->spool;
    uint64_t n = spool_on_disk(mb->state) + spool_in_journal(mb->state);
    bool is_first = mb->state->spool.from == 0;

    if (n >= s->max_messages || (!is_first && s->bytes + filing_bytes(f) > s->max_bytes))
        return DROP_SPOOL_FULL;
    int outcome = spool_refusal(mb, filing_bytes(f));
    if (outcome != MESSAGE_KEPT)
        return outcome;
    if (is_first)
        begin(mb, f);
    outcome = spool_put_in_journal(mb, f);
    if (outcome == MESSAGE_KEPT) {
        s->bytes += filing_bytes(f);
        mb->ledger->queued++;
    } else if (is_first) {
        end(mb);
    }
    return outcome;
}

/* It is in memory. Who waits for the disk has asked before: a full disk does not matter, since what
 * the journal holds waits there. */
static void copy_to_journal(struct mailbox *mb, const struct filing *f)
{
    struct spool *s = mb->spool;

    if (s->late == 0 && refusal_of_disk(mb) != DROP_SPOOL_FAILED &&
        spool_put_in_journal(mb, f) != MESSAGE_KEPT)
        s->late = f->seq;
}

int spool_put(struct mailbox *mb, const struct filing *f)
{
    struct spool *s = mb->spool;

    if (mb->state->spool.from == 0) {
        int outcome = s->is_overflow && !mailbox_has_room(mb, filing_bytes(f))
                          ? (int)DROP_MAILBOX_FULL
                          : mailbox_put_in_memory(mb, f);
        if (outcome == MESSAGE_KEPT && s->is_durable)
            copy_to_journal(mb, f);
        if (outcome == MESSAGE_KEPT || !s->is_overflow)
            return outcome;
    }
    return set_aside(mb, f);
}

bool spool_can_catch_up(const struct mailbox *mb)
{
    const struct account *budget = mb->spool->budget;

    return mb->spool->late != 0 && refusal_of_disk(mb) == MESSAGE_KEPT &&
           atomic_load_explicit(&budget->used, memory_order_relaxed) <=
               atomic_load_explicit(&budget->limit, memory_order_relaxed) / 2;
}

/* ---- After a predecessor ---- */

/* A power cut has left nothing but the disk: the words are absolute, so that this may be done
 * twice. */
static void take_up(struct endpoint_state *state, const struct spool_remains *remains)
{
    struct spool_place *p = &state->spool;
    uint64_t last = remains->released > remains->last_seq ? remains->released : remains->last_seq;

    if (state->last_seq < last)
        state->last_seq = last;
    if (remains->n + remains->n_missing > 0) {
        state->ledger.received = remains->n + remains->n_missing;
        state->ledger.dropped[DROP_DAMAGED] = remains->n_missing;
    }
    if (remains->n > 0) {
        p->to = remains->last_seq;
        p->n_gone = remains->last_seq - remains->first_seq + 1 - remains->n;
        p->from = remains->first_seq;
        state->ledger.spooled = remains->n;
    }
    DURABLE_STEP();
    p->is_known = true;
    DURABLE_STEP();
}

void spool_settle(struct endpoint_state *state, const struct spool_remains *remains)
{
    struct spool_place *p = &state->spool;

    if (p->change.is_begun)
        change(state);
    if (!p->is_known)
        take_up(state, remains);
    else if (p->from != 0 && remains->last_seq > p->to)
        p->to = remains->last_seq; /* it had been committed, and nobody had heard of it */
    DURABLE_STEP();
}

bool spool_is_in_journal(const struct endpoint_state *state, uint64_t seq)
{
    return state->spool.from != 0 && seq >= state->spool.from && seq > state->spool.to;
}

void spool_found(struct endpoint_state *state, uint64_t seq)
{
    if (state->spool.from != 0 && seq >= state->spool.from)
        state->spool.from = seq + 1;
    DURABLE_STEP();
}

/* There was less room for the journal, or there is more in it than there may be. */
static bool make_entries(struct chunk_log *log)
{
    struct chunk_log_tables tables;

    if (chunk_log_tables_new(&tables, log->n_entries * 2) != 0)
        return false;
    chunk_log_grow(log, &tables);
    chunk_log_tables_free(&tables);
    return true;
}

static bool restore(struct spool *s, const struct record *r)
{
    struct filing filing = filing_of(r);
    uint32_t bytes = filing_bytes(&filing);

    if (filing_put(&s->log, 0, &filing) == NULL &&
        (!make_entries(&s->log) || filing_put(&s->log, 0, &filing) == NULL))
        return false;
    s->log_bytes += bytes;
    atomic_fetch_add_explicit(&s->budget->used, bytes, memory_order_relaxed);
    return true;
}

bool spool_restore(struct mailbox *mb, const struct record *r)
{
    if (mb->spool == NULL || !restore(mb->spool, r))
        return false;
    mb->spool->bytes += record_bytes_of(r);
    return true;
}

void spool_note_restored(struct mailbox *mb, const struct record *r)
{
    if (mb->spool != NULL && mb->spool->is_durable && r->seq > mb->spool->remains.last_seq)
        (void)restore(mb->spool, r); /* without memory it is safe from all but a power cut */
}

void spool_go_on(struct mailbox *mb)
{
    struct spool *s = mb->spool;
    const struct spool_remains *remains;
    uint64_t n = spool_on_disk(mb->state);

    if (s == NULL)
        return;
    remains = &s->remains;
    s->committed = s->last_posted = remains->last_seq;
    s->since_ns = remains->oldest_ns;
    if (n > 0 && remains->n > 0)
        s->bytes += remains->bytes / remains->n * (n < remains->n ? n : remains->n);
}
