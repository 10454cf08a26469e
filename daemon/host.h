/* SPDX-License-Identifier: MIT */
/* What msgd needs of the machine that it runs on. */
#ifndef MSGD_DAEMON_HOST_H
#define MSGD_DAEMON_HOST_H

#include "daemon/base/error.h"

struct config;

/*
 * Raises the soft limit of descriptors as far as msgd can use it. Returns the highest descriptor
 * that there can be, or -EMFILE where they are too few to start, which has been logged.
 */
int host_raise_descriptors(void) MUST_USE;

/* Logs what is set so that it will hurt: ports that the kernel gives away, receive buffers that it
 * cuts. */
void host_warn(const struct config *config);

#endif
