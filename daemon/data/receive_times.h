/* SPDX-License-Identifier: MIT */
/*
 * When datagrams came. The kernel tells it with each, for 60 ns of processor time; where so many
 * come that they are let gather (core/coalesce.h), it is asked for that of the last one of each
 * read instead, and the others are spread between.
 */
#ifndef MSGD_DAEMON_DATA_RECEIVE_TIMES_H
#define MSGD_DAEMON_DATA_RECEIVE_TIMES_H

#include "daemon/core/spread.h"
#include "daemon/data/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static inline int64_t receive_times_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

/* Tells this control message when its datagram came? Then *ns is that. */
static inline bool receive_times_told(const struct cmsghdr *c, int64_t *ns)
{
    struct timespec time;

    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
        return false;
    memcpy(&time, CMSG_DATA(c), sizeof(time));
    *ns = receive_times_ns(&time);
    return true;
}

/*
 * s has read n packets, at least one: when those came with which the kernel has not told it. The
 * last one has its time in its control messages from here on, for who finds it there.
 */
struct spread receive_times_read(struct endpoint_socket *s, struct mmsghdr *m, size_t n);
/* The same where somebody else has read them: all came with the last one. */
struct spread receive_times_found(struct mmsghdr *m, size_t n);
/* A turn has read so many packets. is_empty: it has seen the end of what there was. */
void receive_times_turn(struct endpoint_socket *s, unsigned n_packets, bool is_empty);

#endif
