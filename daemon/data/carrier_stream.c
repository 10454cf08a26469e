/* SPDX-License-Identifier: MIT */
/* The stream socket of a session: the bytes of both streams, and how each of them ended.
 * docs/protocol.md, section "The stream socket". */
#include "daemon/data/carrier.h"

#include "proto/text_sequence.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES      65536u
#define READS_PER_TURN  4
#define WRITES_PER_TURN 16

static void server_is_gone(struct carrier *c)
{
    carrier_close_stream(c);
    session_abort(c->session, "server ended");
}

/* ---- From the server ---- */

static void take_why(struct carrier_stream *s, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n && bytes[i] != '\n' && s->n_why < CONNECT_REASON_MAX; i++)
        if (bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\')
            s->why[s->n_why++] = (char)bytes[i];
}

/* Neither mark can stand in a JSON text. */
static size_t find_mark(const uint8_t *bytes, size_t n)
{
    const uint8_t *finish = memchr(bytes, SEQUENCE_FINISH, n);
    const uint8_t *cancel =
        memchr(bytes, SEQUENCE_CANCEL, finish != NULL ? (size_t)(finish - bytes) : n);

    if (cancel != NULL)
        return (size_t)(cancel - bytes);
    return finish != NULL ? (size_t)(finish - bytes) : n;
}

static void take_bytes(struct carrier *c, const uint8_t *bytes, size_t n)
{
    struct carrier_stream *s = &c->stream;
    size_t n_texts = find_mark(bytes, n);

    if (s->is_cancelling) {
        take_why(s, bytes, n);
        return;
    }
    (void)session_write(c->session, bytes, n_texts); /* no more was read than there is room for */
    if (n_texts == n)
        return;
    if (bytes[n_texts] == SEQUENCE_FINISH) {
        s->has_finished = true;
        session_finish(c->session);
    } else {
        s->is_cancelling = true;
        take_why(s, bytes + n_texts + 1, n - n_texts - 1);
    }
}

static void end_of_input(struct carrier *c)
{
    if (c->stream.is_cancelling) {
        carrier_close_stream(c);
        session_abort(c->session, c->stream.n_why > 0 ? c->stream.why : "aborted");
    } else {
        server_is_gone(c);
    }
}

/* How much may be read now; one byte of a mark needs no room. */
static size_t room(const struct carrier *c)
{
    size_t n = session_writable(c->session);

    if (c->stream.is_cancelling)
        return CONNECT_REASON_MAX;
    return n < READ_BYTES ? n : READ_BYTES;
}

static bool may_read(const struct carrier *c)
{
    return c->stream.fd >= 0 && !c->stream.has_finished && c->session != NULL &&
           session_state(c->session) == SESSION_OPEN && room(c) > 0;
}

void carrier_read_stream(struct carrier *c)
{
    uint8_t *bytes = c->worker->sessions->stream;

    for (int i = 0; i < READS_PER_TURN && may_read(c); i++) {
        size_t n_room = room(c);
        ssize_t n = recv(c->stream.fd, bytes, n_room, MSG_DONTWAIT);
        if (n > 0)
            take_bytes(c, bytes, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            end_of_input(c);
        if (n <= 0 || (size_t)n < n_room)
            return;
    }
}

/* ---- To the server ---- */

/* False: it takes no more at present, or never again. */
static bool write_some(struct carrier *c, const uint8_t *bytes, size_t n, size_t *n_written)
{
    ssize_t sent = send(c->stream.fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);

    *n_written = sent > 0 ? (size_t)sent : 0;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        if (c->session != NULL && session_state(c->session) == SESSION_OPEN)
            server_is_gone(c);
        else
            carrier_close_stream(c);
    }
    return sent == (ssize_t)n;
}

static void write_mark(struct carrier *c)
{
    struct carrier_stream *s = &c->stream;
    size_t n;

    if (s->fd < 0 || !s->has_mark || s->n_mark_written == s->n_mark)
        return;
    bool is_through = write_some(c, s->mark + s->n_mark_written, s->n_mark - s->n_mark_written, &n);
    s->n_mark_written += n;
    if (is_through && s->fd >= 0)
        shutdown(s->fd, SHUT_WR);
}

void carrier_end_stream(struct carrier *c, const char *reason)
{
    struct carrier_stream *s = &c->stream;

    if (s->has_mark)
        return;
    s->has_mark = true;
    if (reason[0] == '\0') {
        s->mark[s->n_mark++] = SEQUENCE_FINISH;
        return;
    }
    s->mark[s->n_mark++] = SEQUENCE_CANCEL;
    for (; *reason != '\0' && s->n_mark < sizeof(s->mark) - 1; reason++)
        s->mark[s->n_mark++] = (uint8_t)*reason;
    s->mark[s->n_mark++] = '\n';
}

static void write_texts(struct carrier *c)
{
    const uint8_t *bytes;
    size_t n, n_written;

    for (int i = 0; i < WRITES_PER_TURN && c->stream.fd >= 0; i++) {
        bytes = session_peek(c->session, &n);
        if (bytes == NULL)
            break;
        bool is_through = write_some(c, bytes, n, &n_written);
        session_consume(c->session, n_written);
        if (!is_through)
            return;
    }
    if (c->stream.fd >= 0 && session_is_finished(c->session))
        carrier_end_stream(c, "");
}

void carrier_write_stream(struct carrier *c)
{
    if (c->session != NULL && !c->stream.has_mark && session_state(c->session) != SESSION_FAILED)
        write_texts(c);
    write_mark(c);
}

/* ---- Watching ---- */

static void on_stream(uv_poll_t *poll, int status, int events)
{
    struct carrier *c = CONTAINER_OF(poll, struct carrier, stream.poll);
    struct worker *w = c->worker;
    (void)events;

    if (status < 0) {
        /* libuv has stopped it. What the server wrote before it went is still there. */
        int error = 0;
        socklen_t length = sizeof(error);
        (void)!getsockopt(c->stream.fd, SOL_SOCKET, SO_ERROR, &error, &length);
        c->stream.watched = 0;
    }
    if (c->session != NULL)
        carrier_read_stream(c);
    carrier_touch(c);
    worker_flush(w);
}

static int wanted(const struct carrier *c)
{
    const struct carrier_stream *s = &c->stream;
    size_t n;
    int events = 0;

    if (may_read(c))
        events |= UV_READABLE;
    if (s->has_mark ? s->n_mark_written < s->n_mark
                    : c->session != NULL && session_peek(c->session, &n) != NULL)
        events |= UV_WRITABLE;
    return events;
}

void carrier_watch_stream(struct carrier *c)
{
    int events;

    if (c->stream.fd < 0)
        return;
    events = wanted(c);
    if (events == c->stream.watched)
        return;
    c->stream.watched = events;
    if (events == 0)
        uv_poll_stop(&c->stream.poll);
    else if (worker_watch(c->worker, &c->stream.poll, events, on_stream) != 0)
        carrier_close_stream(c);
}

int carrier_give_stream(struct carrier *c)
{
    int fd = c->stream.fd;

    if (fd < 0)
        return -1;
    /* libuv takes it out of epoll before it is closed. */
    if (c->stream.poll.data != NULL) {
        uv_poll_stop(&c->stream.poll);
        uv_close((uv_handle_t *)&c->stream.poll, carrier_handle_closed);
    }
    c->stream.fd = -1;
    return fd;
}

void carrier_close_stream(struct carrier *c)
{
    int fd = carrier_give_stream(c);

    if (fd >= 0)
        close(fd);
}
