/* SPDX-License-Identifier: MIT */
/*
 * One client of the control socket: frames in, calls answered in order, frames out.
 *
 * A connection answers one call at a time; what comes behind it waits in the socket. Only behind a
 * stream (a `more` call without an end: Receive, Tap, List) oneway calls are carried out at once;
 * any other call behind it waits until the stream ends.
 *
 * Whatever happens to a connection outside its own input (an answer that comes later, a failure)
 * only marks it and puts it on control's list of ready ones: it is run before the loop sleeps, so
 * that no function here is entered twice at a time.
 */
#ifndef MSGD_DAEMON_CONTROL_CONNECTION_H
#define MSGD_DAEMON_CONTROL_CONNECTION_H

#include "daemon/base/list.h"
#include "daemon/control/call.h"
#include "daemon/control/outgoing.h"
#include "daemon/control/peer.h"
#include "proto/varlink.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct control;
struct link;

/* Queued bytes beyond which a client that does not read is closed. */
#define CONNECTION_QUEUE_MAX (4u << 20)
/* How long a client may read nothing of what is queued for it. */
#define CONNECTION_PATIENCE_MS 30000u

enum connection_state {
    CONNECTION_OPEN,
    CONNECTION_FAILED, /* to be closed when it is run next */
    CONNECTION_CLOSED, /* waits for libuv to let go of its handles */
};

/* The shared memory of this connection on one worker. */
struct connection_lane {
    struct link *link; /* NULL: none yet */
    uint32_t next_slot;
};

struct connection {
    struct list link;      /* control->connections */
    struct list ready;     /* control->ready */
    struct list unwritten; /* control->unwritten */
    struct control *control;
    enum connection_state state;
    int fd;
    struct peer peer;
    uv_poll_t poll;
    uv_timer_t timer;
    int watched; /* events that poll is started for */
    uint8_t n_handles;
    bool is_reading; /* inside its own input: no need to be put on the list of ready ones */
    bool has_ended;  /* the other end will send nothing more */
    bool is_blocked; /* the socket took no more */
    bool has_held;   /* `held` waits for its turn */
    bool gives_quota_back;

    struct varlink_frames frames;
    struct varlink_call held;
    struct list calls;
    struct call *active; /* the call whose answer is due next; NULL: none */
    struct outgoing outgoing;
    uint64_t awaited_write;     /* its answers leave when so many of control->n_writes are done */
    uint64_t frame_deadline_ms; /* uv_now; 0: none */
    uint64_t progress_deadline_ms; /* the same */

    struct list holders;           /* struct holder: what it is the consumer of */
    struct connection_lane *lanes; /* NULL, or one for each worker */
    char reason[96];               /* why it failed */
};

/* Takes a connected socket, also on failure; a client that may not connect is told and closed. */
void connection_accept(struct control *control, int fd);

/* Ends a connection soon. Of several reasons the first one counts. */
void connection_fail(struct connection *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Has it run before the loop sleeps. */
void connection_schedule(struct connection *c);
/*
 * What has been registered or released by now is in the database before anything more is written to
 * the connection. Calls go on meanwhile, so that many of them cost one commit.
 */
void connection_await_writes(struct connection *c);

/* Does what waits: input that was held back, output, closing, deadlines. For control only. */
void connection_run(struct connection *c);

/* Queues a frame. For call.c only. */
void connection_send(struct connection *c, struct outgoing_item *item);

/*
 * Is its process still there? A connection that turns out dead has its last Acks carried out, is no
 * consumer of anything any more when this returns false, and will be closed.
 */
bool connection_probe(struct connection *c);

/* Everything that was queued has been written. */
bool connection_is_drained(const struct connection *c);

#endif
