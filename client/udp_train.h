/* SPDX-License-Identifier: MIT */
/*
 * Datagrams by the train: what goes to one address in pieces of one length leaves with one system
 * call (UDP_SEGMENT), and comes so (UDP_GRO). A kernel or device that cannot is sent single ones.
 */
#ifndef MSGD_CLIENT_UDP_TRAIN_H
#define MSGD_CLIENT_UDP_TRAIN_H

#include "client/udp_error.h"
#include "client/udp_segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One socket with what is on its way into it. */
struct udp_train {
    int fd;
    int family;      /* AF_INET, AF_INET6 */
    bool is_single;  /* no trains here */
    bool has_errors; /* something failed: udp_train_next_error may know more */
    uint8_t *bytes;  /* room for a train, a datagram behind it, and an arrival; owned */
    size_t length;   /* of the train in hand */
    size_t segment;  /* each of its datagrams but the last */
    size_t n;
    struct address to;
    size_t waiting; /* bytes of a datagram behind a train that could not be sent; 0: none */
    struct address waiting_to;
};

/* A socket for sending to addresses of this one's family; not bound. 0 or -errno. */
int udp_train_open(struct udp_train *t, const struct address *to)
    __attribute__((warn_unused_result));
void udp_train_close(struct udp_train *t);

/* Where the next datagram is to be written: UDP_DATAGRAM_MAX bytes behind the train. */
uint8_t *udp_train_room(struct udp_train *t);

/*
 * A datagram of n bytes stands in the room. Sends what cannot be one train with it. 0; or what that
 * sending said, see udp_train_send: the new one is kept. After -EAGAIN nothing more may be added
 * before udp_train_send has returned something else.
 */
int udp_train_add(struct udp_train *t, size_t n, const struct address *to)
    __attribute__((warn_unused_result));

/*
 * Sends the train in hand. 0; -EAGAIN: the socket is full, and the train stays; anything else: what
 * sendmsg(2) says, and the train is gone, as if the network had lost it.
 */
int udp_train_send(struct udp_train *t) __attribute__((warn_unused_result));

/* What one read brought: datagrams of `segment` bytes, the last one maybe shorter. */
struct udp_arrival {
    const uint8_t *bytes;
    size_t length;
    size_t segment;
    struct address from;
};

/* Reads once; what it shows is valid until the next time. 0, -EAGAIN, or what recvmsg(2) says. */
int udp_train_receive(struct udp_train *t, struct udp_arrival *out)
    __attribute__((warn_unused_result));

/* Takes the next one from the socket's error queue. False: there is none. */
bool udp_train_next_error(struct udp_train *t, struct udp_error *out);

#endif
