/* SPDX-License-Identifier: MIT */
/* From the database back into mailboxes, and out of it what is finished. */
#include "daemon/data/endpoint.h"
#include "daemon/data/spooling.h"
#include "daemon/data/spooling_inside.h"

#include <errno.h>

/* How often what is finished is deleted: from soon on, ever more slowly while nothing changes. */
#define SOON_MS            100
#define LATE_MS            60000
#define LATE_IF_WATCHED_MS 1000 /* where messages grow old, or may be released */

/* ---- Bringing back ---- */

/* Numbers up to `last` have been read, and those that were there have come back. */
static void pass_up_to(struct endpoint *e, uint64_t last, enum drop_reason reason)
{
    const struct spool_place *p = &e->state->spool;

    if (last > p->to)
        last = p->to;
    if (p->from != 0 && p->from <= last)
        spool_pass(&e->mailbox, last + 1, reason);
}

/* False: there was no room for all of them. */
static bool take_back(struct endpoint *e, const struct store_read *read)
{
    for (size_t at = 0; at < read->n_bytes;) {
        const struct record *r = (const struct record *)(const void *)(read->bytes + at);
        if (!spool_take_back(&e->mailbox, r))
            return false;
        at += record_bytes_of(r);
    }
    return true;
}

static void on_read(struct store_job *job)
{
    struct reading *reading = CONTAINER_OF(job, struct reading, job);
    struct worker *w = reading->worker;
    struct endpoint *e = reading->endpoint;

    list_append(&w->spooling->free_readings, &reading->link);
    e->spooling->is_reading = false;
    if (e->is_removed)
        return;
    if (job->status == 0 && take_back(e, &job->read))
        pass_up_to(e, job->read.last_seq, DROP_DAMAGED);
    else if (job->status == -ENOENT)
        pass_up_to(e, e->state->spool.to, DROP_DAMAGED);
    else if (job->status != 0)
        list_remove(&e->spooling->hungry); /* tidying tries again */
    tidy_soon(w);
    endpoint_move(e);
    worker_flush(w);
}

static void read_more(struct endpoint *e)
{
    struct spooling *s = e->worker->spooling;

    if (e->spooling->is_reading || s->port == NULL || list_is_empty(&s->free_readings))
        return;
    struct reading *r = list_member(s->free_readings.next, struct reading, link);
    list_remove(&r->link);
    r->endpoint = e;
    r->job = (struct store_job){.act = STORE_READ, .done = on_read};
    r->job.read = (struct store_read){.endpoint = e->number,
                                      .from_seq = e->state->spool.from,
                                      .bytes = r->bytes,
                                      .capacity = STORE_ROW_BYTES};
    e->spooling->is_reading = true;
    store_post(s->port, &r->job);
}

static bool refill_step(struct worker *w, struct task *t)
{
    struct endpoint *e = CONTAINER_OF(t, struct endpoint_spooling, refill)->endpoint;
    (void)w;

    if (e->is_removed)
        return false;
    bool is_more = spool_refill(&e->mailbox, TASK_BUDGET);
    endpoint_move(e);
    return is_more;
}

void fetch(struct endpoint *e)
{
    struct mailbox *mb = &e->mailbox;
    uint64_t room = spool_room(mb);

    if (e->is_removed || mb->n_active == 0 || spool_source(mb) == SPOOL_NOTHING) {
        list_remove(&e->spooling->hungry);
        return;
    }
    /* Whole rows are read: it has to be worth it. */
    if (room < mb->bound / 2 && room < STORE_ROW_BYTES)
        return;
    if (spool_source(mb) == SPOOL_DISK) {
        read_more(e);
        return;
    }
    e->spooling->refill.step = refill_step;
    task_queue(e->worker, &e->spooling->refill);
}

void spooling_look(struct endpoint *e)
{
    if (e->spooling != NULL && !e->is_removed && e->mailbox.n_active > 0 &&
        spool_source(&e->mailbox) != SPOOL_NOTHING)
        list_join(&e->worker->spooling->hungry, &e->spooling->hungry);
}

/* ---- Catching up ---- */

static bool catch_up_step(struct worker *w, struct task *t)
{
    struct endpoint *e = CONTAINER_OF(t, struct endpoint_spooling, catch_up)->endpoint;

    if (e->is_removed)
        return false;
    bool is_more =
        spool_catch_up(&e->mailbox, w->spooling->found, CATCH_UP_NUMBERS, CATCH_UP_BYTES);
    if (e->mailbox.spool->late == 0)
        list_remove(&e->spooling->late);
    spooling_note(e);
    worker_flush(w);
    return is_more;
}

void catch_up(struct endpoint *e)
{
    if (e->is_removed || !spool_can_catch_up(&e->mailbox))
        return;
    e->spooling->catch_up.step = catch_up_step;
    task_queue(e->worker, &e->spooling->catch_up);
}

/* ---- Deleting what is finished ---- */

static void on_trimmed(struct store_job *job)
{
    struct endpoint *e = job->context;
    struct endpoint_spooling *sp = e->spooling;

    sp->is_trimming = false;
    if (job->status == 0)
        sp->trimmed = sp->trimming;
    if (sp->trimmed >= sp->on_disk && sp->n_appends == 0)
        list_remove(&sp->kept);
}

bool trim(struct endpoint *e)
{
    struct endpoint_spooling *sp = e->spooling;
    uint64_t up_to = spool_finished(&e->mailbox);

    if (spooling_refusal(e) == DROP_SPOOL_FAILED)
        return false;
    if (up_to > sp->on_disk)
        up_to = sp->on_disk;
    if (sp->is_trimming || up_to <= sp->trimmed)
        return false;
    sp->is_trimming = true;
    sp->trimming = up_to;
    sp->trim = (struct store_job){.act = STORE_TRIM, .done = on_trimmed, .context = e};
    sp->trim.trim = (struct store_trim){.endpoint = e->number, .up_to = up_to};
    store_post(e->worker->spooling->port, &sp->trim);
    return true;
}

static void on_expired(struct store_job *job)
{
    struct endpoint *e = job->context;

    e->spooling->is_expiring = false;
    if (job->status == 0 && job->drop_oldest.last_seq > 0 && !e->is_removed)
        pass_up_to(e, job->drop_oldest.last_seq, DROP_EXPIRED);
}

/* What is on disk grows old there too. */
static bool expire(struct endpoint *e)
{
    struct endpoint_spooling *sp = e->spooling;
    int64_t before_ns = wall_clock_ns() - e->mailbox.ttl_ns;

    if (e->mailbox.ttl_ns == 0 || sp->is_expiring || spool_source(&e->mailbox) != SPOOL_DISK ||
        e->mailbox.spool->since_ns >= before_ns)
        return false;
    sp->is_expiring = true;
    sp->expire = (struct store_job){.act = STORE_DROP_OLDEST, .done = on_expired, .context = e};
    sp->expire.drop_oldest =
        (struct store_drop_oldest){.endpoint = e->number, .older_than_ns = before_ns};
    store_post(e->worker->spooling->port, &sp->expire);
    return true;
}

static bool tidy(struct endpoint *e)
{
    if (spooling_refusal(e) == DROP_SPOOL_FAILED)
        return false;
    mailbox_collect(&e->mailbox);
    spooling_look(e);
    bool has_begun = trim(e);
    return expire(e) || has_begun;
}

static void on_tidy(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    struct spooling *s = w->spooling;
    bool has_begun = false;
    uint64_t latest_ms = LATE_MS;

    list_for_each(at, next, &s->kept)
    {
        struct endpoint *e = list_member(at, struct endpoint_spooling, kept)->endpoint;
        has_begun = tidy(e) || has_begun;
        if (e->mailbox.ttl_ns > 0 || e->mailbox.n_active > 0)
            latest_ms = LATE_IF_WATCHED_MS;
    }
    if (!list_is_empty(&s->late))
        latest_ms = LATE_IF_WATCHED_MS;
    s->tidy_ms = has_begun ? SOON_MS : s->tidy_ms * 2;
    if (s->tidy_ms > latest_ms)
        s->tidy_ms = latest_ms;
    if (!list_is_empty(&s->kept) || !list_is_empty(&s->late))
        uv_timer_start(&s->tidy, on_tidy, s->tidy_ms, 0);
    worker_flush(w);
}

int tidy_init(struct worker *w)
{
    w->spooling->tidy.data = w; /* which uv_timer_init leaves as it is */
    return uv_timer_init(&w->loop, &w->spooling->tidy);
}

void tidy_soon(struct worker *w)
{
    struct spooling *s = w->spooling;

    if (uv_is_active((uv_handle_t *)&s->tidy) && s->tidy_ms == SOON_MS)
        return;
    s->tidy_ms = SOON_MS;
    uv_timer_start(&s->tidy, on_tidy, SOON_MS, 0);
}
