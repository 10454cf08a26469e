/* SPDX-License-Identifier: MIT */
/* Rejected datagrams on their way to the quarantine, which control owns. */
#ifndef MSGD_DAEMON_DATA_EVIDENCE_H
#define MSGD_DAEMON_DATA_EVIDENCE_H

#include "daemon/data/endpoint.h"
#include "daemon/data/intake.h"

#define EVIDENCE_RING_BYTES (512u * 1024u)

/* Worker: copies it for control; counts evidence_lost where there is no room. */
void evidence_put(struct endpoint *e, enum drop_reason reason, const struct arrival *a);
/* Worker: would something of n_bytes be kept? If not, control is told to make room. */
bool evidence_has_room(struct worker *w, size_t n_bytes);
/* Control: gives everything that is there to events.rejected. */
void evidence_drain(struct worker *w);

#endif
