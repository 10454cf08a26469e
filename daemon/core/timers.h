/* SPDX-License-Identifier: MIT */
/* Moments in order, of any one clock: a binary heap whose places lie in its members. */
#ifndef MSGD_DAEMON_CORE_TIMERS_H
#define MSGD_DAEMON_CORE_TIMERS_H

#include "daemon/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* No moment at all: later than any. */
#define NEVER_MS INT64_MAX

struct timer {
    int64_t at;
    size_t place;
};

/* Zeroed, it is empty. */
struct timers {
    struct timer **heap;
    size_t n;
    size_t max;
};

/* Room for one more, so that timers_add cannot fail. 0 or -ENOMEM. */
int timers_reserve(struct timers *t) MUST_USE;
/* Frees no member. */
void timers_deinit(struct timers *t);

/* After timers_reserve. timer->at is set. */
void timers_add(struct timers *t, struct timer *timer);
void timers_remove(struct timers *t, struct timer *timer);
void timers_set(struct timers *t, struct timer *timer, int64_t at);
/* The earliest; NULL when there is none. */
struct timer *timers_first(const struct timers *t);

#endif
