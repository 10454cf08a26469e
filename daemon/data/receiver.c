/* SPDX-License-Identifier: MIT */
/* One Receive call: a consumer whose messages stay in msgd's own memory. */
#include "daemon/data/receiver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A receiver's log has room for the largest mailbox that is usual; one that is larger by a later
 * change waits in the backlog. */
#define RECEIVER_LOG_BYTES (UINT64_C(1) << 30)

static void receiver_free(struct receiver *r)
{
    chunk_log_deinit(&r->lane.log);
    free(r->lane.slots);
    join_memory_free(&r->memory);
    free(r);
}

/* ---- Fetching ---- */

/* Copies waiting messages into the batch and counts them as handed over. */
static void fill(struct lane *lane, struct batch *b, size_t max)
{
    b->n_bytes = b->n_messages = 0;
    while (lane->taken < lane->log.head && b->n_messages < max) {
        uint64_t next;
        struct record *record = chunk_log_at(&lane->log, lane->taken, &next);
        if (record != NULL) {
            uint32_t n = record_bytes(
                record_content_of(atomic_load_explicit(&record->word, memory_order_relaxed)));
            if (b->n_bytes + n > b->capacity)
                break;
            memcpy(b->bytes + b->n_bytes, record, n);
            b->n_bytes += n;
            b->n_messages++;
            uint32_t word = record_word_of(record);
            /* Should a successor find it. */
            atomic_store_explicit(&record->word, record_word_as(RECORD_REDELIVERED, word),
                                  memory_order_relaxed);
        }
        lane->taken = next;
    }
}

void receiver_serve(struct receiver *r)
{
    if (!r->has_fetch)
        return;
    if (!r->is_ended)
        fill(&r->lane, r->request.batch, r->request.max);
    if (!r->is_ended && r->request.batch->n_messages == 0)
        return;
    r->request.status = r->is_ended ? -ECANCELED : 0;
    r->has_fetch = false;
    command_finish(r->worker, &r->fetch);
}

static void run_fetch(struct worker *w, struct command *c)
{
    struct receiver *r = CONTAINER_OF(c, struct receiver, fetch);
    (void)w;

    r->has_fetch = true;
    receiver_serve(r);
}

static void on_fetched(struct command *c)
{
    struct receiver *r = CONTAINER_OF(c, struct receiver, fetch);

    r->request.done(r->request.context, r->request.status, r->request.batch);
}

void receiver_fetch(struct receiver *r, struct batch *batch, size_t max, fetch_done done,
                    void *context)
{
    r->request =
        (struct fetch_request){.batch = batch, .max = max, .done = done, .context = context};
    r->fetch.run = run_fetch;
    r->fetch.done = on_fetched;
    command_post(r->worker, &r->fetch);
}

/* ---- Releasing ---- */

static void release_up_to(struct receiver *r, uint64_t n)
{
    struct lane *lane = &r->lane;
    uint64_t position = lane->released;

    while (position < lane->taken && r->n_released < n) {
        uint64_t next;
        r->n_released += chunk_log_at(&lane->log, position, &next) != NULL;
        position = next;
    }
    lane_release_to(lane, position);
}

static void run_release(struct worker *w, struct command *c)
{
    struct receiver *r = CONTAINER_OF(c, struct receiver, release);
    (void)w;

    atomic_store(&r->is_release_posted, false);
    if (!r->is_ended)
        release_up_to(r, atomic_load(&r->n_to_release));
}

void receiver_release(struct receiver *r, uint64_t n)
{
    if (n <= atomic_load(&r->n_to_release))
        return;
    atomic_store(&r->n_to_release, n);
    if (atomic_exchange(&r->is_release_posted, true))
        return;
    r->release.run = run_release;
    command_post(r->worker, &r->release);
}

/* ---- Coming and leaving ---- */

static void run_join(struct worker *w, struct command *c)
{
    struct receiver *r = CONTAINER_OF(c, struct receiver, join);

    r->lane.log.arena = &w->arena;
    r->lane.log.owner = r->endpoint->number;
    r->lane.dirty = &w->dirty;
    join_memory_use(&r->memory, r->endpoint, &r->lane);
    if (r->endpoint->is_removed) {
        r->is_ended = true;
        r->has_left = true;
        endpoint_unjoined(r->endpoint);
        return;
    }
    mailbox_join(&r->endpoint->mailbox, &r->consumer, &r->lane, 0);
    endpoint_move(r->endpoint);
}

int receiver_open(struct receiver **out, struct worker *worker, struct endpoint *endpoint)
{
    struct receiver *r = calloc(1, sizeof(*r));

    *out = NULL;
    if (r == NULL)
        return -ENOMEM;
    r->worker = worker;
    r->endpoint = endpoint;
    r->consumer.owner = r;
    if (join_memory_new(&r->memory, endpoint, 1) != 0 ||
        chunk_log_init(&r->lane.log, NULL, NULL, chunk_log_entries(RECEIVER_LOG_BYTES)) != 0) {
        receiver_free(r);
        return -ENOMEM;
    }
    endpoint_joining(endpoint);
    r->join.run = run_join;
    command_post(worker, &r->join);
    *out = r;
    return 0;
}

static bool leave_step(struct worker *w, struct task *t)
{
    struct receiver *r = CONTAINER_OF(t, struct receiver, leave);
    struct endpoint *e = r->endpoint;

    bool is_more = departure_step(&r->departure, TASK_BUDGET);
    worker_flush(w);
    if (is_more)
        return true;
    mailbox_end_leave(&e->mailbox, &r->consumer);
    endpoint_unjoined(e);
    worker_flush(w);                /* so that the lane is in no list when it is freed */
    chunk_log_deinit(&r->lane.log); /* its chunks are the worker's */
    r->has_left = true;
    if (r->is_closing)
        command_finish(w, &r->close);
    endpoint_move(e);
    return false;
}

void receiver_leave(struct receiver *r, int drop)
{
    if (r->is_ended)
        return;
    r->is_ended = true;
    receiver_serve(r);
    mailbox_begin_leave(&r->endpoint->mailbox, &r->consumer);
    departure_begin(&r->departure, &r->lane, &r->consumer, drop);
    r->leave.step = leave_step;
    task_queue(r->worker, &r->leave);
}

static void run_close(struct worker *w, struct command *c)
{
    struct receiver *r = CONTAINER_OF(c, struct receiver, close);

    r->is_closing = true;
    if (r->has_left)
        command_finish(w, c);
    else
        receiver_leave(r, MESSAGE_KEPT);
}

static void close_done(struct command *c)
{
    receiver_free(CONTAINER_OF(c, struct receiver, close));
}

void receiver_close(struct receiver *r)
{
    r->close.run = run_close;
    r->close.done = close_done;
    command_post(r->worker, &r->close);
}
