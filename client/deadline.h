/* SPDX-License-Identifier: MIT */
/* Moments on CLOCK_MONOTONIC in nanoseconds, and how poll(2) counts down to them. */
#ifndef MSGD_CLIENT_DEADLINE_H
#define MSGD_CLIENT_DEADLINE_H

#include <stdint.h>
#include <time.h>

#define DEADLINE_NEVER INT64_MAX
#define NS_PER_MS      INT64_C(1000000)

static inline int64_t deadline_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* timeout_ms below 0: never. */
static inline int64_t deadline_after_ms(int timeout_ms)
{
    return timeout_ms < 0 ? DEADLINE_NEVER : deadline_now() + timeout_ms * NS_PER_MS;
}

/* For poll and epoll_wait: -1 for never, 0 when it has passed, else whole milliseconds, rounded up.
 */
static inline int deadline_left_ms(int64_t deadline)
{
    if (deadline == DEADLINE_NEVER)
        return -1;
    int64_t left = deadline - deadline_now();
    if (left <= 0)
        return 0;
    left = (left + NS_PER_MS - 1) / NS_PER_MS;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

#endif
