/* SPDX-License-Identifier: MIT */
/* Looking for what comes next before sleeping (core/spin.h), or letting it gather
 * (core/coalesce.h), by the worker's loop. */
#ifndef MSGD_DAEMON_DATA_POLLING_H
#define MSGD_DAEMON_DATA_POLLING_H

#include "daemon/data/loop.h"

void polling_init(struct worker *w);
/* How long to sleep, where timeout_ms is how long it could: 0 while it looks. */
int polling_timeout(struct worker *w, int timeout_ms);
/* On the worker's thread, before its first turn. */
void polling_begin(void);
/* Before a consumer is woken: lets others go first (core/yield.h). */
void polling_yield(struct worker *w);
/* At the end of a turn in which something has been read. May sleep, less than a millisecond. */
void polling_arrived(struct worker *w);

#endif
