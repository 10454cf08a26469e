/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#ifndef MSGD_DAEMON_CONTROL_STATE_H
#define MSGD_DAEMON_CONTROL_STATE_H

#include "daemon/base/list.h"
#include "daemon/base/log_limit.h"
#include "daemon/control/control.h"
#include "daemon/control/listener.h"
#include "daemon/control/passing.h"
#include "daemon/control/rejects.h"
#include "daemon/control/restore.h"
#include "daemon/control/users.h"
#include "daemon/control/visit.h"
#include "daemon/core/policy.h"
#include "daemon/core/quarantine.h"
#include "daemon/core/quota.h"
#include "daemon/core/registry.h"
#include "daemon/data/worker.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct control {
    uv_loop_t *loop;
    struct control_options options;
    struct config config;
    struct registry *registry;
    struct quota *quota;
    struct quarantine *quarantine;
    struct rejects rejects;  /* between it and the database */
    struct worker **workers; /* config.workers of them */
    uint32_t n_workers;
    uint32_t next_worker; /* takes the next endpoint */
    struct listener listener;
    struct user_names users;
    struct visits visits;
    struct vault *vault;
    struct account journals; /* messages that wait for the disk */
    uint32_t n_passing;      /* workers that have not taken up everything yet */
    bool is_vault_kept;      /* they will not all say so */
    bool is_serving;         /* every one has, once, and what is new was written */
    uint64_t n_first_writes; /* of the configuration's names at the start */
    struct passing passing;  /* of sessions, from the last msgd and to the next */
    int64_t since_wall_ns;

    struct list connections;
    uint32_t n_connections;
    struct list ready;    /* connections to be run before the loop sleeps */
    struct list homeless; /* registrations to be decided again */
    struct list leaving;  /* endpoints that a worker has not closed yet */
    struct list desks;    /* what is registered, least recently changed first */
    struct list watchers; /* List calls that want changes */
    struct restored restored;
    struct store_port *port; /* to the database; NULL: not open, or closed again */
    uint64_t n_writes;       /* of registrations, posted to the database */
    uint64_t n_written;      /* of those, done */
    struct list unwritten;   /* connections whose answers wait for some of them */
    struct list upgrades;    /* calls that wait for the upgrade under way */
    struct list vacated;     /* desks whose waiters may have a chance */
    uint64_t change;         /* counts changes of desks */
    bool is_port_awaited;    /* something pending may get an address that is being left */

    uv_prepare_t settle;
    uv_poll_t deadline; /* a timerfd of CLOCK_BOOTTIME: leases, retries */
    int deadline_fd;
    int64_t deadline_armed_ms;
    struct log_limit complaints; /* about clients */

    bool is_closing;
    bool has_stopped_workers;
    uint32_t n_handles; /* of libuv, still open */
    void (*closed)(void *context);
    void *closed_context;
};

/* CLOCK_BOOTTIME in ms, CLOCK_REALTIME in ns. */
int64_t control_now_ms(void);
int64_t control_wall_ns(void);

/* An endpoint of a predecessor has been posted to its worker: its memory is let go of behind that.
 */
void control_await_workers(struct control *control);
void control_check_serving(struct control *control);

/* While closing: goes on when the last handle is closed. */
void control_check_closed(struct control *control);

/* Logs about a client, within a bound. */
void control_complain(struct control *control, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
