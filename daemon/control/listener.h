/* SPDX-License-Identifier: MIT */
/* Accepts control connections. */
#ifndef MSGD_DAEMON_CONTROL_LISTENER_H
#define MSGD_DAEMON_CONTROL_LISTENER_H

#include "daemon/base/error.h"
#include "daemon/base/log_limit.h"

#include <stdbool.h>
#include <uv.h>

struct listener {
    uv_poll_t poll;
    uv_timer_t pause;
    int fd;
    int reserve; /* given up for a moment to turn a client away when there are no descriptors */
    int n_handles;
    bool is_open;
    struct log_limit complaints;
    void (*accepted)(void *context, int fd); /* takes fd */
    void (*closed)(void *context);
    void *context;
};

/* Takes the listening fd, also on failure. accepted, closed and context are set before. 0 or
 * -errno. */
int listener_open(struct listener *listener, uv_loop_t *loop, int fd) MUST_USE;
/* Idempotent; calls closed when its handles are gone. */
void listener_close(struct listener *listener);

#endif
