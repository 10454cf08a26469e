/* SPDX-License-Identifier: MIT */
/* The client's side: socket, timer, handshake, session. */
#include "client/session_udp.h"

#include "client/deadline.h"
#include "client/udp_train.h"
#include "proto/handshake.h"
#include "proto/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Also the `window` of our connect. */
#define RECEIVE_BYTES (1024u * 1024u)
/* Reads of one call; what is left wakes the next one. */
#define MAX_READS 64
/* The header of IP and UDP, by which an MTU is larger than the datagram. */
#define HEADERS_V4 28u
#define HEADERS_V6 48u
/* An address of a host that says nothing for so long gives way to the next one. */
#define SILENCE_NS (2000 * (uint64_t)NS_PER_MS)

struct session_udp {
    struct msgd_session base;
    struct udp_train train; /* fd -1: no address is being tried */
    int timer;
    uint64_t armed_ns;     /* what the timer is set to; SESSION_NEVER */
    bool is_watching_room; /* for EPOLLOUT */
    struct target_addresses addresses;
    size_t current;
    int address_error;   /* why the last address would not do */
    uint64_t end_ns;     /* of connecting */
    uint64_t silence_ns; /* of waiting for this address to say anything */
    struct handshake handshake;
    struct session *session; /* NULL while connecting */
};

static struct session_udp *udp_of(struct msgd_session *s)
{
    return (struct session_udp *)s;
}

static const struct session *session_of(const struct msgd_session *s)
{
    return ((const struct session_udp *)s)->session;
}

static uint64_t now_ns(void)
{
    return (uint64_t)deadline_now();
}

/* ---- Descriptors ---- */

static int watch_socket(struct session_udp *u, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = u->train.fd};

    return epoll_ctl(u->base.epoll, operation, u->train.fd, &event) == 0 ? 0 : -errno;
}

/* Wakes for room in the socket while a train is stuck. */
static void watch_room(struct session_udp *u, bool wanted)
{
    if (wanted != u->is_watching_room &&
        watch_socket(u, EPOLL_CTL_MOD, EPOLLIN | (wanted ? (uint32_t)EPOLLOUT : 0)) == 0)
        u->is_watching_room = wanted;
}

/* A timer that goes off too early costs one look, and setting it costs as much. */
static void set_timer(struct session_udp *u, uint64_t now, uint64_t when)
{
    if (when >= u->armed_ns && u->armed_ns > now)
        return;
    if (u->armed_ns <= now) {
        uint64_t n;
        if (read(u->timer, &n, sizeof(n)) < 0)
            n = 0;
    }
    u->armed_ns = when;
    if (when == SESSION_NEVER)
        return;
    const struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(when / 1000000000), .tv_nsec = (long)(when % 1000000000)}};
    timerfd_settime(u->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* ---- Connecting ---- */

/* Which refusals of msgd's own are no decision of the server's. */
static int error_of_refusal(const char *reason)
{
    static const struct {
        const char *reason;
        int error;
    } table[] = {
        {"no_listener", -ECONNREFUSED}, {"no_sessions", -ECONNREFUSED},
        {"released", -ECONNREFUSED},    {"full", -EAGAIN},
        {"timeout", -ETIMEDOUT},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].reason, reason) == 0)
            return table[i].error;
    return -EACCES;
}

static int fail_refused(struct session_udp *u)
{
    const char *reason = u->handshake.reason;
    const char *peer = u->base.peer;
    int error = error_of_refusal(reason);

    if (strcmp(reason, "no_listener") == 0)
        return client_session_fail(&u->base, error, reason,
                                   "nobody takes sessions on %s at present; start the server "
                                   "(msgrecv NAME --sessions)",
                                   peer);
    if (strcmp(reason, "no_sessions") == 0)
        return client_session_fail(
            &u->base, error, reason,
            "%s takes messages, but no sessions; its server must register with "
            "sessions (msgrecv NAME --sessions)",
            peer);
    if (strcmp(reason, "timeout") == 0)
        return client_session_fail(&u->base, error, reason,
                                   "the server behind %s did not decide in time", peer);
    return client_session_fail(&u->base, error, reason, "%s refused the session: %s", peer, reason);
}

static int fail_address(struct session_udp *u)
{
    int error = u->address_error;

    if (error == -ECONNREFUSED)
        return client_session_fail(
            &u->base, error, "unreachable",
            "nobody listens on %s; start the server, or register the port with "
            "msgrecv NAME --sessions",
            u->base.peer);
    if (error != -ETIMEDOUT)
        return client_session_fail(&u->base, error, "unreachable", "%s: %s", u->base.peer,
                                   strerror(-error));
    return client_session_fail(
        &u->base, error, "timeout",
        u->handshake.has_answered
            ? "%s answers, but the server did not decide in time"
            : "no answer from %s; is it a port of msgd, and may its datagrams pass?",
        u->base.peer);
}

static int open_address(struct session_udp *u, const struct address *to, uint64_t now)
{
    size_t n_left = u->addresses.n - u->current;
    struct handshake_options o = {
        .window = RECEIVE_BYTES,
        .now_ns = now,
        .timeout_ns = u->end_ns > now ? u->end_ns - now : 0,
    };
    const char *identity = u->base.identity;

    if (identity != NULL)
        o.identity = (struct frame_slice){(const uint8_t *)identity, strlen(identity)};
    uint64_t share = o.timeout_ns / n_left < SILENCE_NS ? o.timeout_ns / n_left : SILENCE_NS;
    u->silence_ns = n_left > 1 ? now + share : SESSION_NEVER;
    if (getrandom(o.nonce, sizeof(o.nonce), 0) != sizeof(o.nonce) ||
        getrandom(&o.seed, sizeof(o.seed), 0) != sizeof(o.seed))
        return -EIO;
    handshake_init(&u->handshake, &o);
    address_print(to, u->base.peer);
    int error = udp_train_open(&u->train, to);
    if (error != 0)
        return error;
    u->is_watching_room = false;
    return watch_socket(u, EPOLL_CTL_ADD, EPOLLIN);
}

static void close_address(struct session_udp *u)
{
    /* A forked child may have the descriptor, too. */
    if (u->train.fd >= 0)
        (void)watch_socket(u, EPOLL_CTL_DEL, 0);
    udp_train_close(&u->train);
}

/* Goes on to the next address that a socket can be had for. 0 or a failure. */
static int try_addresses(struct session_udp *u, uint64_t now)
{
    for (; u->current < u->addresses.n; u->current++) {
        int error = open_address(u, &u->addresses.items[u->current], now);
        if (error == 0)
            return 0;
        u->address_error = error;
        close_address(u);
    }
    return fail_address(u);
}

/* This address will not do. */
static int next_address(struct session_udp *u, uint64_t now, int error)
{
    u->address_error = error;
    close_address(u);
    if (u->current + 1 >= u->addresses.n || now >= u->end_ns)
        return fail_address(u);
    u->current++;
    return try_addresses(u, now);
}

static int begin_session(struct session_udp *u, uint64_t now)
{
    const struct handshake *h = &u->handshake;
    struct session_options o = {
        .peer = u->addresses.items[u->current],
        .now_ns = now,
        .peer_window = h->window,
        .receive_bytes = RECEIVE_BYTES,
    };

    memcpy(o.id, h->session, sizeof(o.id));
    if (h->port != 0)
        o.peer.port = h->port;
    if (getrandom(&o.seed, sizeof(o.seed), 0) != sizeof(o.seed) ||
        session_new(&u->session, &o) != 0)
        return client_session_fail(&u->base, -ENOMEM, "", "no memory for a session");
    for (size_t i = 0; i < sizeof(o.id); i++)
        snprintf(u->base.id + 2 * i, 3, "%02x", o.id[i]);
    address_print(&o.peer, u->base.peer);
    u->base.state = MSGD_SESSION_OPEN;
    return 0;
}

/* Does another address deserve its chance? */
static bool is_silent(const struct session_udp *u, uint64_t now)
{
    return now >= u->silence_ns && !u->handshake.has_answered;
}

/* What the handshake has come to. 0 or a failure. */
static int look_at_handshake(struct session_udp *u, uint64_t now)
{
    switch (u->handshake.state) {
    case HANDSHAKE_ACCEPTED:
        return begin_session(u, now);
    case HANDSHAKE_REFUSED:
        return fail_refused(u);
    case HANDSHAKE_UNREACHABLE:
        return next_address(u, now, u->address_error);
    case HANDSHAKE_TIMED_OUT:
        return next_address(u, now, -ETIMEDOUT);
    default:
        return is_silent(u, now) ? next_address(u, now, -ETIMEDOUT) : 0;
    }
}

/* ---- Arriving ---- */

static bool is_of_session(const struct frame *f)
{
    return f->type == FRAME_DATA || f->type == FRAME_CLOSE ||
           ((f->type == FRAME_PING || f->type == FRAME_PONG) &&
            (f->members & FRAME_HAS_SESSION) != 0);
}

static void take_datagram(struct session_udp *u, uint64_t now, const struct address *from,
                          const uint8_t *bytes, size_t n)
{
    struct frame f;

    if (n == 0 || bytes[0] != FRAME_START || frame_parse(bytes, n, &f) != 0)
        return;
    if (u->session == NULL) {
        if (address_equal(from, &u->addresses.items[u->current]))
            handshake_receive(&u->handshake, now, &f);
    } else if (is_of_session(&f) &&
               memcmp(f.session, u->handshake.session, sizeof(f.session)) == 0) {
        session_receive(u->session, now, from, &f, n);
    }
}

static void take_error(struct session_udp *u, uint64_t now, const struct udp_error *e)
{
    uint32_t headers = u->train.family == AF_INET6 ? HEADERS_V6 : HEADERS_V4;

    if (u->session == NULL) {
        if (e->error != -EMSGSIZE && address_equal(&e->to, &u->addresses.items[u->current])) {
            u->address_error = e->error;
            handshake_unreachable(&u->handshake);
        }
    } else if (e->error == -EMSGSIZE && e->mtu > headers) {
        session_too_large(u->session, now, e->mtu - headers + 1);
    } else if (e->error == -ECONNREFUSED && address_equal(&e->to, session_peer(u->session))) {
        session_refused(u->session, now);
    }
}

/* Reads what is there. 0 or a failure. */
static int take_arrivals(struct session_udp *u, uint64_t now)
{
    struct udp_arrival a;
    struct udp_error e;

    for (int i = 0; i < MAX_READS && u->train.fd >= 0; i++) {
        int error = udp_train_receive(&u->train, &a);
        if (error == -EAGAIN && !u->train.has_errors)
            break;
        while (u->train.has_errors && udp_train_next_error(&u->train, &e))
            take_error(u, now, &e);
        for (size_t at = 0; error == 0 && at < a.length; at += a.segment)
            take_datagram(u, now, &a.from, a.bytes + at,
                          a.segment < a.length - at ? a.segment : a.length - at);
        if (u->session == NULL && (error = look_at_handshake(u, now)) != 0)
            return error;
    }
    return 0;
}

/* ---- Sending ---- */

/* The route or the rules of this host say no: while connecting that is an answer. */
static void note_send_error(struct session_udp *u, int error)
{
    if (u->session != NULL || error == 0 || error == -EAGAIN)
        return;
    u->address_error = error;
    handshake_unreachable(&u->handshake);
}

static int send_connects(struct session_udp *u, uint64_t now)
{
    for (;;) {
        size_t n = handshake_send(&u->handshake, now, udp_train_room(&u->train), UDP_DATAGRAM_MAX);
        if (n > 0) {
            int error = udp_train_add(&u->train, n, &u->addresses.items[u->current]);
            if (error == 0)
                error = udp_train_send(&u->train);
            note_send_error(u, error);
        }
        bool is_over = u->handshake.state != HANDSHAKE_ASKING;
        int error = look_at_handshake(u, now);
        if (error != 0 || u->session != NULL)
            return error;
        if (n == 0 && !is_over)
            return 0;
    }
}

static void send_datagrams(struct session_udp *u, uint64_t now)
{
    struct address to;
    int error = udp_train_send(&u->train);
    size_t n;

    while (error != -EAGAIN && (n = session_send(u->session, now, udp_train_room(&u->train),
                                                 UDP_DATAGRAM_MAX, &to)) > 0) {
        error = udp_train_add(&u->train, n, &to);
        if (error == -EMSGSIZE)
            session_too_large(u->session, now, n);
    }
    if (error != -EAGAIN)
        error = udp_train_send(&u->train);
    watch_room(u, error == -EAGAIN);
}

/* ---- The stream ---- */

static int udp_process(struct msgd_session *s)
{
    struct session_udp *u = udp_of(s);
    uint64_t now = now_ns();
    int error = take_arrivals(u, now);

    if (error == 0 && u->session == NULL)
        error = send_connects(u, now);
    if (error != 0)
        return error;
    if (u->session == NULL) {
        uint64_t when = handshake_deadline(&u->handshake);
        set_timer(u, now, when < u->silence_ns || u->handshake.has_answered ? when : u->silence_ns);
        return 0;
    }
    send_datagrams(u, now);
    set_timer(u, now, session_deadline(u->session));
    if (session_state(u->session) == SESSION_FAILED)
        return client_session_fail_for(s, session_reason(u->session));
    return 0;
}

static size_t udp_writable(const struct msgd_session *s)
{
    return session_writable(session_of(s));
}

static size_t udp_write(struct msgd_session *s, const uint8_t *bytes, size_t n)
{
    return session_write(udp_of(s)->session, bytes, n);
}

static const uint8_t *udp_peek(const struct msgd_session *s, size_t *n)
{
    return session_peek(session_of(s), n);
}

static void udp_consume(struct msgd_session *s, size_t n)
{
    session_consume(udp_of(s)->session, n);
}

static bool udp_is_at_end(const struct msgd_session *s)
{
    return session_is_finished(session_of(s));
}

static void udp_finish(struct msgd_session *s)
{
    session_finish(udp_of(s)->session);
}

static bool udp_is_done(const struct msgd_session *s)
{
    enum session_state state = session_state(session_of(s));

    return state == SESSION_DONE || state == SESSION_OVER;
}

static bool udp_is_over(const struct msgd_session *s)
{
    return session_state(session_of(s)) == SESSION_OVER;
}

static void udp_abort(struct msgd_session *s, const char *reason)
{
    struct session_udp *u = udp_of(s);

    if (u->session == NULL)
        return;
    session_abort(u->session, reason);
    send_datagrams(u, now_ns());
}

static void udp_figures(const struct msgd_session *s, struct msgd_session_figures *out)
{
    struct session_figures f;

    if (session_of(s) == NULL)
        return;
    session_figures(session_of(s), &f);
    *out = (struct msgd_session_figures){
        .bytes_queued = f.bytes_queued,
        .bytes_in_flight = f.bytes_in_flight,
        .sent = f.sent,
        .received = f.received,
        .retransmitted = f.retransmitted,
        .round_trip_us = f.smoothed_rtt_ns / 1000,
    };
}

static void udp_free(struct msgd_session *s)
{
    struct session_udp *u = udp_of(s);

    u->session = session_free(u->session);
    udp_train_close(&u->train);
    if (u->timer >= 0)
        close(u->timer);
    client_session_deinit(s);
    free(u);
}

static const struct session_stream udp_stream = {
    .process = udp_process,
    .writable = udp_writable,
    .write = udp_write,
    .peek = udp_peek,
    .consume = udp_consume,
    .is_at_end = udp_is_at_end,
    .finish = udp_finish,
    .is_done = udp_is_done,
    .is_over = udp_is_over,
    .abort = udp_abort,
    .figures = udp_figures,
    .free = udp_free,
};

static int open_descriptors(struct session_udp *u)
{
    int error = client_session_init(&u->base, &udp_stream, false);

    if (error != 0)
        return error;
    u->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (u->timer < 0)
        return -errno;
    return client_session_watch(&u->base, u->timer, EPOLLIN);
}

int session_udp_open(struct msgd_session **out, const struct target_addresses *addresses,
                     char *identity, int timeout_ms, struct failure *failure)
{
    struct session_udp *u = calloc(1, sizeof(*u));
    uint64_t now = now_ns();

    *out = NULL;
    if (u == NULL) {
        free(identity);
        return failure_set(failure, -ENOMEM, "no memory for a session");
    }
    u->base.epoll = u->timer = u->train.fd = -1;
    u->base.identity = identity;
    u->addresses = *addresses;
    u->armed_ns = SESSION_NEVER;
    u->end_ns = now + (uint64_t)timeout_ms * NS_PER_MS;
    int error = open_descriptors(u);
    if (error != 0) {
        failure_set(failure, error, "cannot begin a session: %s", strerror(-error));
        udp_free(&u->base);
        return error;
    }
    (void)!try_addresses(u, now); /* a failure is the session's */
    *out = &u->base;
    return 0;
}
