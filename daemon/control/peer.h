/* SPDX-License-Identifier: MIT */
/* Who is at the other end of a control connection. */
#ifndef MSGD_DAEMON_CONTROL_PEER_H
#define MSGD_DAEMON_CONTROL_PEER_H

#include "daemon/base/error.h"
#include "daemon/core/principals.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct peer {
    struct credentials who; /* its groups are owned */
    pid_t pid;              /* 0: not in a process namespace that msgd can see */
    int pidfd;              /* -1: none (yet) */
};

/*
 * Reads the credentials of a connected Unix socket, as they were when it was connected. On a kernel
 * without SO_PEERPIDFD the process is opened by its number at once, and is taken only if the
 * connection still stands after that. 0 or -errno.
 */
int peer_init(struct peer *peer, int fd) MUST_USE;
/* Safe on a zeroed peer with pidfd -1. */
void peer_deinit(struct peer *peer);

/* Does the process still run? True where that cannot be known. */
bool peer_is_running(struct peer *peer, int fd);

/* Has the other end hung up, or shut down its writing side? */
bool peer_has_hung_up(int fd);

/* Writes the path of its executable. False: unknown, or not to be seen by msgd. */
bool peer_executable(pid_t pid, char *path, size_t n_path);

#endif
