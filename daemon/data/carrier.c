/* SPDX-License-Identifier: MIT */
/* One session on a worker: its beginning, its turns, its end. */
#include "daemon/data/carrier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- The end ---- */

static void carrier_free(struct carrier *c)
{
    c->session = session_free(c->session);
    free(c);
}

static void gone_done(struct command *command)
{
    struct carrier *c = CONTAINER_OF(command, struct carrier, gone);
    const struct worker_events *events = &c->worker->options.events;

    events->session_gone(events->context, c);
    c->is_forgotten = true;
    if (!c->is_abort_posted)
        carrier_free(c);
}

/* Control may free it from here on. */
static void leave(struct carrier *c)
{
    list_remove(&c->of_endpoint);
    c->gone.done = gone_done;
    command_finish(c->worker, &c->gone);
}

static bool leave_step(struct worker *w, struct task *t)
{
    (void)w;
    leave(CONTAINER_OF(t, struct carrier, leave));
    return false;
}

void carrier_handle_closed(uv_handle_t *handle)
{
    struct carrier *c = handle->data;

    if (--c->n_handles == 0 && c->state == CARRIER_CLOSING)
        leave(c);
}

/* Its own socket, watched no more; -1: none. */
static int give_udp(struct carrier *c)
{
    int fd = c->udp;

    if (fd < 0)
        return -1;
    if (c->udp_poll.data != NULL) {
        uv_poll_stop(&c->udp_poll);
        uv_close((uv_handle_t *)&c->udp_poll, carrier_handle_closed);
    }
    c->udp = -1;
    return fd;
}

static void close_udp(struct carrier *c)
{
    int fd = give_udp(c);

    if (fd >= 0)
        close(fd);
}

/* Everything goes but the descriptors, which are the caller's; control hears of it when libuv has
 * let go. */
void carrier_let_go(struct carrier *c, int *udp, int *stream)
{
    struct sessions *s = c->worker->sessions;

    c->state = CARRIER_CLOSING;
    c->session = session_free(c->session);
    list_remove(&c->dirty);
    table_remove(&s->by_id, &c->by_id);
    if (c->has_timer)
        timers_remove(&s->timers, &c->timer);
    c->has_timer = false;
    *stream = carrier_give_stream(c);
    *udp = give_udp(c);
    /* Who called this may still look at it. */
    c->leave.step = leave_step;
    if (c->n_handles == 0)
        task_queue(c->worker, &c->leave);
}

static void close_all(struct carrier *c)
{
    int udp, stream;

    if (c->state == CARRIER_CLOSING)
        return;
    carrier_let_go(c, &udp, &stream);
    if (stream >= 0)
        close(stream);
    if (udp >= 0)
        close(udp);
}

static void ended_done(struct command *command)
{
    struct carrier *c = CONTAINER_OF(command, struct carrier, ended);
    const struct worker_events *events = &c->worker->options.events;

    events->session_ended(events->context, c, c->reason);
}

static void tell_end(struct carrier *c, const char *reason)
{
    struct sessions *s = c->worker->sessions;
    struct connect *one = connects_find(&s->connects, &c->claim);

    if (c->state != CARRIER_OPEN)
        return;
    c->state = CARRIER_ENDED;
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
    if (one != NULL && one->carrier == c)
        connects_end(&s->connects, one, "ended", (uint32_t)(session_now_ns() / 1000000000u));
    count(reason[0] == '\0' ? &s->counts.sessions_finished : &s->counts.sessions_failed);
    c->ended.done = ended_done;
    command_finish(c->worker, &c->ended);
}

static bool has_stream_all(const struct carrier *c)
{
    return c->stream.fd < 0 || (c->stream.has_mark && c->stream.n_mark_written == c->stream.n_mark);
}

static void look_at_failure(struct carrier *c)
{
    char reason[CONNECT_REASON_MAX + 1];

    snprintf(reason, sizeof(reason), "%s", session_reason(c->session));
    carrier_end_stream(c, reason);
    carrier_write_stream(c);
    tell_end(c, reason);
    if (c->is_udp_full)
        return; /* the client has not been told yet */
    c->session = session_free(c->session);
    close_udp(c);
}

/* The client's side may be through long before the server has read all. */
static void look_at_end(struct carrier *c)
{
    switch (session_state(c->session)) {
    case SESSION_OPEN:
        return;
    case SESSION_FAILED:
        look_at_failure(c);
        break;
    case SESSION_DONE:
    case SESSION_OVER:
        if (!has_stream_all(c))
            return;
        tell_end(c, "");
        carrier_close_stream(c);
        if (session_state(c->session) == SESSION_OVER)
            c->session = session_free(c->session);
        break;
    }
    if (c->session == NULL && has_stream_all(c))
        close_all(c);
}

void carrier_kill(struct carrier *c, const char *reason)
{
    if (c->state == CARRIER_CLOSING)
        return;
    if (c->session != NULL) {
        session_abort(c->session, reason); /* nothing where it has failed or is done */
        carrier_send(c);
        look_at_end(c);
    }
    carrier_end_stream(c, reason);
    carrier_write_stream(c);
    tell_end(c, reason);
    close_all(c);
}

/* ---- A turn ---- */

static void moved_done(struct command *command)
{
    struct carrier *c = CONTAINER_OF(command, struct carrier, moved);
    const struct worker_events *events = &c->worker->options.events;

    events->session_moved(events->context, c, &c->peer);
    atomic_store_explicit(&c->is_telling, false, memory_order_release);
}

/* One that moves again meanwhile is told of in its next turn. */
static void tell_move(struct carrier *c)
{
    const struct address *peer = session_peer(c->session);

    if (address_equal(peer, &c->peer) || atomic_load_explicit(&c->is_telling, memory_order_acquire))
        return;
    c->peer = *peer;
    atomic_store_explicit(&c->is_telling, true, memory_order_relaxed);
    c->moved.done = moved_done;
    command_finish(c->worker, &c->moved);
}

void carrier_touch(struct carrier *c)
{
    if (c->state != CARRIER_CLOSING && !list_is_linked(&c->dirty))
        list_append(&c->worker->sessions->dirty, &c->dirty);
}

static void show_figures(struct carrier *c)
{
    struct session_figures figures;

    session_figures(c->session, &figures);
    atomic_store_explicit(&c->bytes_in_flight, figures.bytes_in_flight, memory_order_relaxed);
    atomic_store_explicit(&c->retransmitted, figures.retransmitted, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->worker->sessions->counts.datagrams_resent,
                              figures.retransmitted - c->resent, memory_order_relaxed);
    c->resent = figures.retransmitted;
}

void carrier_pump(struct carrier *c)
{
    if (c->state == CARRIER_CLOSING)
        return;
    carrier_write_stream(c);
    if (c->session != NULL) {
        carrier_read_stream(c);
        carrier_send(c);
        show_figures(c);
        tell_move(c);
        look_at_end(c);
    } else if (has_stream_all(c)) {
        close_all(c);
    }
    if (c->state == CARRIER_CLOSING)
        return;
    carrier_watch_stream(c);
    session_clock_set(c, c->session != NULL ? session_deadline(c->session) : SESSION_NEVER);
}

void carrier_take(struct carrier *c, const struct arrival *a, const struct frame *f)
{
    struct address from;

    if (c->session == NULL)
        return;
    record_from(&a->meta, &from);
    session_receive(c->session, session_now_ns(), &from, f, a->n_bytes);
    carrier_touch(c);
}

/* ---- The beginning ---- */

void carrier_accept(const struct carrier *c)
{
    struct frame f = {.type = FRAME_ACCEPT,
                      .members = FRAME_HAS_SESSION | FRAME_HAS_WINDOW,
                      .port = c->port,
                      .window = c->receive_bytes};

    if (c->port != 0)
        f.members |= FRAME_HAS_PORT;
    memcpy(f.session, c->id, sizeof(f.session));
    sessions_answer(c->endpoint, &c->claim, &f);
}

static int watch(struct carrier *c)
{
    struct worker *w = c->worker;
    int r = timers_reserve(&w->sessions->timers);

    if (r < 0)
        return r;
    c->timer.at = INT64_MAX;
    timers_add(&w->sessions->timers, &c->timer);
    c->has_timer = true;
    if (c->stream.fd >= 0) {
        r = uv_poll_init(&w->loop, &c->stream.poll, c->stream.fd);
        if (r < 0)
            return r;
        c->stream.poll.data = c;
        c->n_handles++;
    }
    return carrier_watch_udp(c);
}

int carrier_begin(struct carrier *c)
{
    struct sessions *s = c->worker->sessions;

    list_append(&c->endpoint->carriers, &c->of_endpoint);
    table_add(&s->by_id, &c->by_id, table_hash(s->seed, c->id, sizeof(c->id)));
    return watch(c);
}

static void run_open(struct worker *w, struct command *command)
{
    struct carrier *c = CONTAINER_OF(command, struct carrier, open);
    struct sessions *s = w->sessions;
    struct connect *one = connects_find(&s->connects, &c->claim);

    if (carrier_begin(c) < 0 || one == NULL || one->state != CONNECT_PENDING) {
        carrier_kill(c, "no memory");
        return;
    }
    one->state = CONNECT_OPEN;
    one->carrier = c;
    count(&s->counts.sessions_opened);
    carrier_accept(c);
    carrier_touch(c);
}

static int make_session(struct carrier *c, const struct carrier_options *o)
{
    struct session_options options = {
        .is_server = true,
        .peer = o->claim.client,
        .now_ns = session_now_ns(),
        .peer_window = o->window,
        .receive_bytes = o->receive_bytes,
        /* What is probed for must not be fragmented, which an endpoint's own socket does. */
        .max_datagram = o->udp < 0 ? SESSION_DATAGRAM_MIN : 0,
    };

    memcpy(options.id, o->id, sizeof(options.id));
    if (getrandom(&options.seed, sizeof(options.seed), 0) != sizeof(options.seed))
        return -EIO;
    return session_new(&c->session, &options);
}

struct carrier *carrier_alloc(const struct carrier_options *o)
{
    struct carrier *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->worker = o->endpoint->worker;
    c->endpoint = o->endpoint;
    c->context = o->context;
    c->claim = o->claim;
    c->peer = o->claim.client;
    memcpy(c->id, o->id, sizeof(c->id));
    c->receive_bytes = o->receive_bytes;
    c->port = o->port;
    c->udp = o->udp;
    c->stream.fd = o->stream;
    return c;
}

int carrier_new(struct carrier **out, const struct carrier_options *o)
{
    struct carrier *c = carrier_alloc(o);
    int r;

    *out = NULL;
    if (c == NULL)
        return -ENOMEM;
    r = make_session(c, o);
    if (r < 0) {
        free(c);
        return r;
    }
    c->open.run = run_open;
    command_post(c->worker, &c->open);
    *out = c;
    return 0;
}

void *carrier_context(const struct carrier *c)
{
    return c->context;
}

/* ---- From control ---- */

static void run_abort(struct worker *w, struct command *command)
{
    struct carrier *c = CONTAINER_OF(command, struct carrier, abort);

    if (c->session != NULL && session_state(c->session) == SESSION_OPEN) {
        session_abort(c->session, c->abort_reason);
        carrier_touch(c);
    }
    command_finish(w, command);
}

void carrier_abort_done(struct carrier *c)
{
    c->is_abort_posted = false;
    if (c->is_forgotten)
        carrier_free(c);
}

static void abort_done(struct command *command)
{
    carrier_abort_done(CONTAINER_OF(command, struct carrier, abort));
}

void carrier_abort(struct carrier *c, const char *reason)
{
    if (c->is_abort_posted)
        return;
    c->is_abort_posted = true;
    snprintf(c->abort_reason, sizeof(c->abort_reason), "%s", reason);
    c->abort.run = run_abort;
    c->abort.done = abort_done;
    command_post(c->worker, &c->abort);
}

void carrier_info(const struct carrier *c, struct carrier_info *out)
{
    *out = (struct carrier_info){
        .bytes_in_flight = atomic_load_explicit(&c->bytes_in_flight, memory_order_relaxed),
        .retransmitted = atomic_load_explicit(&c->retransmitted, memory_order_relaxed),
    };
}
