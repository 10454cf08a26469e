/* SPDX-License-Identifier: MIT */
/* A Varlink connection to msgd's control socket: frames out, replies and descriptors in. */
#ifndef MSGD_CLIENT_CONNECTION_H
#define MSGD_CLIENT_CONNECTION_H

#include "proto/varlink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Descriptors that one message may bring; Attach's reply has five. */
#define CONNECTION_SET_MAX 16
/*
 * Sets that can be on their way to a reply that is not whole yet: one that the frame in hand came
 * with, one that the same read brought for the frame after it.
 */
#define CONNECTION_SETS_MAX 4

/* The descriptors that came with one reply. */
struct descriptor_set {
    int fds[CONNECTION_SET_MAX]; /* -1: taken */
    size_t n;
    bool is_cut; /* there were more, and no room for them in this process */
};

struct connection {
    int fd; /* non-blocking; -1: closed */
    struct varlink_frames in;
    struct json_writer out; /* frames that are to be sent */
    size_t sent;            /* bytes of out that have been */
    struct descriptor_set sets[CONNECTION_SETS_MAX];
    size_t n_sets;
};

/* A closed connection, without any memory. */
void connection_init(struct connection *c);

/*
 * Connects to a Unix stream socket. may_wait: at most 5 s where the listener's queue is full, else
 * that is -EAGAIN. 0, or what socket(2) and connect(2) say; -ENAMETOOLONG.
 */
int connection_open(struct connection *c, const char *path, bool may_wait)
    __attribute__((warn_unused_result));
/* Closes and frees everything, also descriptors that nobody took. Safe on a closed one. */
void connection_close(struct connection *c);

/* Sends what is in `out`. 0: all of it; -EAGAIN: some is left; or what sendmsg(2) says, -ENOMEM. */
int connection_send(struct connection *c) __attribute__((warn_unused_result));

/* Reads once. 0; -EAGAIN: nothing there; -ECONNRESET: the end; -EMSGSIZE, -EPROTO, -ENOMEM... */
int connection_read(struct connection *c) __attribute__((warn_unused_result));

/* The next whole reply in hand, to be ended by varlink_reply_deinit. 1; 0: none; -EPROTO, -ENOMEM.
 */
int connection_next(struct connection *c, struct varlink_reply *out)
    __attribute__((warn_unused_result));

/*
 * Takes the descriptors that came first and were not taken yet; the caller closes them.
 * 0, -EPROTO (there are none), -EMFILE (some are missing, for want of room; *out is empty).
 */
int connection_take_set(struct connection *c, struct descriptor_set *out)
    __attribute__((warn_unused_result));
/* Closes what is in a set, and empties it. */
void descriptor_set_close(struct descriptor_set *set);

/*
 * Waits until something can be read, or sent if there is something to send.
 * 0, -ETIMEDOUT, -EINTR, -ENOMEM.
 */
int connection_wait(struct connection *c, int64_t deadline) __attribute__((warn_unused_result));

/* Is the peer there, and silent, as it is between calls? 0, -ECONNRESET, -EPROTO (it spoke
 * unasked). */
int connection_probe(struct connection *c) __attribute__((warn_unused_result));

static inline bool connection_is_open(const struct connection *c)
{
    return c->fd >= 0;
}

static inline bool connection_has_output(const struct connection *c)
{
    return c->out.length > c->sent;
}

#endif
