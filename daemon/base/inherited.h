/* SPDX-License-Identifier: MIT */
/* Descriptors that whoever started msgd passed (sd_listen_fds): systemd, or a predecessor. */
#ifndef MSGD_DAEMON_BASE_INHERITED_H
#define MSGD_DAEMON_BASE_INHERITED_H

#include "daemon/base/error.h"

#include <stddef.h>

struct inherited {
    int *fds;     /* n of them; -1: taken */
    char **names; /* FDNAME of each */
    size_t n;
};

/* Reads them once, close-on-exec from then on, and forgets the environment that told of them. 0 or
 * -errno. */
int inherited_read(struct inherited *out) MUST_USE;

/* Closes those that nobody took. Safe on a zeroed one. */
void inherited_deinit(struct inherited *i);

/* The next one whose name begins with `prefix`, now the caller's; -ENOENT: none. */
int inherited_take(struct inherited *i, const char *prefix) MUST_USE;

#endif
