/* SPDX-License-Identifier: MIT */
/* msgrecv --sessions: accepts whoever connects, prints what each says or runs a command for it. */
#ifndef MSGD_TOOLS_SESSION_SERVER_H
#define MSGD_TOOLS_SESSION_SERVER_H

#include "client/msgd.h"

#include <stdbool.h>
#include <stdint.h>

struct session_server_options {
    struct msgd *m;
    struct msgd_listener *listener;
    const char *command; /* NULL: print */
    bool has_envelope;   /* --json */
    bool is_terminal;
    int64_t count;  /* sessions until the end; 0: no end */
    double timeout; /* seconds, see the manual; below 0: for ever */
    /* Takes messages that came outside of sessions, without waiting. -1: go on, else the exit code.
     */
    int (*receive)(void *context);
    void *context;
};

/* Serves until it is to end. Returns the exit code. */
int session_server_run(const struct session_server_options *o);

#endif
