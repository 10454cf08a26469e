/* SPDX-License-Identifier: MIT */
/* One attached connection on one worker: its memory, its end. */
#include "daemon/data/link.h"

#include "daemon/data/polling.h"
#include "daemon/data/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CHUNKS_OFFSET ((uint32_t)((sizeof(struct ring_header) + 4095) & ~(size_t)4095))
#define OUTGOING_MEMORY_BYTES                                    \
    (sizeof(struct ring_outgoing) + RING_OUTGOING_BYTES + 4096 - \
     sizeof(struct ring_outgoing) % 4096)

/* ---- Opening (control thread) ---- */

static int open_memory(struct link *l, uint64_t arena_bytes)
{
    uint32_t n_chunks = (uint32_t)(arena_bytes / RING_CHUNK_BYTES);
    int rc = shared_memory_open(&l->memory, "msgd-arena",
                                CHUNKS_OFFSET + (size_t)n_chunks * RING_CHUNK_BYTES);

    if (rc == 0)
        rc = shared_memory_open_read(&l->memory);
    if (rc == 0)
        rc = shared_memory_open(&l->page, "msgd-page", RING_PAGE_BYTES);
    if (rc == 0)
        rc = shared_memory_open(&l->outgoing, "msgd-outgoing", OUTGOING_MEMORY_BYTES);
    if (rc != 0)
        return rc;

    struct ring_header *h = link_header(l);
    h->magic = RING_MAGIC;
    h->version = RING_VERSION;
    h->chunk_bytes = RING_CHUNK_BYTES;
    h->table_entries = RING_TABLE_ENTRIES;
    h->arena_bytes = l->memory.n_bytes;
    h->chunks_offset = CHUNKS_OFFSET;
    h->n_chunks = n_chunks;
    h->outgoing_bytes = RING_OUTGOING_BYTES;
    atomic_store_explicit(&h->state, RING_OPEN, memory_order_relaxed);
    atomic_store_explicit(&h->doorbell_wanted, 1, memory_order_relaxed);

    rc = arena_init(&l->arena, (uint8_t *)h + CHUNKS_OFFSET, n_chunks, shared_memory_discard);
    if (rc != 0)
        return rc;
    rc = vault_link(l->worker->options.vault, &l->memory, &l->page, n_chunks, &l->remains, &l->key);
    if (rc != 0)
        return rc;
    struct link_remains *kept = l->remains.bytes;
    arena_use_directory(&l->arena, kept->directory);
    l->lane.kept_released = &kept->released;
    l->lane.page = l->page.bytes;
    l->lane.outgoing = l->outgoing.bytes;
    return chunk_log_init(&l->lane.log, &l->arena, h, RING_TABLE_ENTRIES);
}

static void link_free(struct link *l)
{
    chunk_log_deinit(&l->lane.log);
    arena_deinit(&l->arena);
    shared_memory_close(&l->memory);
    if (l->key != 0)
        vault_link_gone(l->worker->options.vault, l->key);
    shared_memory_close(&l->remains);
    shared_memory_close(&l->page);
    shared_memory_close(&l->outgoing);
    if (l->wake >= 0)
        close(l->wake);
    if (l->wake_view >= 0)
        close(l->wake_view);
    if (l->doorbell.descriptor >= 0)
        close(l->doorbell.descriptor);
    free(l->lane.slots);
    free(l);
}

/* Each write to an eventfd is an edge, whatever has been read of it, so nothing is. */
static void on_doorbell(struct event_source *source, uint32_t events)
{
    struct link *l = CONTAINER_OF(source, struct link, doorbell);
    (void)events;

    link_read_outgoing(l);
}

static void run_open(struct worker *w, struct command *c)
{
    struct link *l = CONTAINER_OF(c, struct link, open);

    l->lane.dirty = &w->dirty;
    sweep_add(w, l);
    int rc = event_source_start(w, &l->doorbell, on_doorbell);
    if (rc != 0)
        link_break(l, uv_strerror(rc));
}

static void read_last(struct link *l);

static bool answer_step(struct worker *w, struct task *t)
{
    struct link *l = CONTAINER_OF(t, struct link, answers);
    (void)w;

    if (l->n_last_turns > 0)
        read_last(l);
    else if (l->state == LINK_OPEN)
        link_read_outgoing(l);
    else if (!l->is_departing)
        link_left(l); /* which has waited for this task */
    return false;
}

/*
 * Whoever shares an eventfd can fill it and clear its O_NONBLOCK: the next write would block the
 * worker. So the consumer gets an epoll descriptor that becomes readable with each write, and
 * nothing that leads from there to the eventfd.
 */
static int open_wake(struct link *l)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};

    if ((l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0 ||
        (l->wake_view = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
        epoll_ctl(l->wake_view, EPOLL_CTL_ADD, l->wake, &event) != 0)
        return error_trace(-errno, "the descriptor that wakes a consumer");
    return 0;
}

int link_open(struct link **out, struct worker *worker, void *context)
{
    struct link *l = calloc(1, sizeof(*l));

    *out = NULL;
    if (l == NULL)
        return -ENOMEM;
    l->worker = worker;
    l->context = context;
    l->wake = l->wake_view = l->doorbell.descriptor = -1;
    l->answers.step = answer_step;
    int rc = open_memory(l, worker->options.link_arena_bytes);
    if (rc == 0)
        rc = open_wake(l);
    if (rc == 0 && (l->doorbell.descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        rc = error_trace(-errno, "eventfd");
    if (rc != 0) {
        link_free(l);
        return rc;
    }
    l->open.run = run_open;
    command_post(worker, &l->open);
    *out = l;
    return 0;
}

void *link_context(const struct link *link)
{
    return link->context;
}

void link_descriptors(const struct link *l, int descriptors[N_LINK_DESCRIPTORS])
{
    descriptors[LINK_ARENA] = l->memory.read_descriptor;
    descriptors[LINK_PAGE] = l->page.descriptor;
    descriptors[LINK_OUTGOING] = l->outgoing.descriptor;
    descriptors[LINK_WAKE] = l->wake_view;
    descriptors[LINK_DOORBELL] = l->doorbell.descriptor;
}

/* ---- Messages (worker) ---- */

static void wake(struct link *l)
{
    uint64_t one = 1;

    (void)!write(l->wake, &one, sizeof(one));
}

void link_publish(struct link *l)
{
    if (lane_publish(&l->lane)) {
        polling_yield(l->worker);
        wake(l);
        polling_woke(l->worker);
    }
}

/* ---- The end ---- */

void link_left(struct link *l)
{
    if (l->state != LINK_CLOSING || l->answers.is_queued)
        return;
    worker_flush(l->worker); /* so that the lane is in no list when it is freed */
    sweep_remove(l->worker, l);
    l->state = LINK_CLOSED;
    command_finish(l->worker, &l->close);
}

/* Nothing the consumer does counts any more. */
static void end(struct link *l)
{
    atomic_store_explicit(&link_header(l)->state, RING_ENDED, memory_order_release);
    event_source_stop(l->worker, &l->doorbell);
    link_leave(l);
}

static void broken_done(struct command *c)
{
    struct link *l = CONTAINER_OF(c, struct link, broken);
    const struct worker_events *events = &l->worker->options.events;

    if (l->context != NULL)
        events->link_broken(events->context, l, l->lane.why_broken);
}

void link_break(struct link *l, const char *why)
{
    if (l->state != LINK_OPEN)
        return;
    l->state = LINK_BROKEN;
    l->lane.is_broken = true;
    l->lane.why_broken = why;
    count(&l->worker->links_broken);
    end(l);
    wake(l);
    l->broken.done = broken_done;
    command_finish(l->worker, &l->broken);
}

static void close_done(struct command *c)
{
    link_free(CONTAINER_OF(c, struct link, close));
}

static void close_now(struct link *l)
{
    bool was_open = l->state == LINK_OPEN;
    l->state = LINK_CLOSING;
    if (was_open)
        end(l);
    else if (!l->is_departing)
        link_left(l);
}

/* The last answers of who has just ended: as many as its ring holds, in turns; not more, since who
 * has its memory may go on writing. */
static void read_last(struct link *l)
{
    if (l->state == LINK_OPEN)
        link_read_outgoing(l);
    if (l->state == LINK_OPEN && l->answers.is_queued && l->n_last_turns > 1) {
        l->n_last_turns--;
        return;
    }
    l->n_last_turns = 0;
    close_now(l);
}

static void run_close(struct worker *w, struct command *c)
{
    struct link *l = CONTAINER_OF(c, struct link, close);
    (void)w;

    l->n_last_turns = RING_OUTGOING_BYTES / LINK_TURN_BYTES_MIN;
    read_last(l);
}

void worker_close_link(struct worker *worker, struct link *link)
{
    link->context = NULL;
    link->close.run = run_close;
    link->close.done = close_done;
    command_post(worker, &link->close);
}
