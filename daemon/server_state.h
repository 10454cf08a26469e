/* SPDX-License-Identifier: MIT */
/* The daemon as a whole, for the files that it is made of. */
#ifndef MSGD_DAEMON_SERVER_STATE_H
#define MSGD_DAEMON_SERVER_STATE_H

#include "daemon/control/control_socket.h"
#include "daemon/kept.h"
#include "daemon/server.h"
#include "daemon/successor.h"
#include "daemon/upgrade.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct control;

/* Who asked for one upgrade and is told; more than these see the end of their connection. */
#define MAX_CALLERS 16

enum { ON_TERMINATE, ON_INTERRUPT, ON_HANGUP, ON_UPGRADE, N_SIGNALS };

struct server {
    const struct server_options *options;
    uv_loop_t loop;
    uv_signal_t signals[N_SIGNALS];
    uv_timer_t watchdog;
    bool has_handles;
    struct kept kept;
    struct control_socket socket;
    struct control *control;
    bool is_stopping;
    struct successor successor;
    struct upgrade upgrade;
    bool is_handing_over;
    struct upgrade_gift gift;
    int callers[MAX_CALLERS]; /* n_callers of them, to be told */
    size_t n_callers;
};

/* For control_close: control is gone. */
void server_control_closed(void *context);

/* ---- server_upgrade.c ---- */

/* Somebody asks for an upgrade. One that is under way is for whoever asks meanwhile, too. */
void server_begin_upgrade(void *context);
/* After the loop, where is_handing_over: the successor serves, or this process begins anew in its
 * place. 0 or -errno. */
int server_hand_over(struct server *server) MUST_USE;

#endif
