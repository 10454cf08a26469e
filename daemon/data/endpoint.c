/* SPDX-License-Identifier: MIT */
/* One registered (name, address, port): opening it, watching it, closing it. */
#include "daemon/data/endpoint.h"

#include "daemon/data/answers.h"
#include "daemon/data/care.h"
#include "daemon/data/intake.h"
#include "daemon/data/shard.h"
#include "daemon/data/socket.h"
#include "daemon/data/spooling.h"
#include "daemon/data/vault.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

enum { SOCKET_ADOPTED = 1 };

int64_t wall_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- Opening (control thread) ---- */

/* The drops that somebody else has counted are no news. */
static uint32_t drops_of(int fd)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof(memory);

    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) == 0 ? memory[SK_MEMINFO_DROPS]
                                                                        : 0;
}

/* The i-th of all: its own first, then those of its shards. */
static struct endpoint_socket *socket_at(struct endpoint *e, unsigned i)
{
    return i < e->n_sockets ? &e->sockets[i]
                            : &e->shards[i / e->n_sockets - 1].sockets[i % e->n_sockets];
}

static unsigned count_sockets(const struct endpoint *e)
{
    return e->n_sockets * (e->n_shards + 1);
}

/* Of the sockets of one family, all shards together: modulo 2^32 like each. */
static uint32_t drops_of_all(const struct endpoint *e, unsigned i)
{
    uint32_t sum = drops_of(e->sockets[i].source.descriptor);

    for (unsigned k = 0; k < e->n_shards; k++)
        sum += drops_of(e->shards[k].sockets[i].source.descriptor);
    return sum;
}

/* *inherited: used up. Into *s, which says whose it is. 0, SOCKET_ADOPTED, or -errno. */
static int open_socket(struct endpoint_socket *s, const struct address *address,
                       struct kept_socket *inherited, struct open_failure *why)
{
    struct endpoint *e = s->endpoint;
    struct udp_socket socket = {.descriptor = inherited->descriptor, .note = inherited->note};
    bool is_adopted = udp_socket_adopt(&socket, &e->settings, address);
    int rc =
        is_adopted ? SOCKET_ADOPTED : udp_socket_open(&socket, &e->settings, address, &why->what);

    inherited->descriptor = -1;
    if (rc < 0) {
        why->address = *address;
        return rc;
    }
    s->source.descriptor = socket.descriptor;
    s->note = socket.note;
    s->family = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
    e->receive_buffer_granted = socket.granted;
    return rc;
}

/* What is free for those who share it may be somebody else's. */
static int probe(const struct endpoint *e, const struct address *address,
                 const struct kept_socket *inherited, struct open_failure *why)
{
    int rc = e->settings.shards > 1 && inherited->descriptor < 0 ? udp_socket_probe(address) : 0;

    if (rc < 0)
        *why = (struct open_failure){.address = *address, .what = "bind"};
    return rc;
}

/* The sockets of one family: the endpoint's own and those of its shards. inherited: the first;
 * there are n_families for each shard. */
static int open_family(struct endpoint *e, const struct address *address,
                       struct kept_socket *inherited, struct open_failure *why)
{
    unsigned i = e->n_sockets, n_families = e->settings.address.family == ADDRESS_BOTH ? 2 : 1;
    bool are_adopted = e->is_past;
    int rc = probe(e, address, inherited, why);

    if (rc < 0)
        return rc;
    e->n_sockets++;
    for (unsigned k = 0; k <= e->n_shards; k++) {
        struct endpoint_socket *s = k == 0 ? &e->sockets[i] : &e->shards[k - 1].sockets[i];
        rc = open_socket(s, address, &inherited[k * n_families], why);
        if (rc < 0)
            return rc;
        are_adopted = are_adopted && rc == SOCKET_ADOPTED;
    }
    if (!are_adopted)
        e->state->drops_before[i] = (uint32_t)e->state->drops[i] - drops_of_all(e, i);
    return 0;
}

static int open_sockets(struct endpoint *e, struct kept_socket *inherited, struct open_failure *why)
{
    const struct address *a = &e->settings.address;

    if (a->family != ADDRESS_BOTH)
        return open_family(e, a, inherited, why);

    struct address four, six;
    if (address_parse_ip("0.0.0.0", &four) != 0 || address_parse_ip("::", &six) != 0)
        return -EINVAL;
    four.port = six.port = a->port;
    int rc = open_family(e, &four, inherited, why);
    return rc != 0 ? rc : open_family(e, &six, inherited + 1, why);
}

static void bound(struct endpoint *e)
{
    e->is_bound = true;
    own_port_add(e->settings.address.port);
}

static void close_sockets(struct endpoint *e)
{
    for (unsigned i = 0; i < count_sockets(e); i++)
        if (socket_at(e, i)->source.descriptor >= 0)
            close(socket_at(e, i)->source.descriptor);
}

/* The row that its predecessor had, or a new one. */
static int open_state(struct endpoint *e, struct vault *v)
{
    e->state = vault_row(v, e->number, &e->is_past);
    if (e->state != NULL)
        e->vault = v;
    else
        e->state = aligned_alloc(_Alignof(struct endpoint_state), sizeof(struct endpoint_state));
    if (e->state == NULL)
        return -ENOMEM;
    e->is_recoverable = e->is_past && vault_has_past(v);
    e->ledger = &e->state->ledger;
    if (e->is_past)
        return 0;
    *e->state = (struct endpoint_state){.number = e->number};
    e->ledger->since_ns = wall_clock_ns();
    e->ledger->is_kernel_dropped_exact = true;
    return 0;
}

static void close_state(struct endpoint *e, bool is_kept)
{
    if (e->vault == NULL)
        free(e->state);
    else if (!is_kept)
        vault_give_row(e->vault, e->state);
    e->state = NULL;
}

static struct spool_remains remains_of(const struct store_spooled *s)
{
    if (s == NULL)
        return (struct spool_remains){0};
    return (struct spool_remains){.released = s->released,
                                  .first_seq = s->first_seq,
                                  .last_seq = s->last_seq,
                                  .n = s->n,
                                  .n_missing = s->n_missing,
                                  .bytes = s->bytes,
                                  .oldest_ns = s->oldest_ns};
}

int endpoint_spool_new(struct endpoint *e, const struct settings *s,
                       const struct store_spooled *spooled, struct spool **spool,
                       struct endpoint_spooling **spooling)
{
    const struct spool_remains remains = remains_of(spooled);

    *spool = NULL;
    *spooling = NULL;
    if (!settings_have_spool(s) && remains.n == 0 && remains.n_missing == 0 &&
        e->state->spool.from == 0)
        return 0;
    *spooling = endpoint_spooling_new(e);
    if (*spooling == NULL || spool_new(spool, s, &remains, e->journals) != 0) {
        *spooling = endpoint_spooling_free(*spooling);
        return -ENOMEM;
    }
    return 0;
}

static int open_endpoint(struct endpoint **out, const struct endpoint_options *o,
                         struct kept_socket *inherited, struct open_failure *why)
{
    const struct settings *settings = o->settings;
    struct endpoint *e = calloc(1, sizeof(*e));

    *out = NULL;
    *why = (struct open_failure){.address = settings->address, .what = "memory"};
    if (e == NULL)
        return -ENOMEM;
    e->context = o->context;
    list_init(&e->carriers);
    e->number = o->number;
    e->promised_mode = settings->mode;
    e->promised_bytes = settings->mailbox_bytes;
    e->journals = o->journals;

    int rc = open_state(e, o->vault);
    if (rc != 0) {
        free(e);
        return rc;
    }
    struct spool *spool = NULL;
    rc = endpoint_spool_new(e, settings, o->spooled, &spool, &e->spooling);
    struct mailbox_options options = {.settings = settings,
                                      .account = o->account,
                                      .ledger = e->ledger,
                                      .state = e->state,
                                      .settled = answer_settled,
                                      .aside = {care_has_room_aside, care_put_aside},
                                      .spool = spool,
                                      .disk_refusal = spooling_refusal,
                                      .context = e};
    if (rc == 0)
        rc = settings_copy(settings, &e->settings);
    if (rc == 0)
        rc = mailbox_init(&e->mailbox, &options);
    else
        spool = spool_free(spool);
    if (rc == 0)
        rc = shards_open(e, o->n_shards - 1);
    if (rc == 0)
        rc = open_sockets(e, inherited, why);
    if (rc == 0)
        bound(e);
    if (rc != 0) {
        endpoint_discard(e);
        return rc;
    }
    *out = e;
    return 0;
}

int endpoint_open(struct endpoint **out, const struct endpoint_options *options,
                  struct open_failure *why)
{
    struct kept_socket inherited[ENDPOINT_SOCKETS_MAX];

    for (unsigned i = 0; i < 2 * options->n_shards || i < options->n_inherited; i++)
        inherited[i] = i < options->n_inherited ? options->inherited[i]
                                                : (struct kept_socket){.descriptor = -1};
    int rc = open_endpoint(out, options, inherited, why);
    for (unsigned i = 0; i < options->n_inherited; i++)
        if (inherited[i].descriptor >= 0)
            close(inherited[i].descriptor);
    if (rc == 0 && (*out)->spooling != NULL)
        (*out)->spooling->ids = options->ids;
    else if (rc == 0)
        remembered_ids_free(options->ids);
    return rc;
}

unsigned endpoint_sockets(struct endpoint *e, struct kept_socket sockets[ENDPOINT_SOCKETS_MAX])
{
    for (unsigned i = 0; i < count_sockets(e); i++) {
        const struct endpoint_socket *s = socket_at(e, i);
        sockets[i] = (struct kept_socket){.descriptor = s->source.descriptor, .note = s->note};
    }
    return count_sockets(e);
}

unsigned endpoint_shards(const struct endpoint *e)
{
    return e->n_shards + 1;
}

/* is_kept: a successor goes on with what it holds. */
static void free_endpoint(struct endpoint *e, bool is_kept)
{
    if (e->is_bound)
        own_port_remove(e->settings.address.port);
    if (is_kept)
        mailbox_leave(&e->mailbox);
    else
        mailbox_deinit(&e->mailbox);
    e->spooling = endpoint_spooling_free(e->spooling);
    shards_close(e);
    close_state(e, is_kept);
    settings_deinit(&e->settings);
    free(e);
}

void endpoint_free(struct endpoint *e)
{
    free_endpoint(e, e->removal.is_for_successor);
}

void endpoint_discard(struct endpoint *e)
{
    close_sockets(e);
    free_endpoint(e, e->is_past); /* it may be opened again */
}

void *endpoint_context(const struct endpoint *e)
{
    return e->context;
}

uint32_t endpoint_receive_buffer_granted(const struct endpoint *e)
{
    return e->receive_buffer_granted;
}

/* ---- Watching (worker) ---- */

#define CACHE_LINE 64

static void prefetch(const void *from, const void *to)
{
    for (const char *at = from; at < (const char *)to; at += CACHE_LINE)
        __builtin_prefetch(at);
}

/* All that a datagram touches. */
static void soon_readable(struct event_source *source)
{
    const struct endpoint *e = CONTAINER_OF(source, struct endpoint_socket, source)->endpoint;

    prefetch(e, e->sources.rows + 1);
    prefetch(e->sockets, &e->removal);
}

/* And what that leads to, while the kernel reads. */
static void prefetch_further(const struct endpoint *e)
{
    prefetch(e->state, e->state + 1);
    if (e->mailbox.consumers != NULL)
        prefetch(e->mailbox.consumers, e->mailbox.consumers + 1);
}

void endpoint_socket_clear(const struct endpoint_socket *s)
{
    int error = 0;
    socklen_t length = sizeof(error);

    (void)!getsockopt(s->source.descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
}

static void on_readable(struct event_source *source, uint32_t events)
{
    struct endpoint_socket *s = CONTAINER_OF(source, struct endpoint_socket, source);
    struct endpoint *e = s->endpoint;

    if ((events & EPOLLERR) != 0)
        endpoint_socket_clear(s);
    prefetch_further(e);
    if (!intake_read(e->worker->batch, s))
        event_source_again(e->worker, source);
    endpoint_move(e); /* what found no room before */
}

static int watch_sockets(struct unwatched *u)
{
    struct endpoint *e = CONTAINER_OF(u, struct endpoint, unwatched);

    for (unsigned i = 0; i < e->n_sockets; i++) {
        struct event_source *source = &e->sockets[i].source;
        source->soon = soon_readable;
        int rc = source->ready != NULL ? 0 : event_source_start(e->worker, source, on_readable);
        if (rc != 0)
            return rc;
    }
    return shards_hear(e);
}

static void read_sockets(struct unwatched *u)
{
    struct endpoint *e = CONTAINER_OF(u, struct endpoint, unwatched);

    for (unsigned i = 0; i < e->n_sockets; i++)
        (void)!intake_read(e->worker->batch, &e->sockets[i]); /* the rest next time */
    shards_take(e);
    endpoint_move(e);
}

void endpoint_watch(struct endpoint *e)
{
    e->unwatched.name = e->settings.name;
    e->unwatched.watch = watch_sockets;
    e->unwatched.read = read_sockets;
    unwatched_begin(e->worker, &e->unwatched);
}

void endpoint_stop(struct endpoint *e)
{
    list_remove(&e->unwatched.link);
    list_remove(&e->awaiting);
    for (unsigned i = 0; i < e->n_sockets; i++)
        event_source_stop(e->worker, &e->sockets[i].source);
}

void endpoint_drain(struct endpoint *e)
{
    for (unsigned i = 0; i < count_sockets(e); i++)
        intake_drain(e->worker->batch, socket_at(e, i));
    endpoint_read_drops(e);
}

void endpoint_unwatch(struct endpoint *e)
{
    endpoint_stop(e);
    close_sockets(e);
}

/* In one store, so that nothing is counted twice. now: of all shards together. */
static void note_drops(struct endpoint_state *s, unsigned socket, uint32_t now)
{
    struct ledger widened = {.kernel_dropped = s->drops[socket]};
    uint32_t last = (uint32_t)s->drops[socket] - s->drops_before[socket];

    ledger_note_kernel_drops(&widened, &last, now);
    s->drops[socket] = widened.kernel_dropped;
}

void endpoint_read_drops(struct endpoint *e)
{
    for (unsigned i = 0; i < e->n_sockets; i++)
        note_drops(e->state, i, drops_of_all(e, i));
    e->ledger->kernel_dropped = e->state->drops[0] + e->state->drops[1];
    /* A super-packet that was dropped counts once, however many datagrams it held. */
    if (e->ledger->kernel_dropped > 0 && e->has_seen_gro)
        e->ledger->is_kernel_dropped_exact = false;
    e->drops_read_ms = uv_now(&e->worker->loop);
}

static bool move_step(struct worker *w, struct task *t)
{
    struct endpoint *e = CONTAINER_OF(t, struct endpoint, move);

    bool is_more = mailbox_move(&e->mailbox, TASK_BUDGET);
    worker_flush(w);
    return is_more;
}

void endpoint_move(struct endpoint *e)
{
    spooling_look(e);
    if (!mailbox_can_move(&e->mailbox))
        return;
    e->move.step = move_step;
    task_queue(e->worker, &e->move);
}
