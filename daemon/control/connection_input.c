/* SPDX-License-Identifier: MIT */
/* The reading side of a connection. */
#include "daemon/control/connection_input.h"

#include "daemon/control/connection.h"
#include "daemon/control/methods.h"
#include "daemon/control/state.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES      (64u * 1024u)
#define READS_AT_ONCE   16
#define MAX_DESCRIPTORS 253 /* SCM_MAX_FD of the kernel */

/* ---- Bytes in ---- */

static bool close_received(struct msghdr *message)
{
    bool is_any = false;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        is_any = true;
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
            close(fd);
        }
    }
    return is_any || (message->msg_flags & MSG_CTRUNC);
}

/* As recv; descriptors that come along are closed and end the connection. */
static ssize_t receive(struct connection *c, uint8_t *room, size_t n_room)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
    } control;
    struct iovec part = {.iov_base = room, .iov_len = n_room};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n;

    do
        n = recvmsg(c->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (close_received(&message))
        connection_fail(c, "it sent descriptors, which no method takes");
    return n;
}

/* Bytes read, 0 at the end of input, or -errno. */
static ssize_t read_some(struct connection *c)
{
    uint8_t *room;
    size_t n_room;
    ssize_t n = varlink_frames_reserve(&c->frames, READ_BYTES, &room, &n_room);

    if (n < 0)
        return n;
    n = receive(c, room, n_room);
    varlink_frames_commit(&c->frames, n > 0 ? (size_t)n : 0);
    return n;
}

/* ---- Frames ---- */

/* True: `held` is the next call. */
static bool take_frame(struct connection *c)
{
    size_t length;
    char *frame;
    int r;

    if (c->has_held)
        return true;
    frame = varlink_frames_next(&c->frames, &length);
    if (!frame)
        return false;
    c->frame_deadline_ms = 0;
    r = varlink_call_parse(frame, length, &c->held);
    if (r == -EINVAL)
        connection_fail(c, "garbage: a frame is not a Varlink call");
    else if (r < 0)
        connection_fail(c, "no memory for a call");
    c->has_held = r == 0;
    return c->has_held;
}

static bool may_go_on(const struct connection *c)
{
    return !c->active || (c->active->is_stream && c->held.oneway);
}

static void dispatch_held(struct connection *c)
{
    struct call *call = call_new(c->control, c, &c->held);

    c->has_held = false;
    if (call)
        methods_dispatch(call);
    else
        connection_fail(c, "no memory for a call");
}

/* Whether more input is wanted. */
static bool carry_out(struct connection *c)
{
    while (c->state == CONNECTION_OPEN && take_frame(c)) {
        if (!may_go_on(c))
            return false;
        dispatch_held(c);
    }
    return c->state == CONNECTION_OPEN;
}

static void end_input(struct connection *c, ssize_t error)
{
    if (error == -EMSGSIZE)
        connection_fail(c, "a frame is longer than limits.frame_bytes (%llu)",
                        (unsigned long long)c->control->config.limits.frame_bytes);
    else if (error == -ENOMEM)
        connection_fail(c, "no memory for a frame");
    else if (error < 0)
        connection_fail(c, "hung up: %s", strerrordesc_np((int)-error));
    else if (varlink_frames_has_partial(&c->frames))
        connection_fail(c, "it hung up within a frame");
    c->has_ended = true;
}

static void read_and_carry_out(struct connection *c)
{
    for (int i = 0; i < READS_AT_ONCE && carry_out(c); i++) {
        ssize_t n = read_some(c);

        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            end_input(c, n);
            return;
        }
    }
    carry_out(c);
}

static void set_frame_deadline(struct connection *c)
{
    if (c->has_held || !varlink_frames_has_partial(&c->frames))
        c->frame_deadline_ms = 0;
    else if (c->frame_deadline_ms == 0)
        c->frame_deadline_ms =
            uv_now(c->control->loop) + c->control->config.limits.frame_timeout_s * 1000;
}

static void after_input(struct connection *c)
{
    set_frame_deadline(c);
    if (c->has_ended && c->active && c->active->is_unbounded)
        connection_fail(c, "hung up");
}

void connection_input(struct connection *c)
{
    if (c->state != CONNECTION_OPEN || c->has_ended)
        return;
    c->is_reading = true;
    read_and_carry_out(c);
    c->is_reading = false;
    after_input(c);
}

void connection_input_resume(struct connection *c)
{
    c->is_reading = true;
    (void)carry_out(c);
    c->is_reading = false;
    after_input(c);
}

static void dispatch_ack(struct connection *c)
{
    if (c->held.oneway && strcmp(c->held.method, METHOD_ACK) == 0) {
        dispatch_held(c);
    } else {
        varlink_call_deinit(&c->held);
        c->has_held = false;
    }
}

void connection_input_last(struct connection *c)
{
    if (c->state != CONNECTION_OPEN || c->is_reading)
        return;
    c->is_reading = true;
    do {
        while (c->state == CONNECTION_OPEN && take_frame(c))
            dispatch_ack(c);
    } while (c->state == CONNECTION_OPEN && !c->has_ended && read_some(c) > 0);
    c->has_ended = true;
    c->is_reading = false;
}
