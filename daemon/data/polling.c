/* SPDX-License-Identifier: MIT */
/* Looking for what comes next before sleeping, or letting it gather; going after others. */
#include "daemon/data/polling.h"

#include "daemon/data/anticipation.h"
#include "daemon/data/sessions.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

/* In less than this nobody else had the core. */
#define SWITCH_NS 1000u

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
    coalesce_init(&w->coalesce, w->options.coalesce_ns);
    yield_init(&w->yield);
    anticipation_init(w);
}

void polling_begin(void)
{
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* else each sleep takes 50 us more; it cannot fail */
}

int polling_timeout(struct worker *w, int timeout_ms)
{
    w->has_slept = !w->is_polling && timeout_ms != 0;
    if (w->has_slept)
        return anticipation_timeout(w, timeout_ms);
    if (timeout_ms == 0)
        return 0;
    uint64_t now_ns = uv_hrtime();
    if (now_ns < w->spin.until_ns)
        return 0;
    w->is_polling = false;
    spin_ended(&w->spin, now_ns, was_disturbed(w));
    return timeout_ms;
}

bool polling_is_switch(uint64_t took_ns)
{
    return took_ns >= SWITCH_NS;
}

uint64_t polling_give_way(struct worker *w)
{
    uint64_t begun_ns = uv_hrtime();

    sched_yield();
    uint64_t took_ns = uv_hrtime() - begun_ns;
    if (polling_is_switch(took_ns))
        w->n_switched++; /* by our own will, which the kernel does not count so */
    return took_ns;
}

void polling_yield(struct worker *w)
{
    if (!yield_is_due(&w->yield, w->arrivals.n_packets, w->has_slept, uv_hrtime()))
        return;
    w->has_slept = false; /* once is enough for a turn */
    uint64_t took_ns = polling_give_way(w);
    yield_ended(&w->yield, uv_hrtime(), took_ns);
}

void polling_woke(struct worker *w)
{
    if (w->is_looking)
        (void)polling_give_way(w);
}

/* Sessions have moments of their own, libuv perhaps something to do. */
static bool can_sleep(const struct worker *w)
{
    return w->sessions->by_id.count == 0 && uv_backend_timeout(&w->loop) != 0;
}

/* How long before now the last of what has come arrived. A clock that was set says nothing. */
static uint64_t age_ns(const struct arrivals *a)
{
    int64_t age = wall_clock_ns() - a->last_clock_ns;

    return age >= 0 ? (uint64_t)age : UINT64_MAX;
}

/* Lets more gather, if that is worth it. */
static bool gather(struct worker *w, uint64_t now_ns)
{
    const struct arrivals *a = &w->arrivals;
    uint64_t age = w->coalesce.slept_ns != 0 ? age_ns(a) : 0;
    uint64_t sleep_ns = coalesce_turn(&w->coalesce, a, now_ns, age);
    if (sleep_ns == 0 || !can_sleep(w))
        return false;
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = (long)sleep_ns}, NULL);
    count(&w->reads_coalesced);
    coalesce_slept(&w->coalesce, sleep_ns, uv_hrtime() - now_ns);
    return true;
}

void polling_arrived(struct worker *w)
{
    uint64_t now_ns = uv_hrtime();

    if (w->arrivals.n_packets > 0 && rhythm_turn(&w->rhythm, now_ns))
        anticipation_arrived(w, now_ns, age_ns(&w->arrivals));
    w->is_polling = !gather(w, now_ns) && spin_arrived(&w->spin, now_ns);
    w->arrivals = (struct arrivals){0};
}
