/* SPDX-License-Identifier: MIT */
/*
 * The sessions of a worker: connects are answered with a challenge, and kept only once their cookie
 * has proven the address; control is asked about those, and what it decides is told to the client.
 * Datagrams of sessions find theirs by its id. docs/protocol.md, section "Sessions: connecting".
 */
#ifndef MSGD_DAEMON_DATA_SESSIONS_H
#define MSGD_DAEMON_DATA_SESSIONS_H

#include "daemon/base/list.h"
#include "daemon/core/connects.h"
#include "daemon/core/timers.h"
#include "daemon/data/endpoint.h"
#include "daemon/data/intake.h"
#include "proto/frame.h"

#include <stdbool.h>

/* Of one worker. */
struct sessions {
    struct connects connects;
    struct table by_id;   /* struct carrier */
    struct list dirty;    /* carriers to be pumped at the end of this turn */
    struct spsc asks;     /* for control */
    struct timers timers; /* of carriers; their moments are in ns */
    uv_poll_t clock;      /* a timerfd of CLOCK_BOOTTIME */
    int clock_fd;
    int64_t armed_ns;
    uint64_t seed;
    uint8_t *run;     /* datagrams on their way out */
    uint8_t *stream;  /* bytes on their way from a stream socket */
    struct task more; /* pumps what is dirty when nothing else comes */
    bool is_hushed;   /* worker_hush */
    struct session_counts counts;
};

/* Control: before the loop runs. 0 or -errno. */
int sessions_open(struct worker *w) MUST_USE;
/* Control: when it has ended. */
void sessions_close(struct worker *w);

/* Any time, from the control thread. */
void sessions_info(const struct worker *w, struct session_info *out);

/*
 * A frame at an endpoint's own socket, which has been counted `protocol`: a connect, or one that
 * names a session (data, close, ping, pong).
 */
void sessions_receive(struct endpoint *e, const struct arrival *a, const struct frame *f);

/* A frame that came to where its session is not. True: there is none of that id, and *answer may be
 * sent, under the rules for answers. */
bool sessions_stray(struct worker *w, const struct frame *f, struct frame *answer);

/* Pumps the sessions that something happened to, arms the clock. At the end of each turn. */
void sessions_flush(struct worker *w);

/* The endpoint goes, and its sessions with it, at once. */
void sessions_leave(struct endpoint *e);

/* Control: gives every connect that waits to events.session_asked. */
void sessions_drain(struct worker *w);

/* Tells the client that it is accepted or refused. */
void sessions_answer(struct endpoint *e, const struct cookie_claim *claim, struct frame *f);

#endif
