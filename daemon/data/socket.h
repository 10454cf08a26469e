/* SPDX-License-Identifier: MIT */
/* Opening the UDP socket of an endpoint. */
#ifndef MSGD_DAEMON_DATA_SOCKET_H
#define MSGD_DAEMON_DATA_SOCKET_H

#include "daemon/base/error.h"
#include "daemon/core/settings.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct udp_socket {
    int descriptor;   /* -1: none */
    uint32_t granted; /* what getsockopt(SO_RCVBUF) gives, halved to the unit of the setting */
    uint64_t note;    /* what it is, for udp_socket_adopt; 0: nothing is known */
};

/*
 * A bound, non-blocking, close-on-exec UDP socket for an address of one family, with receive time,
 * packet info where its address does not say the destination, GRO where set, and multicast groups
 * joined. 0, or -errno and *what that failed.
 */
int udp_socket_open(struct udp_socket *out, const struct settings *s, const struct address *address,
                    const char **what) MUST_USE;

/*
 * Can that address be bound by somebody who does not share it? With SO_REUSEPORT, which several
 * shards take, bind does not say that another program of this uid has it. 0 or -errno.
 */
int udp_socket_probe(const struct address *address) MUST_USE;

/*
 * A predecessor's socket, of which the descriptor and the note are known, in the place of a new
 * one, with what is asked for now. False: there is none, or it is not what udp_socket_open would
 * have made; it is closed, and none any more.
 */
bool udp_socket_adopt(struct udp_socket *socket, const struct settings *s,
                      const struct address *address) MUST_USE;

/*
 * Writes the control message that sets the source address (RFC 3542, section 6.2; ip(7),
 * IP_PKTINFO). Returns its CMSG_SPACE.
 */
size_t source_control(struct cmsghdr *c, const struct address *from);

/* Does this msgd have an endpoint at that address (any of its ports, on an address of this host)?
 * Any thread. */
bool own_port_is(const struct address *a);
/* Counts the ports that are bound. Control thread. */
void own_port_add(uint16_t port);
void own_port_remove(uint16_t port);

#endif
