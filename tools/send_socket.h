/* SPDX-License-Identifier: MIT */
/*
 * A UDP socket for the first address of several behind which somebody is. It is connected, so that
 * the kernel tells of refusals and only answers from that address come in. To a broadcast or
 * multicast address it is not: there anybody may answer.
 */
#ifndef MSGD_TOOLS_SEND_SOCKET_H
#define MSGD_TOOLS_SEND_SOCKET_H

#include "proto/address.h"

#include <stdbool.h>
#include <stddef.h>

#define SEND_MAX_ADDRESSES 16

struct send_socket {
    struct address addresses[SEND_MAX_ADDRESSES];
    size_t n_addresses;
    size_t current;
    int linger_ms;   /* how long a refusal from afar is waited for */
    int fd;          /* -1: none yet */
    bool is_local;   /* the target is this host, whose refusals come at once */
    bool is_group;   /* broadcast or multicast */
    bool is_settled; /* later refusals no longer go on to the next address */
};

/* Takes the addresses, at most SEND_MAX_ADDRESSES; opens nothing yet. */
void send_socket_init(struct send_socket *s, const struct address *addresses, size_t n,
                      int linger_ms);
void send_socket_deinit(struct send_socket *s);

/*
 * Sends one datagram. Until the socket is settled, a refusal (or an address that cannot be reached)
 * goes on to the next address, with this same datagram.
 * 0; -ECONNREFUSED (of this or an earlier datagram); -EMSGSIZE; what socket, connect or send say.
 */
int send_socket_send(struct send_socket *s, const void *bytes, size_t n)
    __attribute__((warn_unused_result));

/*
 * Was the last datagram refused? Looks once if the target is local, else waits the linger.
 * 0 or -ECONNREFUSED and the like.
 */
int send_socket_settle(struct send_socket *s) __attribute__((warn_unused_result));

/*
 * Waits for an answer. Returns its length; *from: who answered; -ETIMEDOUT; -ECONNREFUSED; -errno.
 */
long send_socket_receive(struct send_socket *s, void *room, size_t n_room, int timeout_ms,
                         struct address *from) __attribute__((warn_unused_result));

/* Forgets answers that came too late for what they answered. */
void send_socket_drain(struct send_socket *s);

/* The address in use. */
const struct address *send_socket_address(const struct send_socket *s);

#endif
