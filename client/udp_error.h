/* SPDX-License-Identifier: MIT */
/* What the kernel has learned of datagrams that did not arrive: the error queue of a UDP socket. */
#ifndef MSGD_CLIENT_UDP_ERROR_H
#define MSGD_CLIENT_UDP_ERROR_H

#include "proto/address.h"

#include <stdbool.h>
#include <stdint.h>

struct udp_error {
    int error;     /* a negative errno: -ECONNREFUSED, -EMSGSIZE... */
    bool is_local; /* said by this host's kernel of what it did not send; else by the network */
    struct address to;
    uint32_t mtu; /* for -EMSGSIZE; 0: unknown */
};

/* Has the kernel keep errors. family: AF_INET, AF_INET6. */
void udp_error_watch(int fd, int family);
/* Takes the next one. False: there is none. */
bool udp_error_next(int fd, struct udp_error *out);

#endif
