/* SPDX-License-Identifier: MIT */
/* Leases that end and sockets that are tried again, on CLOCK_BOOTTIME. */
#ifndef MSGD_DAEMON_CONTROL_DEADLINES_H
#define MSGD_DAEMON_CONTROL_DEADLINES_H

#include "daemon/base/error.h"

#include <stdint.h>

struct control;

/* 0 or -errno. */
int deadlines_open(struct control *control) MUST_USE;
/* Idempotent; its handle counts in control->n_handles until closed. */
void deadlines_close(struct control *control);

/* Carries out what is due. */
void deadlines_run(struct control *control);
/* An address with this port is free now: binds what is pending for it. */
void deadlines_retry_port(struct control *control, uint16_t port);
/* Arms the timer for what is due next; costs nothing where that has not changed. */
void deadlines_arm(struct control *control);

#endif
