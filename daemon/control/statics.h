/* SPDX-License-Identifier: MIT */
/* The endpoints of the configuration: opened at start, brought up to date by a reload. */
#ifndef MSGD_DAEMON_CONTROL_STATICS_H
#define MSGD_DAEMON_CONTROL_STATICS_H

#include "daemon/config/config.h"

#include <stdint.h>

struct control;

struct static_changes {
    uint64_t n_added;
    uint64_t n_removed;
    uint64_t n_changed;
};

/*
 * Makes the static endpoints those of control->config. One that cannot be bound is pending and
 * stops nothing else; nor does one that there is no memory or quota for, which is logged.
 */
void statics_apply(struct control *control, struct static_changes *changes);

/* As control_reload; *changes: what it came to. */
int control_reload_counted(struct control *control, struct config_error *error,
                           struct static_changes *changes) MUST_USE;

#endif
