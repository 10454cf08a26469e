/* SPDX-License-Identifier: MIT */
/*
 * Messages of a durable endpoint that the journals had no room for, or that came before it was
 * durable: copied there once there is room, in the order of their numbers, so that what is on disk
 * is always all up to some number.
 */
#include "daemon/core/mailbox_inside.h"
#include "daemon/core/spool.h"
#include "daemon/core/spool_inside.h"

#include <string.h>

struct gathering {
    uint64_t first, end; /* numbers */
    const struct record **found;
};

static void gather_one(struct gathering *g, const struct record *r)
{
    if (r->seq >= g->first && r->seq < g->end)
        g->found[r->seq - g->first] = r;
}

static void gather_shelf(struct gathering *g, const struct shelf *s)
{
    for (uint64_t at = s->read, next; at < s->log.head; at = next) {
        const struct record *r = chunk_log_at(&s->log, at, &next);
        if (r == NULL)
            continue;
        if (r->seq >= g->end && !s->is_mixed)
            break;
        gather_one(g, r);
    }
}

static void gather_consumer(struct gathering *g, const struct consumer *c)
{
    const struct chunk_log *log = &c->lane->log;
    uint64_t at = c->order.first;

    if (at < c->lane->released)
        at = c->lane->released;
    if (at < c->departed)
        at = c->departed;
    for (uint64_t next; at < log->head; at = next) {
        const struct record *r = chunk_log_at(log, at, &next);
        if (r == NULL || r->slot != c->slot)
            continue;
        if (r->seq >= g->end && at >= c->order.until)
            break;
        gather_one(g, r);
    }
}

static void gather(struct gathering *g, const struct mailbox *mb)
{
    memset(g->found, 0, (g->end - g->first) * sizeof(*g->found));
    gather_shelf(g, &mb->older);
    gather_shelf(g, &mb->backlog);
    for (const struct consumer *c = mb->consumers; c != NULL; c = c->next)
        gather_consumer(g, c);
}

void spool_begin_late(struct mailbox *mb)
{
    uint64_t floor = mailbox_floor(mb);

    if (floor <= mb->state->last_seq)
        mb->spool->late = floor;
}

bool spool_catch_up(struct mailbox *mb, const struct record **found, size_t n_found,
                    uint64_t budget)
{
    struct spool *s = mb->spool;
    struct gathering g = {s->late, s->late + n_found, found};
    uint64_t n_bytes = 0;

    if (s->late == 0)
        return false;
    gather(&g, mb);
    for (; s->late < g.end && s->late <= mb->state->last_seq; s->late++) {
        const struct record *r = found[s->late - g.first];
        if (r == NULL)
            continue; /* it has ended */
        struct filing filing = filing_of(r);
        if (n_bytes >= budget)
            return true;
        if (spool_put_in_journal(mb, &filing) != MESSAGE_KEPT)
            return false;
        n_bytes += filing_bytes(&filing);
    }
    if (s->late > mb->state->last_seq)
        s->late = 0;
    return s->late != 0;
}
