/* SPDX-License-Identifier: MIT */
/*
 * Where a worker runs. The thread that starts it goes to the worker's CPU for that while: what is
 * made there is of that CPU's memory node, since the kernel takes a page from the node of whoever
 * touches it first, and the new thread inherits the place.
 */
#ifndef MSGD_DAEMON_DATA_PLACEMENT_H
#define MSGD_DAEMON_DATA_PLACEMENT_H

#include "daemon/base/error.h"

#include <sched.h>
#include <stdbool.h>

#define PLACE_ANY (-1)

/* Moves this thread to a CPU; former: where it was. Nothing for PLACE_ANY. 0 or -errno. */
int placement_enter(int cpu, cpu_set_t *former) MUST_USE;
void placement_leave(int cpu, const cpu_set_t *former);
/* Moves this thread to another CPU than the one that it is on; it may come back later. False: it
 * cannot. */
bool placement_move_away(void);

#endif
