/* SPDX-License-Identifier: MIT */
/* What has gathered in a feed leaves: runs of one length as trains, many with one system call. */
#include "client/deadline.h"
#include "client/feed.h"
#include "client/udp_segment.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define TRAINS_MAX   64u /* that one call sends */
#define CONGESTED_NS 1000000

/* Datagrams that stand behind each other and leave as one, each of the first one's length, the last
 * maybe shorter. */
struct train {
    uint32_t n;
    struct iovec bytes;
    struct udp_segment control;
};

/* ---- Trains ---- */

static bool may_follow(const struct feed_datagram *first, const struct feed_datagram *last,
                       const struct feed_datagram *next, size_t total)
{
    return last->length == first->length && next->length > 0 && next->length <= first->length &&
           next->at == last->at + last->length && total + next->length <= UDP_DATAGRAM_MAX;
}

/* How many of n datagrams are one train. */
static uint32_t train_length(const struct feed_socket *s, const struct feed_datagram *d, uint32_t n)
{
    size_t total = d->length;
    uint32_t i = 1;

    if (s->is_single || !s->is_settled || d->length == 0 || d->length > s->path_bytes)
        return 1;
    for (; i < n && i < UDP_SEGMENTS_MAX && may_follow(d, &d[i - 1], &d[i], total); i++)
        total += d[i].length;
    return i;
}

static void fill(struct msgd_feed *f, const struct feed_datagram *d, struct train *t,
                 struct msghdr *h)
{
    const struct feed_datagram *last = d + t->n - 1;

    t->bytes = (struct iovec){f->bytes + d->at, last->at + last->length - d->at};
    *h = (struct msghdr){.msg_iov = &t->bytes, .msg_iovlen = 1};
    if (t->n > 1)
        udp_segment_set(h, &t->control, d->length);
}

/* The datagrams of a train have left, or never will. */
static void take_off(struct msgd_feed *f, uint32_t n, bool is_sent)
{
    for (; n > 0; n--) {
        uint32_t n_messages = f->datagrams[f->n_gone++].n_messages;
        f->figures.datagrams += is_sent;
        *(is_sent ? &f->figures.sent : &f->figures.failed) += n_messages;
    }
}

/* ---- Errors ---- */

static void keep_error(struct msgd_feed *f, int error)
{
    if (f->told == 0)
        f->told = error;
}

/* Does the next address get what this one refuses? */
static bool goes_on(struct msgd_feed *f, int error)
{
    return feed_socket_is_of_the_address(error) && feed_socket_advance(&f->socket);
}

/*
 * The first train of a call did not leave. What the network said of earlier datagrams is told by
 * the same way; then this one goes again. 0, or -EAGAIN, -ENOBUFS: later.
 */
static int take_error(struct msgd_feed *f, int error, uint32_t n)
{
    if (error == -EAGAIN || error == -ENOBUFS)
        return error;
    int told = feed_socket_look(&f->socket, 0);
    if (told == 0 && error == -ECONNREFUSED)
        told = error;
    if (goes_on(f, told != 0 ? told : error))
        return 0;
    if (told != 0) {
        keep_error(f, told);
        return 0;
    }
    /* This way's device, or its kernel, cannot. */
    if (n > 1 && udp_segment_is_refused(error)) {
        f->socket.is_single = true;
        return 0;
    }
    keep_error(f, error);
    take_off(f, n, false);
    return 0;
}

/* The first datagram to one of several addresses: was it refused? Then the next one gets it. */
static void settle(struct msgd_feed *f)
{
    struct feed_socket *s = &f->socket;
    struct feed_datagram *d = &f->datagrams[f->n_gone - 1];
    int error = feed_socket_look(s, s->is_local ? 0 : s->linger_ms);

    if (goes_on(f, error)) {
        f->n_gone--;
        f->figures.datagrams--;
        f->figures.sent -= d->n_messages;
        return;
    }
    s->is_settled = true;
    if (error != 0)
        keep_error(f, error);
}

/* ---- Sending ---- */

static int send_some(struct msgd_feed *f)
{
    struct mmsghdr headers[TRAINS_MAX];
    struct train trains[TRAINS_MAX];
    bool is_settled = f->socket.is_settled;
    uint32_t n = 0;

    for (uint32_t at = f->n_gone; at < f->n_datagrams && n < (is_settled ? TRAINS_MAX : 1); n++) {
        const struct feed_datagram *d = &f->datagrams[at];
        trains[n].n = train_length(&f->socket, d, f->n_datagrams - at);
        fill(f, d, &trains[n], &headers[n].msg_hdr);
        at += trains[n].n;
    }
    int sent = feed_socket_send(&f->socket, headers, n);
    if (sent < 0)
        return take_error(f, sent, trains[0].n);
    for (int i = 0; i < sent; i++)
        take_off(f, trains[i].n, true);
    if (!is_settled)
        settle(f);
    return 0;
}

int feed_send(struct msgd_feed *f)
{
    int error = 0;

    while (f->n_gone < f->n_datagrams && error == 0)
        error = send_some(f);
    if (error != 0)
        return error;
    f->n_datagrams = f->n_gone = 0;
    f->length = 0;
    return 0;
}

/* ---- Flushing ---- */

static int tell(struct msgd_feed *f)
{
    char text[ADDRESS_TEXT_MAX];
    int error = f->told;

    f->told = 0;
    if (error == 0)
        return 0;
    address_print(feed_socket_address(&f->socket), text);
    if (error == -ECONNREFUSED)
        return failure_set(&f->failure, error, "nobody listens on %s", text);
    return failure_set(&f->failure, error, "sending to %s: %s", text, strerror(-error));
}

/* Until there may be room, or the end of the time. 0, -EINTR, -EAGAIN: the time is over. */
static int wait_for_room(struct msgd_feed *f, int error, int64_t deadline)
{
    struct pollfd fd = {.fd = f->socket.fd, .events = POLLOUT};
    const struct timespec nap = {.tv_nsec = CONGESTED_NS};
    int left_ms = deadline_left_ms(deadline);

    if (left_ms == 0)
        return -EAGAIN;
    /* A device's queue is full, which the socket does not know. */
    if (error == -ENOBUFS)
        return nanosleep(&nap, NULL) == 0 ? 0 : -errno;
    return poll(&fd, 1, left_ms) >= 0 ? 0 : -errno;
}

int msgd_feed_flush(struct msgd_feed *f, int timeout_ms)
{
    int64_t deadline = deadline_after_ms(timeout_ms);
    int error = feed_check_process(f);

    if (error != 0)
        return error;
    feed_close_batch(f);
    while ((error = feed_send(f)) != 0) {
        error = wait_for_room(f, error, deadline);
        if (error == -EINTR)
            return error;
        if (error != 0)
            return failure_set(&f->failure, -EAGAIN, "%u datagrams wait for room in the kernel",
                               f->n_datagrams - f->n_gone);
    }
    /* This host's refusals are there when the call returns. */
    if (f->socket.is_local && f->told == 0)
        f->told = feed_socket_look(&f->socket, 0);
    return tell(f);
}

int feed_settle(struct msgd_feed *f)
{
    keep_error(f, feed_socket_look(&f->socket, f->socket.is_local ? 0 : f->socket.linger_ms));
    return tell(f);
}
