/* SPDX-License-Identifier: MIT */
/*
 * A visit is what control keeps of one session: offered to who listens at the desk, open, ended.
 * The worker has the session itself; control decides, opens its sockets, and for a Receive carries
 * its messages (bridge). docs/protocol.md, section "Sessions: connecting".
 */
#ifndef MSGD_DAEMON_CONTROL_VISIT_H
#define MSGD_DAEMON_CONTROL_VISIT_H

#include "daemon/base/error.h"
#include "daemon/base/list.h"
#include "daemon/core/connects.h"
#include "daemon/core/port_pool.h"
#include "daemon/core/table.h"
#include "daemon/data/worker.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct bridge;
struct call;
struct control;
struct desk;
struct greeter;

#define VISIT_ID_BYTES 16
#define VISIT_ID_TEXT  33 /* with its NUL */

enum visit_state {
    VISIT_OFFERED, /* nobody has decided yet */
    VISIT_OPEN,
    VISIT_ENDED, /* its socket lingers, or the server has not read all */
};

struct visit {
    struct table_link by_id;
    struct list of_desk;
    struct list of_greeter;
    struct list untaken; /* visits->untaken */
    struct control *control;
    struct desk *desk;
    struct greeter *greeter; /* who hears of it; NULL: nobody (any more) */
    enum visit_state state;
    char id[VISIT_ID_TEXT];
    uint8_t raw_id[VISIT_ID_BYTES];
    struct cookie_claim claim;
    struct address peer; /* where the client is at present */
    uint64_t window;     /* what the client takes at first */
    char *identity;      /* a JSON text; NULL: none */
    uint16_t port;       /* of its own; 0: none */
    bool has_quota;
    bool is_announced;    /* its greeter knows of it */
    bool is_aborted;      /* the worker has been told, and will say that it has ended */
    uint64_t since_ms;    /* uv_now */
    uint64_t deadline_ms; /* while it is untaken */
    struct carrier *carrier;
    int stream; /* the server's end; -1: handed over, or closed */
    struct bridge *bridge;
    char reason[CONNECT_REASON_MAX + 1]; /* why it ended */
};

/* Of the whole of control. */
struct visits {
    struct table by_id;
    struct list untaken; /* offered, or open without a server that reads; the oldest first */
    uv_timer_t timer;    /* of the first of them */
    struct port_pool ports;
    uint64_t seed;
};

/* 0 or -errno. */
int visits_open(struct control *control) MUST_USE;
/* The configuration's range may have changed. */
void visits_set_ports(struct control *control);
/* Closes the timer's handle. */
void visits_close(struct control *control);
void visits_deinit(struct control *control);

/* For worker_events. */
void visit_asked(struct desk *desk, const struct session_ask *ask);
void visit_moved(struct visit *visit, const struct address *peer);
void visit_ended(struct visit *visit, const char *reason);
void visit_gone(struct visit *visit);

/* Makes one known, by its raw_id and at its desk. */
void visit_join(struct visit *visit);
struct visit *visit_find(const struct control *control, const char *id);

/*
 * Accepts one that was offered: opens its sockets. 0; or -errno: the client has been refused, and
 * the visit is gone.
 */
int visit_accept(struct visit *visit) MUST_USE;
/* Refuses one that was offered; it is gone. */
void visit_refuse(struct visit *visit, const char *reason);
/* Ends an open one at once. */
void visit_abort(struct visit *visit, const char *reason);
/* Its server is to take it within accept_timeout_s. */
void visit_await(struct visit *visit);
/* Tells a greeter that has just come of those that a predecessor's server had not taken yet. */
void visits_offer(struct greeter *greeter);
/* Somebody reads it now: a bridge, or who was given the stream socket. */
void visit_taken(struct visit *visit);
/* Its bridge has closed and gives the stream back. */
void visit_lost_bridge(struct visit *visit, int stream);

/* msgd stops, and another goes on: saves what may be passed on (can_pass), ends the rest. What
 * nobody has decided about is forgotten. */
void visits_pass(struct desk *desk, bool can_pass);

/* ---- visit_archive.c ---- */

/* A visit with its carrier as bytes. Returns the length, as archive_finish. */
size_t visit_save(const struct visit *visit, const struct carrier_saved *saved, void *out,
                  size_t capacity);
/* The session's socket, its end of the stream, and the server's, which nobody has taken yet; -1:
 * none. */
struct visit_descriptors {
    int fds[3];
};

/* Goes on with one. The descriptors are taken on success. 0; -ENOENT: its endpoint is gone;
 * -EDQUOT, or as carrier_load. */
int visit_load(struct control *control, const void *bytes, size_t n,
               const struct visit_descriptors *d) MUST_USE;

/* Ends every session of the desk: "released", "moved"... */
void visits_end(struct desk *desk, const char *reason);

#endif
