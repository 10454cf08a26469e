/* SPDX-License-Identifier: MIT */
/* Opening the UDP socket of an endpoint. */
#ifndef MSGD_DAEMON_DATA_SOCKET_H
#define MSGD_DAEMON_DATA_SOCKET_H

#include "daemon/base/error.h"
#include "daemon/core/settings.h"

#include <stdint.h>
#include <sys/socket.h>

/*
 * A bound, non-blocking, close-on-exec UDP socket for an address of one family, with receive
 * time, packet info where its address does not say the destination, GRO where set, and multicast
 * groups joined. *granted: what getsockopt(SO_RCVBUF)
 * gave, halved to the unit of the setting. A descriptor, or -errno and *what that failed.
 */
int udp_socket_open(const struct settings *s, const struct address *address, uint32_t *granted,
                    const char **what) MUST_USE;

/*
 * A predecessor's socket in the place of a new one, with the receive buffer that is asked for now.
 * Returns it, or -1: it is closed, since it is not what udp_socket_open would have made. -1 is
 * fine.
 */
int udp_socket_adopt(int fd, const struct settings *s, const struct address *address,
                     uint32_t *granted) MUST_USE;

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
