/* SPDX-License-Identifier: MIT */
/* Consumers that have stalled, on endpoints with on_stall "away". */
#ifndef MSGD_DAEMON_CONTROL_STALLED_H
#define MSGD_DAEMON_CONTROL_STALLED_H

struct desk;

/* Its worker has seen some: ends those that are still so, as if they had gone. */
void stalled_end(struct desk *desk);

#endif
