/* SPDX-License-Identifier: MIT */
/* Framed datagrams become messages, answers, or a matter of sessions.
 * docs/protocol.md, "What is answered". */
#ifndef MSGD_DAEMON_DATA_FRAMED_H
#define MSGD_DAEMON_DATA_FRAMED_H

#include "daemon/data/intake.h"

#include <stdbool.h>
#include <stdint.h>

/* CLOCK_BOOTTIME. */
uint64_t boot_clock_ms(void);

/*
 * A datagram that begins with FRAME_START and is whole. is_allowed: the endpoint takes datagrams
 * from its source. Counts all but `datagrams`. MESSAGE_KEPT (all that was in it, or nothing was to
 * be kept) or the first drop reason.
 */
int framed_datagram(struct endpoint *e, const struct arrival *a, bool is_allowed) MUST_USE;

/* How many messages it counts as. */
uint64_t framed_messages(const struct arrival *a);

#endif
