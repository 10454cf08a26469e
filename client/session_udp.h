/* SPDX-License-Identifier: MIT */
/*
 * The client's side of a session: a UDP socket of its own, the handshake with one address after the
 * other, then a struct session. The socket is never connected: the session goes on from the same
 * port to another one, and a host whose address changes goes on with the next datagram.
 */
#ifndef MSGD_CLIENT_SESSION_UDP_H
#define MSGD_CLIENT_SESSION_UDP_H

#include "client/session.h"
#include "client/target.h"

/*
 * Begins to connect. identity: taken (malloc), JSON on one line; NULL: none. 0 and *out in state
 * MSGD_SESSION_CONNECTING, or -errno with a sentence in *failure.
 */
int session_udp_open(struct msgd_session **out, const struct target_addresses *addresses,
                     char *identity, int timeout_ms, struct failure *failure)
    __attribute__((warn_unused_result));

#endif
