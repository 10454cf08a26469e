/* SPDX-License-Identifier: MIT */
/* Whose is a UDP port that another program holds? */
#ifndef MSGD_DAEMON_CONTROL_SOCK_DIAG_H
#define MSGD_DAEMON_CONTROL_SOCK_DIAG_H

#include "daemon/base/error.h"
#include "proto/address.h"

#include <sys/types.h>

/*
 * Asks the kernel (sock_diag(7)) for the uid of the socket that stands in the way of binding
 * `address`. 1: *uid is set; 0: no such socket is to be seen; or -errno.
 */
int sock_diag_holder(const struct address *address, uid_t *uid) MUST_USE;

#endif
