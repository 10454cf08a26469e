/* SPDX-License-Identifier: MIT */
/* Names of users and groups to ids. */
#ifndef MSGD_DAEMON_CONFIG_NAMES_H
#define MSGD_DAEMON_CONFIG_NAMES_H

#include "daemon/base/error.h"

#include <sys/types.h>

/* A name of this host, or a number. 0, -ENOENT (none of that name), -ENOMEM, or what the lookup
 * failed with. */
int names_find_user(const char *text, uid_t *out) MUST_USE;
int names_find_group(const char *text, gid_t *out) MUST_USE;

#endif
