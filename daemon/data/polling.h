/* SPDX-License-Identifier: MIT */
/* Looking for what comes next before sleeping (core/spin.h), by the worker's loop. */
#ifndef MSGD_DAEMON_DATA_POLLING_H
#define MSGD_DAEMON_DATA_POLLING_H

#include "daemon/base/error.h"
#include "daemon/data/loop.h"

/* 0 or -errno. */
int polling_init(struct worker *w) MUST_USE;
/* Something has been read. */
void polling_arrived(struct worker *w);

#endif
