/* SPDX-License-Identifier: MIT */
/* Whether to let others go first. */
#include "daemon/core/yield.h"

/* A sender goes to sleep within a fraction of it; whoever takes longer is at work of his own. */
#define LONGEST_NS UINT64_C(100000)

void yield_init(struct yield *y)
{
    rest_init(&y->rest);
}

bool yield_is_due(const struct yield *y, uint32_t n_packets, bool has_slept, uint64_t now_ns)
{
    /* Several are from a sender that does not go to sleep. */
    return n_packets == 1 && has_slept && rest_is_over(&y->rest, now_ns);
}

void yield_ended(struct yield *y, uint64_t now_ns, uint64_t took_ns)
{
    if (took_ns > LONGEST_NS)
        rest_begin(&y->rest, now_ns);
    else
        rest_shorten(&y->rest);
}
