/* SPDX-License-Identifier: MIT */
/* Sockets of an endpoint that other workers read. */
#include "daemon/data/shard.h"

#include "daemon/data/intake.h"
#include "daemon/data/vault.h"

#include <errno.h>
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

int shard_open(struct shard *s, struct endpoint *e)
{
    *s = (struct shard){.endpoint = e, .filled = {.descriptor = -1}, .emptied = {.descriptor = -1}};
    int rc = open_bell(&s->filled);
    if (rc == 0)
        rc = open_bell(&s->emptied);
    if (rc == 0)
        rc = vault_batch(e->vault, &s->memory, receive_batch_bytes(), &s->key);
    if (rc == 0)
        s->batch = receive_batch_init(s->memory.bytes);
    return rc;
}

void shard_close(struct shard *s)
{
    if (s->endpoint == NULL)
        return;
    if (s->key != 0)
        vault_batch_gone(s->endpoint->vault, s->key);
    shared_memory_close(&s->memory);
    if (s->filled.descriptor >= 0)
        close(s->filled.descriptor);
    if (s->emptied.descriptor >= 0)
        close(s->emptied.descriptor);
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
    ring(&s->filled);
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

static void on_filled(struct event_source *source, uint32_t events)
{
    struct shard *s = CONTAINER_OF(source, struct shard, filled);
    (void)events;

    take(s);
    endpoint_move(s->endpoint);
}

int shards_hear(struct endpoint *e)
{
    int rc = 0;

    for (unsigned k = 0; rc == 0 && k < e->n_shards; k++)
        if (e->shards[k].filled.ready == NULL)
            rc = event_source_start(e->worker, &e->shards[k].filled, on_filled);
    return rc;
}

void shards_take(struct endpoint *e)
{
    for (unsigned k = 0; k < e->n_shards; k++)
        take(&e->shards[k]);
}

void shards_settle(struct endpoint *e)
{
    for (unsigned k = 0; k < e->n_shards; k++)
        event_source_stop(e->worker, &e->shards[k].filled);
    shards_take(e);
}
