/* SPDX-License-Identifier: MIT */
/* Endpoints whose sockets the kernel does not let us watch at present (no memory, or
 * fs.epoll.max_user_watches): a timer reads them, and tries to watch them again. Worker. */
#ifndef MSGD_DAEMON_DATA_UNWATCHED_H
#define MSGD_DAEMON_DATA_UNWATCHED_H

#include "daemon/base/error.h"

struct endpoint;
struct worker;

/* Before the thread runs. 0 or -errno. */
int unwatched_init(struct worker *w) MUST_USE;
/* Watches the endpoint's sockets, or reads them by the timer until it can. */
void unwatched_begin(struct endpoint *e);

#endif
