/* SPDX-License-Identifier: MIT */
/* From the journal to the disk, and back into memory. */
#include "daemon/core/mailbox_inside.h"
#include "daemon/core/spool.h"
#include "daemon/core/spool_inside.h"

/* ---- To disk ---- */

static void free_record(struct spool *s, const struct record *r, uint64_t position)
{
    s->log_bytes -= record_bytes_of(r);
    account_give(s->budget, record_bytes_of(r));
    chunk_log_free(&s->log, position);
}

static bool is_needed(const struct mailbox *mb, uint64_t seq, uint64_t floor)
{
    const struct spool_place *p = &mb->state->spool;

    return (p->from != 0 && seq >= p->from) || (mb->spool->is_durable && seq >= floor);
}

void spool_skip_finished(struct mailbox *mb)
{
    struct spool *s = mb->spool;
    uint64_t floor = s->is_durable ? mailbox_floor(mb) : 0;

    while (s->posted < s->log.head) {
        uint64_t next;
        const struct record *r = chunk_log_at(&s->log, s->posted, &next);
        if (r != NULL && is_needed(mb, r->seq, floor))
            return;
        if (r != NULL)
            free_record(s, r, s->posted);
        s->posted = next;
    }
}

bool spool_has_unposted(const struct mailbox *mb)
{
    return mb->spool->posted < mb->spool->log.head;
}

uint64_t spool_unposted_bytes(const struct mailbox *mb)
{
    return mb->spool->log.head - mb->spool->posted;
}

bool spool_has_whole_piece(const struct mailbox *mb)
{
    return ring_next_chunk(mb->spool->posted) <= mb->spool->log.head;
}

bool spool_next_piece(struct mailbox *mb, struct spool_piece *out)
{
    struct spool *s = mb->spool;
    const struct chunk_log *log = &s->log;
    const struct record *r;
    uint64_t next, end;
    uint32_t n_ids = 0;

    spool_skip_finished(mb);
    if (s->posted >= log->head) {
        s->has_waiters = false;
        return false;
    }
    *out = (struct spool_piece){.position = s->posted};
    end = ring_next_chunk(s->posted);
    for (uint64_t at = s->posted; at < end && at < log->head; at = next) {
        r = chunk_log_at(log, at, &next);
        if (r == NULL)
            break;
        n_ids += record_trailer_length_of(record_word_of(r)) > 0;
        if (n_ids > SPOOL_PIECE_IDS)
            break;
        if (out->bytes == NULL)
            out->bytes = (const uint8_t *)r;
        out->last_seq = r->seq;
        s->posted = next;
    }
    out->end = s->posted;
    out->n_bytes = out->end - out->position;
    s->last_posted = out->last_seq;
    s->has_waiters = s->has_waiters && s->posted < log->head;
    return true;
}

void spool_committed(struct mailbox *mb, const struct spool_piece *p)
{
    struct spool *s = mb->spool;
    struct spool_place *place = &mb->state->spool;
    uint64_t before = spool_in_journal(mb->state);

    s->committed = p->last_seq;
    if (place->from != 0 && p->last_seq > place->to) {
        place->to = p->last_seq;
        DURABLE_STEP();
        mb->ledger->queued -= before - spool_in_journal(mb->state);
        mb->ledger->spooled = spool_on_disk(mb->state);
    }
    for (uint64_t at = p->position, next; at < p->end; at = next) {
        const struct record *r = chunk_log_at(&s->log, at, &next);
        if (r != NULL)
            free_record(s, r, at);
    }
}

void spool_failed(struct mailbox *mb, const struct spool_piece *p)
{
    if (mb->spool->posted > p->position)
        mb->spool->posted = p->position;
}

uint64_t spool_finished(struct mailbox *mb)
{
    uint64_t floor = mailbox_floor(mb);
    uint64_t from = mb->state->spool.from;

    if (from == 0)
        from = mb->state->last_seq + 1;
    return (floor < from ? floor : from) - 1;
}

/* ---- Back ---- */

enum spool_source spool_source(const struct mailbox *mb)
{
    const struct spool_place *p = &mb->state->spool;

    if (p->from == 0)
        return SPOOL_NOTHING;
    return p->from <= p->to ? SPOOL_DISK : SPOOL_JOURNAL;
}

uint64_t spool_room(const struct mailbox *mb)
{
    uint64_t used = mb->used;

    if (mb->mode == MODE_COPY && mb->n_active > 0) {
        used = 0;
        for (const struct consumer *c = mb->consumers; c != NULL; c = c->next)
            used = !c->is_leaving && c->used > used ? c->used : used;
    }
    return used < mb->bound ? mb->bound - used : 0;
}

/* The next one comes back into memory. */
static bool bring(struct mailbox *mb, const struct record *r)
{
    struct spool *s = mb->spool;
    struct filing filing = filing_of(r);
    uint32_t bytes = filing_bytes(&filing);

    if (!mailbox_has_room(mb, bytes))
        return false;
    if (r->seq > mb->state->spool.from)
        spool_pass(mb, r->seq, DROP_DAMAGED);
    if (mailbox_put_in_memory(mb, &filing) != MESSAGE_KEPT)
        return false;
    DURABLE_STEP();
    s->bytes -= bytes < s->bytes ? bytes : s->bytes;
    s->since_ns = r->time_ns;
    spool_move_from(mb, r->seq + 1);
    return true;
}

bool spool_take_back(struct mailbox *mb, const struct record *r)
{
    const struct spool_place *p = &mb->state->spool;

    if (p->from == 0 || r->seq < p->from || r->seq > p->to)
        return true;
    return bring(mb, r);
}

/* The first record in the journal that is set aside. NULL: there is none. */
static const struct record *front(struct mailbox *mb)
{
    struct spool *s = mb->spool;

    while (s->read < s->log.head) {
        uint64_t next;
        const struct record *r = chunk_log_at(&s->log, s->read, &next);
        if (r != NULL && spool_is_in_journal(mb->state, r->seq))
            return r;
        s->read = next;
    }
    return NULL;
}

bool spool_refill(struct mailbox *mb, uint64_t budget)
{
    uint64_t n_bytes = 0;

    while (spool_source(mb) == SPOOL_JOURNAL) {
        const struct record *r = front(mb);
        if (r == NULL) {
            spool_pass(mb, mb->state->last_seq + 1, DROP_DAMAGED);
            return false;
        }
        if (n_bytes >= budget)
            return true;
        n_bytes += record_bytes_of(r);
        if (!bring(mb, r))
            return false;
    }
    return false;
}
