/* SPDX-License-Identifier: MIT */
/*
 * The server's side: buffers before and behind a Unix stream socket. docs/protocol.md, section
 * "Streams", has the marks at its ends.
 */
#include "client/session_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 65536u

/* Bytes from at to n are in hand. */
struct buffer {
    uint8_t *bytes; /* BUFFER_BYTES; owned */
    size_t at;
    size_t n;
};

struct session_unix {
    struct msgd_session base;
    int fd;
    struct buffer in, out;
    bool has_hung_up;  /* nothing more comes, with or without a mark */
    bool is_broken;    /* nobody takes what is in `out` */
    bool is_finishing; /* the mark goes behind what is in `out` */
    bool has_finished; /* it has gone */
};

static struct session_unix *unix_of(struct msgd_session *s)
{
    return (struct session_unix *)s;
}

static const struct session_unix *const_unix_of(const struct msgd_session *s)
{
    return (const struct session_unix *)s;
}

/* Room behind what is in hand. What a text was shown from stays where it is. */
static size_t make_room(struct buffer *b, bool may_move)
{
    if (b->at == b->n)
        b->at = b->n = 0;
    if (b->at > 0 && may_move) {
        memmove(b->bytes, b->bytes + b->at, b->n - b->at);
        b->n -= b->at;
        b->at = 0;
    }
    return BUFFER_BYTES - b->n;
}

/* Reads as much as there is room for. */
static void read_stream(struct session_unix *u)
{
    while (!u->has_hung_up) {
        size_t room = make_room(&u->in, u->base.shown == 0);
        if (room == 0)
            return;
        ssize_t n = recv(u->fd, u->in.bytes + u->in.n, room, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EWOULDBLOCK)
            return;
        if (n <= 0)
            u->has_hung_up = true;
        else
            u->in.n += (size_t)n;
    }
}

/* 0: all that can go now has; else that nobody reads it any more. */
static int send_stream(struct session_unix *u)
{
    struct buffer *out = &u->out;

    if (u->is_finishing && !u->has_finished && make_room(out, true) > 0) {
        out->bytes[out->n++] = SEQUENCE_FINISH;
        u->has_finished = true;
    }
    while (out->at < out->n) {
        ssize_t n =
            send(u->fd, out->bytes + out->at, out->n - out->at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EWOULDBLOCK ? 0 : -errno;
        out->at += (size_t)n;
    }
    return 0;
}

/* Edges are what the descriptor shows: they are taken off it here, before the sockets are looked
 * at. */
static void clear_edges(struct session_unix *u)
{
    struct epoll_event events[2]; /* beside the socket, what is awake stays so */

    (void)!epoll_wait(u->base.epoll, events, 2, 0);
}

static int unix_process(struct msgd_session *s)
{
    struct session_unix *u = unix_of(s);

    clear_edges(u);
    if (send_stream(u) != 0) { /* the reason stands in what it wrote; what we write goes nowhere */
        u->is_broken = true;
        u->out.at = u->out.n = 0;
    }
    read_stream(u);
    if (u->is_broken && s->has_read_all)
        return client_session_fail(s, -ECONNRESET, "ended", "%s has gone before it had everything",
                                   s->peer);
    if (u->has_hung_up && u->in.at == u->in.n && !s->has_read_all)
        return client_session_fail(s, -ECONNRESET, "msgd ended",
                                   "msgd has gone, and the session with %s with it", s->peer);
    return 0;
}

static size_t unix_writable(const struct msgd_session *s)
{
    const struct session_unix *u = const_unix_of(s);

    return u->is_finishing ? 0 : BUFFER_BYTES - (u->out.n - u->out.at);
}

static size_t unix_write(struct msgd_session *s, const uint8_t *bytes, size_t n)
{
    struct buffer *out = &unix_of(s)->out;

    make_room(out, true);
    memcpy(out->bytes + out->n, bytes, n);
    out->n += n;
    return n;
}

static const uint8_t *unix_peek(const struct msgd_session *s, size_t *n)
{
    const struct buffer *in = &const_unix_of(s)->in;

    *n = in->n - in->at;
    return *n > 0 ? in->bytes + in->at : NULL;
}

static void unix_consume(struct msgd_session *s, size_t n)
{
    unix_of(s)->in.at += n;
}

/* Only a mark is an end, and the reader sees it. */
static bool unix_is_at_end(const struct msgd_session *s)
{
    (void)s;
    return false;
}

static void unix_finish(struct msgd_session *s)
{
    unix_of(s)->is_finishing = true;
}

static bool unix_is_done(const struct msgd_session *s)
{
    const struct session_unix *u = const_unix_of(s);

    return u->has_finished && u->out.at == u->out.n && s->has_read_all;
}

/* What had not gone yet is gone: the mark may stand in the middle of a text. */
static void unix_abort(struct msgd_session *s, const char *reason)
{
    char mark[SEQUENCE_REASON_MAX + 3];
    int n =
        snprintf(mark, sizeof(mark), "%c%.*s\n", SEQUENCE_CANCEL, (int)SEQUENCE_REASON_MAX, reason);

    (void)!send(unix_of(s)->fd, mark, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void unix_figures(const struct msgd_session *s, struct msgd_session_figures *out)
{
    const struct session_unix *u = const_unix_of(s);

    out->bytes_queued = u->out.n - u->out.at;
}

static void unix_free(struct msgd_session *s)
{
    struct session_unix *u = unix_of(s);

    if (u->fd >= 0)
        close(u->fd);
    free(u->in.bytes);
    free(u->out.bytes);
    client_session_deinit(s);
    free(u);
}

static const struct session_stream unix_stream = {
    .process = unix_process,
    .writable = unix_writable,
    .write = unix_write,
    .peek = unix_peek,
    .consume = unix_consume,
    .is_at_end = unix_is_at_end,
    .finish = unix_finish,
    .is_done = unix_is_done,
    .is_over = unix_is_done,
    .abort = unix_abort,
    .figures = unix_figures,
    .free = unix_free,
};

static int begin(struct session_unix *u, const struct session_offer *offer)
{
    struct msgd_session *s = &u->base;
    int error = client_session_init(s, &unix_stream, true);

    if (error != 0)
        return error;
    snprintf(s->id, sizeof(s->id), "%s", offer->id);
    snprintf(s->peer, sizeof(s->peer), "%s", offer->peer);
    s->identity = offer->identity != NULL ? strdup(offer->identity) : NULL;
    u->in.bytes = malloc(BUFFER_BYTES);
    u->out.bytes = malloc(BUFFER_BYTES);
    if (u->in.bytes == NULL || u->out.bytes == NULL ||
        (offer->identity != NULL && s->identity == NULL))
        return -ENOMEM;
    s->state = MSGD_SESSION_OPEN;
    return client_session_watch(s, u->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int session_unix_open(struct msgd_session **out, int fd, const struct session_offer *offer,
                      struct failure *failure)
{
    struct session_unix *u = calloc(1, sizeof(*u));
    int error = -ENOMEM;

    *out = NULL;
    if (u == NULL) {
        close(fd);
    } else {
        u->fd = fd;
        u->base.epoll = -1;
        error = begin(u, offer);
    }
    if (error != 0) {
        if (u != NULL)
            unix_free(&u->base);
        return failure_set(failure, error, "cannot take a session: %s", strerror(-error));
    }
    *out = &u->base;
    return 0;
}
