/* SPDX-License-Identifier: MIT */
/*
 * When datagrams came, where it is known of the last one only: spread evenly over the time since
 * the one before the first, or where that is long, over less. No clock: times are given, in
 * nanoseconds.
 */
#ifndef MSGD_DAEMON_CORE_SPREAD_H
#define MSGD_DAEMON_CORE_SPREAD_H

#include <stdint.h>

/* Of two. Where so many come that only the last one's time is asked for, they are closer; more is a
 * pause, after which the sender has gone on as before. */
#define SPREAD_MOST_APART 10000

struct spread {
    int64_t last_ns; /* when the last one came */
    int64_t step_ns;
    uint32_t n;
};

/* n: at least 1. before_ns: none of them came before; 0: not known. A clock that was set back says
 * nothing. Then all came with the last one. */
static inline struct spread spread_of(int64_t before_ns, int64_t last_ns, uint32_t n)
{
    struct spread s = {.last_ns = last_ns, .n = n};

    if (before_ns != 0 && before_ns < last_ns)
        s.step_ns = (last_ns - before_ns) / n;
    if (s.step_ns > SPREAD_MOST_APART)
        s.step_ns = SPREAD_MOST_APART;
    return s;
}

/* When the one came that has `i` before it. */
static inline int64_t spread_at(const struct spread *s, uint32_t i)
{
    return s->last_ns - s->step_ns * (s->n - 1 - i);
}

#endif
