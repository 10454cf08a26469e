/* SPDX-License-Identifier: MIT */
/* Looking for what comes next before sleeping. */
#include "daemon/data/polling.h"

#include <sys/resource.h>

/* Has somebody else wanted the core since this was last asked? */
static bool was_disturbed(struct worker *w)
{
    struct rusage usage;

    if (getrusage(RUSAGE_THREAD, &usage) != 0)
        return true;
    long before = w->n_switched;
    w->n_switched = usage.ru_nivcsw;
    return usage.ru_nivcsw != before;
}

/* While this is active, libuv looks at the descriptors without waiting. */
static void on_turn(uv_idle_t *idle)
{
    struct worker *w = CONTAINER_OF(idle, struct worker, polling);
    uint64_t now_ns = uv_hrtime();

    if (now_ns < w->spin.until_ns)
        return;
    spin_ended(&w->spin, now_ns, was_disturbed(w));
    uv_idle_stop(idle);
}

int polling_init(struct worker *w)
{
    spin_init(&w->spin, w->options.poll_ns);
    return uv_idle_init(&w->loop, &w->polling);
}

void polling_arrived(struct worker *w)
{
    if (w->options.poll_ns > 0 && spin_arrived(&w->spin, uv_hrtime()))
        uv_idle_start(&w->polling, on_turn);
}
