/* SPDX-License-Identifier: MIT */
/* Looking for what comes next before sleeping (core/spin.h), letting it gather (core/coalesce.h),
 * or being awake when it is due (data/anticipation.h), by the worker's loop. */
#ifndef MSGD_DAEMON_DATA_POLLING_H
#define MSGD_DAEMON_DATA_POLLING_H

#include "daemon/data/loop.h"

void polling_init(struct worker *w);
/* How long to sleep, where timeout_ms is how long it could: 0 while it looks. May have slept. */
int polling_timeout(struct worker *w, int timeout_ms);
/* On the worker's thread, before its first turn. */
void polling_begin(void);
/* Before a consumer is woken: lets others go first (core/yield.h). */
void polling_yield(struct worker *w);
/* After that: lets the consumer go next, where the worker would set a timer. */
void polling_woke(struct worker *w);
/* Lets others on this core go first, and says for how long. */
uint64_t polling_give_way(struct worker *w);
/* Somebody else had the core for so long. */
bool polling_is_switch(uint64_t took_ns);
/* At the end of a turn in which something has been read. May sleep, less than a millisecond. */
void polling_arrived(struct worker *w);

#endif
