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

void polling_init(struct worker *w)
{
    spin_init(&w->spin, w->options.poll_ns);
}

int polling_timeout(struct worker *w, int timeout_ms)
{
    if (!w->is_polling || timeout_ms == 0)
        return timeout_ms;
    uint64_t now_ns = uv_hrtime();
    if (now_ns < w->spin.until_ns)
        return 0;
    w->is_polling = false;
    spin_ended(&w->spin, now_ns, was_disturbed(w));
    return timeout_ms;
}

void polling_arrived(struct worker *w)
{
    if (w->options.poll_ns > 0 && spin_arrived(&w->spin, uv_hrtime()))
        w->is_polling = true;
}
