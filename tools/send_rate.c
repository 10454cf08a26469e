/* SPDX-License-Identifier: MIT */
/* Holds messages back to so many a second. */
#include "tools/send_rate.h"

#include <time.h>

/* How far a sender that was held up may catch up at once. */
#define CATCH_UP_NS 100000000

int64_t send_rate_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t send_rate_left_ns(struct send_rate *r, int64_t now_ns)
{
    if (r->rate <= 0)
        return 0;
    if (r->next_ns == 0 || r->next_ns < now_ns - CATCH_UP_NS)
        r->next_ns = now_ns;
    return r->next_ns > now_ns ? r->next_ns - now_ns : 0;
}

void send_rate_take(struct send_rate *r)
{
    if (r->rate > 0)
        r->next_ns += (int64_t)(1e9 / r->rate);
}
