/* SPDX-License-Identifier: MIT */
/* Being awake when a datagram is due. */
#include "daemon/data/anticipation.h"

#include "daemon/data/placement.h"
#include "daemon/data/polling.h"

#include <poll.h>
#include <time.h>

/* Who has the core for longer than that is not a sender that goes to sleep again. */
#define LONGEST_TURN_NS 100000u

#define NS_PER_MS UINT64_C(1000000)

void anticipation_init(struct worker *w)
{
    rhythm_init(&w->rhythm, w->options.anticipate_percent);
}

static void end(struct worker *w, uint64_t now_ns, enum rhythm_outcome outcome)
{
    uint64_t cost_ns = rhythm_ended(&w->rhythm, now_ns, outcome);

    w->is_looking = false;
    atomic_fetch_add_explicit(&w->anticipation_ns, cost_ns, memory_order_relaxed);
}

/* Whoever else is ready on this core goes first each time: perhaps it is the sender. */
static bool goes_on(struct worker *w)
{
    uint64_t took_ns = polling_give_way(w);
    uint64_t now_ns = uv_hrtime();

    w->is_shared = polling_is_switch(took_ns);
    if (took_ns <= LONGEST_TURN_NS && now_ns < rhythm_until_ns(&w->rhythm))
        return true;
    end(w, now_ns, took_ns > LONGEST_TURN_NS ? RHYTHM_DISTURBED : RHYTHM_MISSED);
    return false;
}

/* True: something has come before then. */
static bool sleep_until(struct worker *w, uint64_t until_ns, uint64_t now_ns)
{
    struct pollfd set = {.fd = w->epoll, .events = POLLIN};
    struct timespec time = {.tv_sec = (time_t)((until_ns - now_ns) / (1000 * NS_PER_MS)),
                            .tv_nsec = (long)((until_ns - now_ns) % (1000 * NS_PER_MS))};

    return ppoll(&set, 1, &time, NULL) != 0;
}

static void begin(struct worker *w, uint64_t asked_ns)
{
    rhythm_begun(&w->rhythm, asked_ns, uv_hrtime());
    w->is_looking = true;
    w->is_shared = false;
    w->has_slept = false; /* no sender has woken it */
}

int anticipation_timeout(struct worker *w, int timeout_ms)
{
    if (w->is_looking && goes_on(w)) {
        w->has_slept = false;
        return 0;
    }
    if (!rhythm_is_learned(&w->rhythm))
        return timeout_ms;
    uint64_t now_ns = uv_hrtime();
    uint64_t begins_ns = rhythm_begins_ns(&w->rhythm, now_ns);
    if (begins_ns == 0 || (timeout_ms > 0 && begins_ns > now_ns + (uint64_t)timeout_ms * NS_PER_MS))
        return timeout_ms;
    if (begins_ns > now_ns && sleep_until(w, begins_ns, now_ns))
        return 0;
    begin(w, begins_ns > now_ns ? begins_ns : now_ns);
    return 0;
}

static void met(struct worker *w, uint64_t now_ns)
{
    bool is_shared = w->is_shared;

    end(w, now_ns, is_shared ? RHYTHM_SHARED : RHYTHM_MET);
    count(&w->reads_anticipated);
    if (is_shared) /* the sender's core: the message waited until both had had their turns */
        (void)placement_move_away();
}

void anticipation_arrived(struct worker *w, uint64_t now_ns, uint64_t age_ns)
{
    if (age_ns < now_ns)
        rhythm_arrived(&w->rhythm, now_ns - age_ns);
    if (w->is_looking)
        met(w, now_ns);
}
