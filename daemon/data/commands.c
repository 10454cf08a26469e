/* SPDX-License-Identifier: MIT */
/* Commands about endpoints: adding, changing, removing, sending, looking. */
#include "daemon/data/care.h"
#include "daemon/data/evidence.h"
#include "daemon/data/intake.h"
#include "daemon/data/link.h"
#include "daemon/data/receiver.h"
#include "daemon/data/recovery.h"
#include "daemon/data/sessions.h"
#include "daemon/data/shard.h"
#include "daemon/data/socket.h"
#include "daemon/data/spooling.h"
#include "daemon/data/tap.h"
#include "proto/json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Add ---- */

static void run_add(struct worker *w, struct command *c)
{
    struct endpoint *e = CONTAINER_OF(c, struct endpoint, add);

    mailbox_settle(&e->mailbox, &w->arena);
    e->mailbox.intent = receive_batch_intent(w->batch);
    e->drops_read_ms = uv_now(&w->loop);
    endpoint_recover(e);
    care_configure(e);
    endpoint_watch(e);
}

void worker_add(struct worker *worker, struct endpoint *e)
{
    e->worker = worker;
    e->add.run = run_add;
    command_post(worker, &e->add);
}

/* ---- Configure ---- */

struct configure {
    struct command command;
    struct endpoint *endpoint;
    struct settings settings;
    struct chunk_log_tables tables[2];
    struct spool *spool;
    struct endpoint_spooling *spooling;
    struct join_memory memory;
};

static void configure_free(struct configure *f)
{
    settings_deinit(&f->settings);
    chunk_log_tables_free(&f->tables[0]);
    chunk_log_tables_free(&f->tables[1]);
    spool_free(f->spool);
    endpoint_spooling_free(f->spooling);
    join_memory_free(&f->memory);
    free(f);
}

static void run_configure(struct worker *w, struct command *c)
{
    struct configure *f = CONTAINER_OF(c, struct configure, command);
    struct endpoint *e = f->endpoint;
    struct settings former = e->settings;

    f->settings.address = former.address; /* what the socket is bound to */
    e->settings = f->settings;
    f->settings = former;
    mailbox_configure(&e->mailbox, &e->settings, f->tables, &f->spool);
    if (e->spooling == NULL) {
        e->spooling = f->spooling;
        f->spooling = NULL;
    }
    care_configure(e);
    if (f->memory.copies != NULL)
        f->memory.copies = copies_grow(&e->mailbox.copies, f->memory.copies, f->memory.n_copies);
    spooling_note(e);
    worker_flush(w);
    command_finish(w, c);
}

static void configure_done(struct command *c)
{
    configure_free(CONTAINER_OF(c, struct configure, command));
}

int worker_configure(struct worker *worker, struct endpoint *e, const struct settings *settings)
{
    struct configure *f = calloc(1, sizeof(*f));
    uint32_t entries = chunk_log_entries(settings->mailbox_bytes);

    if (f == NULL)
        return -ENOMEM;
    enum endpoint_mode former_mode = e->promised_mode;
    uint64_t former_bytes = e->promised_bytes;
    e->promised_mode = settings->mode;
    e->promised_bytes = settings->mailbox_bytes;
    if (settings_copy(settings, &f->settings) != 0 ||
        chunk_log_tables_new(&f->tables[0], entries) != 0 ||
        chunk_log_tables_new(&f->tables[1], entries) != 0 ||
        endpoint_spool_new(e, settings, NULL, &f->spool, &f->spooling) != 0 ||
        join_memory_new(&f->memory, e, 0) != 0) {
        e->promised_mode = former_mode;
        e->promised_bytes = former_bytes;
        configure_free(f);
        return -ENOMEM;
    }
    f->endpoint = e;
    f->command = (struct command){.run = run_configure, .done = configure_done};
    command_post(worker, &f->command);
    return 0;
}

/* ---- Remove ---- */

static bool closing_step(struct worker *w, struct task *t)
{
    struct endpoint *e = CONTAINER_OF(t, struct endpoint, removal.task);
    struct removal *r = &e->removal;

    if (e->move.is_queued || w->n_snapshots > 0 || !list_is_empty(&e->carriers) ||
        spooling_settle(e))
        return true;
    spooling_gone(e);
    command_finish(w, &r->command);
    return false;
}

/* The sockets stay open until every sender who waits has been told. */
static bool removal_step(struct worker *w, struct task *t)
{
    struct endpoint *e = CONTAINER_OF(t, struct endpoint, removal.task);
    struct removal *r = &e->removal;

    if (e->mailbox.consumers != NULL)
        return true;
    if (!r->is_for_successor) {
        mailbox_discard(&e->mailbox, r->reason);
        (void)spool_discard(&e->mailbox, r->reason);
        endpoint_drain(e);
    }
    spooling_end(e);
    worker_flush(w);
    endpoint_unwatch(e);
    r->task.step = closing_step;
    return true;
}

/* Nobody has anything of it, and nothing of it is under way: ten thousand of these leave in half
 * the time in which each would get its turns. */
static bool is_idle(const struct worker *w, const struct endpoint *e)
{
    return e->mailbox.consumers == NULL && e->spooling == NULL && list_is_empty(&e->carriers) &&
           !e->move.is_queued && w->n_snapshots == 0;
}

static void run_remove(struct worker *w, struct command *c)
{
    struct endpoint *e = CONTAINER_OF(c, struct endpoint, removal.command);
    struct removal *r = &e->removal;

    shards_settle(e);
    e->is_removed = true;
    int drop = e->removal.is_for_successor ? MESSAGE_KEPT : (int)r->reason;
    care_leave(e);
    sessions_leave(e);
    taps_orphan(e);
    if (r->is_for_successor && is_idle(w, e)) {
        worker_flush(w); /* its answers are sent before the sockets are closed */
        endpoint_unwatch(e);
        command_finish(w, c);
        return;
    }
    endpoint_stop(e);
    for (struct consumer *at = e->mailbox.consumers, *next; at != NULL; at = next) {
        next = at->next;
        if (at->lane->log.header != NULL)
            attachment_leave(at->owner, drop);
        else
            receiver_leave(at->owner, drop);
    }
    r->task.step = removal_step;
    task_queue(w, &r->task);
}

static void remove_done(struct command *c)
{
    struct endpoint *e = CONTAINER_OF(c, struct endpoint, removal.command);
    struct removal *r = &e->removal;

    if (r->done != NULL)
        r->done(r->context, e->ledger);
    endpoint_free(e);
}

void worker_remove(struct endpoint *e, enum drop_reason reason, removed_done done, void *context)
{
    e->removal = (struct removal){.command = {.run = run_remove, .done = remove_done},
                                  .reason = reason,
                                  .done = done,
                                  .context = context};
    shards_stop(e, &e->removal.command);
}

void worker_leave(struct endpoint *e, bool is_memory_kept)
{
    e->removal = (struct removal){.command = {.run = run_remove, .done = remove_done},
                                  .reason = DROP_RELEASED,
                                  .is_for_successor = true,
                                  .is_memory_kept = is_memory_kept};
    shards_stop(e, &e->removal.command);
}

/* ---- Keep copies ---- */

struct keep_copies {
    struct command command;
    struct endpoint *endpoint;
};

static void run_keep_copies(struct worker *w, struct command *c)
{
    struct keep_copies *k = CONTAINER_OF(c, struct keep_copies, command);

    mailbox_collect(&k->endpoint->mailbox);
    mailbox_hold(&k->endpoint->mailbox);
    command_finish(w, c);
}

static void keep_copies_done(struct command *c)
{
    free(CONTAINER_OF(c, struct keep_copies, command));
}

int worker_keep_copies(struct worker *worker, struct endpoint *endpoint)
{
    struct keep_copies *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return -ENOMEM;
    *k = (struct keep_copies){.command = {.run = run_keep_copies, .done = keep_copies_done},
                              .endpoint = endpoint};
    command_post(worker, &k->command);
    return 0;
}

/* ---- Purge ---- */

struct purge {
    struct command command;
    struct endpoint *endpoint;
    uint64_t n;
    purge_done done;
    void *context;
};

static void run_purge(struct worker *w, struct command *c)
{
    struct purge *p = CONTAINER_OF(c, struct purge, command);

    if (!p->endpoint->is_removed)
        p->n = spool_discard(&p->endpoint->mailbox, DROP_PURGED);
    worker_flush(w);
    command_finish(w, c);
}

static void purge_finished(struct command *c)
{
    struct purge *p = CONTAINER_OF(c, struct purge, command);

    p->done(p->context, p->n);
    free(p);
}

int worker_purge_spool(struct worker *worker, struct endpoint *endpoint, purge_done done,
                       void *context)
{
    struct purge *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return -ENOMEM;
    *p = (struct purge){.command = {.run = run_purge, .done = purge_finished},
                        .endpoint = endpoint,
                        .done = done,
                        .context = context};
    command_post(worker, &p->command);
    return 0;
}

/* ---- Send ---- */

/* A datagram that control hands to the worker. */
struct parcel {
    struct command command;
    struct endpoint *endpoint;
    struct address from;
    struct address to;
    bool is_reply;
    struct answered answered; /* is_reply: what is answered */
    char id[FRAME_ID_MAX];
    int outcome;
    send_done done;
    void *context;
    size_t n_bytes;
    uint8_t bytes[];
};

static void parcel_done(struct command *c)
{
    struct parcel *p = CONTAINER_OF(c, struct parcel, command);

    if (p->done != NULL)
        p->done(p->context, p->outcome);
    free(p);
}

static struct parcel *parcel_new(const void *bytes, size_t n_bytes)
{
    struct parcel *p = calloc(1, sizeof(*p) + n_bytes + JSON_TEXT_SLACK);

    if (p == NULL)
        return NULL;
    p->command.done = parcel_done;
    p->n_bytes = n_bytes;
    if (n_bytes > 0)
        memcpy(p->bytes, bytes, n_bytes);
    return p;
}

static void run_send(struct worker *w, struct command *c)
{
    struct parcel *p = CONTAINER_OF(c, struct parcel, command);

    p->outcome = p->is_reply ? endpoint_reply(p->endpoint, &p->answered, p->bytes, p->n_bytes)
                             : endpoint_send(p->endpoint, &p->from, &p->to, p->bytes, p->n_bytes);
    command_finish(w, c);
}

int worker_send(struct worker *worker, const struct send_request *request)
{
    struct parcel *p = parcel_new(request->bytes, request->n_bytes);

    if (p == NULL)
        return -ENOMEM;
    p->command.run = run_send;
    p->endpoint = request->endpoint;
    p->from = request->from;
    p->to = request->to;
    p->is_reply = request->is_reply;
    p->answered = (struct answered){
        .from = request->to, .to = request->from, .type = request->type, .id = request->id};
    if (request->id.text.n > 0)
        memcpy(p->id, request->id.text.bytes, request->id.text.n);
    p->answered.id.text.bytes = (const uint8_t *)p->id;
    p->done = request->done;
    p->context = request->context;
    command_post(worker, &p->command);
    return 0;
}

/* ---- Snapshot ---- */

#define SNAPSHOTS_PER_STEP 256

struct snapshot_command {
    struct command command;
    struct task task;
    struct snapshot *snapshots;
    size_t n;
    size_t n_filled;
    snapshot_done done;
    void *context;
};

static void fill_consumers(struct snapshot *s, const struct mailbox *mb)
{
    for (const struct consumer *c = mb->consumers; c != NULL; c = c->next) {
        if (c->is_leaving)
            continue;
        if (s->n_consumers < MAX_CONSUMER_ROWS) {
            bool is_link = c->lane->log.header != NULL;
            s->consumers[s->n_consumers] = (struct consumer_row){
                .kind = is_link ? CONSUMER_ATTACHED : CONSUMER_RECEIVING,
                .key =
                    is_link ? (const void *)((const struct attachment *)c->owner)->link : c->owner,
                .delivered = c->delivered,
                .queued = c->queued,
                .missed = c->missed,
                .is_stalled = c->watch.is_stalled,
            };
        }
        s->n_consumers++;
        s->n_stalled += c->watch.is_stalled;
    }
}

static void fill_spool(struct spool_info *out, struct endpoint *e)
{
    const struct spool *spool = e->mailbox.spool;

    *out = (struct spool_info){.is_on = spool != NULL};
    if (spool == NULL)
        return;
    out->is_failed = spooling_refusal(e) == DROP_SPOOL_FAILED;
    out->n_waiting = spool_in_journal(e->state);
    out->messages = spool_on_disk(e->state);
    out->bytes = spool->bytes;
    out->since_ns = out->messages + out->n_waiting > 0 ? spool->since_ns : 0;
}

static void fill_snapshot(struct snapshot *s)
{
    struct endpoint *e = s->endpoint;

    mailbox_collect(&e->mailbox);
    endpoint_read_drops(e);
    s->ledger = *e->ledger;
    s->mailbox_used = e->mailbox.used;
    fill_spool(&s->spool, e);
    s->n_consumers = s->n_stalled = 0;
    fill_consumers(s, &e->mailbox);
    sources_sort(&e->sources);
    s->n_sources = e->sources.n;
    for (uint32_t i = 0; i < e->sources.n; i++) {
        const struct source *row = &e->sources.rows[i];
        struct record r = {.from_port = 0};
        memcpy(r.from_ip, row->ip, sizeof(r.from_ip));
        record_from(&r, &s->sources[i].address);
        s->sources[i].messages = row->count;
        s->sources[i].error = row->error;
    }
}

static bool snapshot_step(struct worker *w, struct task *t)
{
    struct snapshot_command *s = CONTAINER_OF(t, struct snapshot_command, task);

    for (int i = 0; i < SNAPSHOTS_PER_STEP && s->n_filled < s->n; i++)
        fill_snapshot(&s->snapshots[s->n_filled++]);
    worker_flush(w);
    if (s->n_filled < s->n)
        return true;
    w->n_snapshots--;
    command_finish(w, &s->command);
    return false;
}

static void run_snapshot(struct worker *w, struct command *c)
{
    struct snapshot_command *s = CONTAINER_OF(c, struct snapshot_command, command);

    w->n_snapshots++;
    s->task.step = snapshot_step;
    task_queue(w, &s->task);
}

static void snapshot_finished(struct command *c)
{
    struct snapshot_command *s = CONTAINER_OF(c, struct snapshot_command, command);

    s->done(s->context, s->snapshots, s->n);
    free(s);
}

int worker_snapshot(struct worker *worker, struct snapshot *snapshots, size_t n, snapshot_done done,
                    void *context)
{
    struct snapshot_command *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return -ENOMEM;
    *s = (struct snapshot_command){.command = {.run = run_snapshot, .done = snapshot_finished},
                                   .snapshots = snapshots,
                                   .n = n,
                                   .done = done,
                                   .context = context};
    command_post(worker, &s->command);
    return 0;
}
