/* SPDX-License-Identifier: MIT */
/* The daemon as a whole: builds its parts, starts and stops them in order. */
#ifndef MSGD_DAEMON_SERVER_H
#define MSGD_DAEMON_SERVER_H

#include "daemon/base/error.h"

struct server_options {
    char **argv;                 /* of this process, for a successor */
    const char *config_path;     /* NULL: the default one, which need not exist */
    const char *socket_path;     /* NULL: the configuration's */
    const char *state_directory; /* NULL: the configuration's */
};

enum server_outcome {
    SERVER_BAD_CONFIGURATION = 1,
    SERVER_IS_RUNNING = 2, /* somebody else answers on the control socket, or has the database */
    SERVER_IS_TOO_OLD = 3, /* what a predecessor left is of a version that is not known */
};

/* Serves until SIGTERM or SIGINT. 0, an outcome, or -errno; what went wrong has been logged. */
int server_run(const struct server_options *options) MUST_USE;

/* Reads the configuration and says on stdout or in the log what is to be said about it. As
 * server_run. */
int server_check(const struct server_options *options) MUST_USE;

#endif
