/* SPDX-License-Identifier: MIT */
/*
 * The UDP socket of a feed, for the first address of several behind which somebody is. It is
 * connected, so that the kernel tells of refusals and only answers from that address come in. To a
 * broadcast or multicast address it is not: there anybody may answer.
 */
#ifndef MSGD_CLIENT_FEED_SOCKET_H
#define MSGD_CLIENT_FEED_SOCKET_H

#include "client/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct feed_socket {
    struct target_addresses addresses;
    size_t current;
    int fd;              /* non-blocking; -1: none */
    int linger_ms;       /* how long a refusal from afar is waited for */
    size_t path_bytes;   /* the largest payload that is not cut on its way, as far as is known */
    bool is_local;       /* the target is this host, whose refusals come at once */
    bool is_group;       /* broadcast or multicast */
    bool is_settled;     /* later refusals no longer go on to the next address */
    bool is_single;      /* datagrams do not leave as trains here (UDP_SEGMENT) */
    uint64_t n_refusals; /* errors that the network sent back */
};

/* Opens a socket to the first address that takes one. 0, or what socket(2) and connect(2) say of
 * the last address. */
int feed_socket_open(struct feed_socket *s, const struct target_addresses *addresses, int linger_ms)
    __attribute__((warn_unused_result));
void feed_socket_close(struct feed_socket *s);

/* Goes on to the next address that takes a socket. False: there is none, or it is settled. */
bool feed_socket_advance(struct feed_socket *s);

/* Sends datagrams and trains. Returns how many, at least 1; or -errno, of the first one or of what
 * was sent before. */
int feed_socket_send(const struct feed_socket *s, struct mmsghdr *headers, unsigned n);

/*
 * What the network has said of datagrams that were sent, waiting at most timeout_ms for it: counts
 * it. 0, or the first of these errors (-ECONNREFUSED...).
 */
int feed_socket_look(struct feed_socket *s, int timeout_ms);

/* Does the error concern the address, so that another one may be better? */
bool feed_socket_is_of_the_address(int error);

/* The address in use. */
const struct address *feed_socket_address(const struct feed_socket *s);

#endif
