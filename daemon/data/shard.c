/* SPDX-License-Identifier: MIT */
/* Sockets of an endpoint that other workers read. */
#include "daemon/data/shard.h"

#include "daemon/data/intake.h"
#include "daemon/data/vault.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Batches that a reader hands over before others of its worker have their turn. */
#define BATCHES_PER_TURN 16

static void ring(const struct event_source *bell)
{
    uint64_t one = 1;

    (void)!write(bell->descriptor, &one, sizeof(one)); /* each write is an edge; none is read */
}

/* ---- Opening (control) ---- */

static int open_bell(struct event_source *bell)
{
    bell->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return bell->descriptor < 0 ? error_trace(-errno, "eventfd") : 0;
}

static void no_sockets(struct endpoint *e, struct shard *shard, struct endpoint_socket sockets[2])
{
    for (unsigned i = 0; i < 2; i++)
        sockets[i] =
            (struct endpoint_socket){.endpoint = e, .shard = shard, .source = {.descriptor = -1}};
}

static int open_shard(struct shard *s, struct endpoint *e)
{
    *s = (struct shard){.endpoint = e, .emptied = {.descriptor = -1}};
    no_sockets(e, s, s->sockets);
    int rc = open_bell(&s->emptied);
    if (rc == 0)
        rc = vault_batch(e->vault, &s->memory, receive_batch_bytes(), &s->key);
    if (rc == 0)
        s->batch = receive_batch_init(s->memory.bytes);
    return rc;
}

int shards_open(struct endpoint *e, uint32_t n)
{
    no_sockets(e, NULL, e->sockets);
    if (n == 0)
        return 0;
    e->shards = calloc(n, sizeof(e->shards[0]));
    if (e->shards == NULL)
        return -ENOMEM;
    int rc = open_bell(&e->filled);
    while (rc == 0 && e->n_shards < n)
        rc = open_shard(&e->shards[e->n_shards++], e);
    return rc;
}

static void close_shard(struct shard *s)
{
    if (s->key != 0)
        vault_batch_gone(s->endpoint->vault, s->key);
    shared_memory_close(&s->memory);
    if (s->emptied.descriptor >= 0)
        close(s->emptied.descriptor);
}

void shards_close(struct endpoint *e)
{
    for (unsigned k = 0; k < e->n_shards; k++)
        close_shard(&e->shards[k]);
    if (e->shards != NULL && e->filled.descriptor >= 0)
        close(e->filled.descriptor);
    free(e->shards);
}

/* ---- The reader ---- */

/* One read, of the sockets in turn. */
static void read_next(struct shard *s)
{
    unsigned i = (s->unread & 1) != 0 ? 0 : 1;
    struct endpoint_socket *socket = &s->sockets[i];
    int n = intake_fill(s->batch, socket);

    if (n == -ENOMEM)
        event_source_again(s->worker, &socket->source);
    if (n == -ENOMEM || n == -EAGAIN || (n >= 0 && n < RECEIVE_BATCH_DATAGRAMS))
        s->unread &= ~(1u << i);
    if (n <= 0)
        return;
    atomic_store(&s->n_packets, n);
    if (!atomic_exchange(&s->endpoint->is_rung, true))
        ring(&s->endpoint->filled);
}

/* Is the batch still away? Then the reader will be rung. */
static bool must_wait(struct shard *s)
{
    if (atomic_load(&s->n_packets) == 0)
        return false;
    atomic_store(&s->is_awaited, true);
    return atomic_load(&s->n_packets) != 0;
}

static void read_shard(struct shard *s)
{
    for (unsigned n = 0; s->unread != 0; n++) {
        if (must_wait(s))
            return;
        if (n == BATCHES_PER_TURN) {
            ring(&s->emptied); /* itself, later */
            return;
        }
        read_next(s);
    }
}

static void on_readable(struct event_source *source, uint32_t events)
{
    struct endpoint_socket *socket = CONTAINER_OF(source, struct endpoint_socket, source);
    struct shard *s = socket->shard;

    if ((events & EPOLLERR) != 0)
        endpoint_socket_clear(socket);
    s->unread |= 1u << (socket - s->sockets);
    read_shard(s);
}

static void on_emptied(struct event_source *source, uint32_t events)
{
    (void)events;
    read_shard(CONTAINER_OF(source, struct shard, emptied));
}

static int watch_sockets(struct unwatched *u)
{
    struct shard *s = CONTAINER_OF(u, struct shard, unwatched);
    int rc = s->emptied.ready != NULL ? 0 : event_source_start(s->worker, &s->emptied, on_emptied);

    for (unsigned i = 0; rc == 0 && i < s->endpoint->n_sockets; i++) {
        struct event_source *source = &s->sockets[i].source;
        rc = source->ready != NULL ? 0 : event_source_start(s->worker, source, on_readable);
    }
    return rc;
}

static void read_sockets(struct unwatched *u)
{
    struct shard *s = CONTAINER_OF(u, struct shard, unwatched);

    s->unread = (1u << s->endpoint->n_sockets) - 1;
    read_shard(s);
}

static void run_start(struct worker *w, struct command *c)
{
    struct shard *s = CONTAINER_OF(c, struct shard, start);

    s->unwatched = (struct unwatched){
        .name = s->endpoint->settings.name, .watch = watch_sockets, .read = read_sockets};
    unwatched_begin(w, &s->unwatched);
}

void worker_add_shard(struct worker *worker, struct endpoint *e, unsigned k)
{
    struct shard *s = &e->shards[k];

    s->worker = worker;
    s->start.run = run_start;
    command_post(worker, &s->start);
}

static void run_stop(struct worker *w, struct command *c)
{
    struct shard *s = CONTAINER_OF(c, struct shard, stop);

    list_remove(&s->unwatched.link);
    event_source_stop(w, &s->emptied);
    for (unsigned i = 0; i < s->endpoint->n_sockets; i++)
        event_source_stop(w, &s->sockets[i].source);
    command_finish(w, c);
}

static void stop_done(struct command *c)
{
    struct endpoint *e = CONTAINER_OF(c, struct shard, stop)->endpoint;

    if (--e->n_reading == 0)
        command_post(e->worker, e->when_unread);
}

void shards_stop(struct endpoint *e, struct command *then)
{
    e->when_unread = then;
    e->n_reading = e->n_shards;
    if (e->n_shards == 0)
        command_post(e->worker, then);
    for (unsigned k = 0; k < e->n_shards; k++) {
        e->shards[k].stop = (struct command){.run = run_stop, .done = stop_done};
        command_post(e->shards[k].worker, &e->shards[k].stop);
    }
}

/* ---- The endpoint's worker ---- */

static void take(struct shard *s)
{
    int n = atomic_load(&s->n_packets);

    if (n == 0)
        return;
    intake_take(s->batch, s->endpoint, n);
    atomic_store(&s->n_packets, 0);
    if (atomic_exchange(&s->is_awaited, false))
        ring(&s->emptied);
}

void shards_take(struct endpoint *e)
{
    for (unsigned k = 0; k < e->n_shards; k++)
        take(&e->shards[k]);
}

/* One ring is for all: while one batch is filed, others come. */
static void on_filled(struct event_source *source, uint32_t events)
{
    struct endpoint *e = CONTAINER_OF(source, struct endpoint, filled);
    (void)events;

    atomic_store(&e->is_rung, false);
    shards_take(e);
    endpoint_move(e);
}

int shards_hear(struct endpoint *e)
{
    return e->n_shards == 0 || e->filled.ready != NULL
               ? 0
               : event_source_start(e->worker, &e->filled, on_filled);
}

void shards_settle(struct endpoint *e)
{
    event_source_stop(e->worker, &e->filled);
    shards_take(e);
}
