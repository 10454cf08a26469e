/* SPDX-License-Identifier: MIT */
/*
 * Serves a session to a server that has no stream socket: its messages are replies to the Receive
 * call, as fast as that is read; Write and Close are what it says. Control's end of the stream
 * socket; docs/protocol.md, section "The stream socket".
 */
#ifndef MSGD_DAEMON_CONTROL_BRIDGE_H
#define MSGD_DAEMON_CONTROL_BRIDGE_H

#include "daemon/base/error.h"

#include <stdbool.h>

struct bridge;
struct call;
struct visit;

/* Takes the visit's stream. 0 or -errno. */
int bridge_open(struct visit *visit) MUST_USE;
/* Nothing more is told; calls that wait are answered. */
void bridge_close(struct bridge *b);

/* The connection takes more. */
void bridge_resume(struct bridge *b);
/* The session has ended: what it left is still told, then the end. */
void bridge_session_ended(struct bridge *b);

/* Writes the call's payload, which has to be JSON; answers the call when it is written. */
void bridge_write(struct bridge *b, struct call *call);
/* The server writes no more. False: it has said so before. */
bool bridge_finish(struct bridge *b);

struct list *bridge_waiting(struct bridge *b);
struct bridge *bridge_of_waiting(struct list *link);

#endif
