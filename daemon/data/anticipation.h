/* SPDX-License-Identifier: MIT */
/* Being awake when a datagram is due (core/rhythm.h), by the worker's loop. */
#ifndef MSGD_DAEMON_DATA_ANTICIPATION_H
#define MSGD_DAEMON_DATA_ANTICIPATION_H

#include "daemon/data/loop.h"

void anticipation_init(struct worker *w);
/* Instead of sleeping for timeout_ms: sleeps until shortly before one is due, then 0 while it
 * looks. Else timeout_ms. */
int anticipation_timeout(struct worker *w, int timeout_ms);
/* At the end of a turn that has read something after a while, which is age_ns old. */
void anticipation_arrived(struct worker *w, uint64_t now_ns, uint64_t age_ns);

#endif
