/* SPDX-License-Identifier: MIT */
/*
 * The descriptors that a worker watches by an epoll set of its own: endpoints' sockets and
 * doorbells. libuv's set is one of its members, so that everything wakes the same sleep.
 */
#ifndef MSGD_DAEMON_DATA_EVENT_SOURCE_H
#define MSGD_DAEMON_DATA_EVENT_SOURCE_H

#include "daemon/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;

struct event_source {
    int descriptor;
    /*
     * Something has come, or an error (events: EPOLL*). Edge-triggered: it is called once, and must
     * read until nothing is left, or say event_source_again. NULL: not watched.
     */
    void (*ready)(struct event_source *source, uint32_t events);
    /* It is called next: asks for the memory that it will need (__builtin_prefetch), touching
     * nothing. NULL: there is none that is likely to be cold. */
    void (*soon)(struct event_source *source);
};

/* Before and after the worker's thread. 0 or -errno. */
int event_sources_open(struct worker *w) MUST_USE;
void event_sources_close(struct worker *w);

/* From now on `ready` is called, also for what is there already. 0 or -errno. */
int event_source_start(struct worker *w, struct event_source *source,
                       void (*ready)(struct event_source *source, uint32_t events)) MUST_USE;
/* Before the descriptor is closed: others may share it. Fine for one that is not watched. */
void event_source_stop(struct worker *w, struct event_source *source);
/* Something was left: `ready` is called again, after the others. */
void event_source_again(struct worker *w, struct event_source *source);

/*
 * Sleeps until something has come, for at most so long (-1: for ever), and calls who is ready, a
 * bounded number, which it returns. No source is freed meanwhile: that takes commands, which run in
 * libuv's part of a turn.
 */
unsigned event_sources_wait(struct worker *w, int timeout_ms, bool *is_libuv_ready);

#endif
