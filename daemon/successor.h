/* SPDX-License-Identifier: MIT */
/* The new msgd's part of an upgrade. */
#ifndef MSGD_DAEMON_SUCCESSOR_H
#define MSGD_DAEMON_SUCCESSOR_H

#include "daemon/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config;

/* Zeroed: msgd was started by itself, and every function here is fine and does nothing. */
struct successor {
    bool is_one;
    pid_t old;    /* the old msgd, once it has let go; 0: this very process, or not known */
    int fd;       /* to the old msgd */
    int listener; /* the control socket, taken by whoever uses it; -1 */
    bool owns_socket_file;
    int *ends; /* of the stash, n_ends of them; taken by stash_open_ends */
    size_t n_ends;
};

enum successor_outcome { SUCCESSOR_REFUSED = 1 };

/* Whether an old msgd has started this one. */
void successor_init(struct successor *s);
/* Closes what was not taken. */
void successor_deinit(struct successor *s);

/*
 * Looks whether this msgd can take over with that configuration, changing nothing, and says so;
 * then waits until the old one has let go, and receives what it has. 0, SUCCESSOR_REFUSED or
 * -errno, which has been logged.
 */
int successor_take_over(struct successor *s, const struct config *config) MUST_USE;
/* Serving. */
void successor_ready(struct successor *s);
/* It does not come to that; the old one is told why, in one line. */
void successor_refuse(struct successor *s, const char *why);

#endif
