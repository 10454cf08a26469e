/* SPDX-License-Identifier: MIT */
/* What msgd needs of the machine that it runs on. */
#ifndef MSGD_DAEMON_HOST_H
#define MSGD_DAEMON_HOST_H

struct config;

/* Raises the soft limit of descriptors as far as msgd can use it. Returns the highest descriptor
 * that there can be. */
int host_raise_descriptors(void);

/* Logs what is set so that it will hurt: ports that the kernel gives away, receive buffers that it
 * cuts. */
void host_warn(const struct config *config);

#endif
