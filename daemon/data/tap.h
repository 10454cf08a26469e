/* SPDX-License-Identifier: MIT */
/* Copies of live messages for who looks on; one that is slow misses some and holds nobody up. */
#ifndef MSGD_DAEMON_DATA_TAP_H
#define MSGD_DAEMON_DATA_TAP_H

#include "daemon/data/endpoint.h"
#include "daemon/data/intake.h"

#define TAP_RING_BYTES (1024u * 1024u)

/* Worker: a copy of a message that has just been filed, to every tap of the endpoint. */
void taps_copy(struct endpoint *e, const struct filing *f);
/* Worker: the endpoint goes; its taps stay silent from now on. */
void taps_orphan(struct endpoint *e);
/* Control: tells of every tap that has something to read. */
void taps_tell(struct worker *w);

#endif
