/* SPDX-License-Identifier: MIT */
/* Looking for what comes next before sleeping (core/spin.h), by the worker's loop. */
#ifndef MSGD_DAEMON_DATA_POLLING_H
#define MSGD_DAEMON_DATA_POLLING_H

#include "daemon/data/loop.h"

void polling_init(struct worker *w);
/* How long to sleep, where timeout_ms is how long it could: 0 while it looks. */
int polling_timeout(struct worker *w, int timeout_ms);
/* Something has been read. */
void polling_arrived(struct worker *w);

#endif
