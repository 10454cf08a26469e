/* SPDX-License-Identifier: MIT */
/* The old msgd's part of an upgrade: starts a successor, and gives it everything. */
#ifndef MSGD_DAEMON_UPGRADE_H
#define MSGD_DAEMON_UPGRADE_H

#include "daemon/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#define UPGRADE_WHY_MAX 640

struct stash;

/* One at a time. Zeroed to begin with. */
struct upgrade {
    bool is_under_way;
    int fd;      /* to the successor */
    pid_t child; /* whose end is that of the successor */
    pid_t pid;   /* of the successor: a child of the child, where it has said so */
    uv_poll_t poll;
    uv_timer_t patience;
    unsigned n_handles;
    void (*checked)(void *context, const char *why_not);
    void *context;
    char why[UPGRADE_WHY_MAX]; /* why it did not come to it */
    char version[32];          /* of the successor that serves */
};

/* What is handed over beside the stash. */
struct upgrade_gift {
    int listener; /* stays the caller's */
    bool owns_socket_file;
    const struct stash *stash;
};

/*
 * Starts argv[0] with argv, or, where that is not there, the file that this process was started
 * from. checked runs on the loop once: NULL, the successor could take over and waits; or why it
 * cannot, and all is as before. 0 or -errno; then u->why says more.
 */
int upgrade_begin(struct upgrade *u, uv_loop_t *loop, char **argv) MUST_USE;
/* Nothing comes of it: ends the successor. Fine when none is under way. */
void upgrade_cancel(struct upgrade *u);
/* The loop is left alone from here on; what it has of handles is closed. */
void upgrade_leave_loop(struct upgrade *u);

/* Nobody uses the sockets and the database any more: gives all to the successor and waits until it
 * serves, and is a process by itself. 0 or -errno: the successor is gone, and u->why says why. */
int upgrade_give(struct upgrade *u, const struct upgrade_gift *gift) MUST_USE;

/* Takes over itself, as if it were a successor. Returns only if that fails, with -errno. */
int upgrade_start_over(char **argv, const struct upgrade_gift *gift) MUST_USE;

#endif
