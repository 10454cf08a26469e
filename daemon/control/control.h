/* SPDX-License-Identifier: MIT */
/*
 * The control thread's part of msgd: the registry and whatever speaks to it over the control
 * socket. Everything here runs on one loop.
 */
#ifndef MSGD_DAEMON_CONTROL_CONTROL_H
#define MSGD_DAEMON_CONTROL_CONTROL_H

#include "daemon/base/error.h"
#include "daemon/config/config.h"

#include <uv.h>

struct control;
struct stash;
struct store;

struct control_options {
    uv_loop_t *loop;
    int listener;          /* a listening Unix socket; taken */
    struct stash *stash;   /* outlives control, as does the next */
    struct store *store;   /* opened; control loads and starts it */
    int max_descriptor;    /* the highest that this process can have */
    struct config *config; /* taken: left zeroed */
    /*
     * Reads the configuration again, with the options of the command line applied, into an
     * uninitialised out. As config_load.
     */
    int (*load)(void *context, struct config *out, struct config_error *error);
    void *context;
    /* Every socket is read, calls are answered, and what is new in the configuration is in the
     * database. Once. */
    void (*serving)(void *context);
    /* An administrator asks for an upgrade. Ends in control_upgrade_failed, or in control_close
     * after control_upgrade_callers. Not asked again before. */
    void (*upgrade)(void *context);
};

/*
 * Starts the workers, opens the static endpoints and serves the socket. 0 or -errno; what was taken
 * is closed in both cases.
 */
int control_open(struct control **out, const struct control_options *options) MUST_USE;

/* Reads the configuration and applies what has changed. 0, CONFIG_REFUSED (*error says why; nothing
 * has changed), -ENOMEM. */
int control_reload(struct control *control, struct config_error *error) MUST_USE;

/* No upgrade, or the old one goes on: who asked hears why. */
void control_upgrade_failed(struct control *control, const char *why);
/*
 * The connections of those who asked for the upgrade, to be answered (upgrade_answer) when the
 * successor serves; at most `max`, the caller's, open beyond control_close. Returns how many.
 */
size_t control_upgrade_callers(struct control *control, int *fds, size_t max);

/*
 * Accepts nobody any more, writes what is queued (briefly), drains and closes every endpoint. done
 * runs when all handles are closed; control is freed then.
 */
void control_close(struct control *control, void (*done)(void *context), void *context);

#endif
