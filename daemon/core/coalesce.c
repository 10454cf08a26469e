/* SPDX-License-Identifier: MIT */
/* Whether to let datagrams gather before the next look. */
#include "daemon/core/coalesce.h"

/* A sleep is worth it from so many datagrams on, or more where it is dear: it may cost each so
 * much. More than MOST gain nothing. */
#define FEWEST  8u
#define MOST    128u
#define COST_NS 500u
/* Turns in a row with several datagrams before it begins: one that waits for answers does not
 * get so far. */
#define BEGINS_AFTER 4u
/* A sender of trains has them gathered already. */
#define TRAIN 4u

/* A sleep costs processor time about as long as it overshoots (setting the timer, coming out of
 * idle): the dearer, the longer. */
#define FORGET   1024u
#define SHORTEST UINT64_C(50000)
#define WORTH    6u

/* The kernel charges a datagram at most so much of a receive buffer, of which a quarter may fill.
 */
#define CHARGE(bytes) (2 * (bytes) + 1024)
#define SHARE         4u

/* After so many sleeps in a row for nothing it rests: a sender that is held up once is no reason.
 */
#define MAX_VAIN    3u
#define LONGEST_GAP UINT64_C(1000000)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void coalesce_init(struct coalesce *c, uint64_t limit_ns)
{
    *c = (struct coalesce){.limit_ns = limit_ns, .gap_ns = LONGEST_GAP};
    rest_init(&c->rest);
}

/* Was the sleep before this turn for nothing, or was somebody waiting meanwhile? */
static bool was_vain(const struct coalesce *c, const struct arrivals *a, uint64_t age_ns)
{
    return a->n_packets < FEWEST || age_ns > c->slept_ns / 2;
}

static void rest(struct coalesce *c, uint64_t now_ns)
{
    c->n_vain = 0;
    c->n_several = 0;
    rest_begin(&c->rest, now_ns);
}

/* Judges the sleep before this turn, if there was one. */
static void judge(struct coalesce *c, const struct arrivals *a, uint64_t now_ns, uint64_t age_ns)
{
    if (c->slept_ns == 0)
        return;
    if (was_vain(c, a, age_ns)) {
        c->n_vain++;
    } else {
        c->n_vain = 0;
        rest_shorten(&c->rest);
    }
    if (c->n_vain == MAX_VAIN)
        rest(c, now_ns);
    c->slept_ns = 0;
}

static void note_gap(struct coalesce *c, uint32_t n, uint64_t now_ns)
{
    uint64_t gap_ns = least((now_ns - c->read_ns) / n, LONGEST_GAP);

    c->gap_ns = (3 * c->gap_ns + gap_ns) / 4;
    c->read_ns = now_ns;
}

/* How long it takes until enough have come that they are worth it. */
static uint64_t time_for(const struct coalesce *c, const struct arrivals *a)
{
    uint64_t room = a->room_bytes / SHARE / CHARGE(a->n_bytes / a->n_packets);
    uint64_t reach_ns = WORTH * c->overshoot_ns;

    if (reach_ns < SHORTEST)
        reach_ns = SHORTEST;
    reach_ns = least(reach_ns, c->limit_ns);
    return least(reach_ns, c->gap_ns * least(room, MOST));
}

/* Do enough come meanwhile that it costs each of them little? */
static bool is_cheap(const struct coalesce *c, uint64_t sleep_ns)
{
    return (sleep_ns + c->overshoot_ns) * COST_NS >= c->overshoot_ns * c->gap_ns;
}

uint64_t coalesce_turn(struct coalesce *c, const struct arrivals *a, uint64_t now_ns,
                       uint64_t age_ns)
{
    if (c->limit_ns == 0 || a->n_packets == 0)
        return 0;
    note_gap(c, a->n_packets, now_ns);
    c->n_several = a->n_packets > 1 && a->n_datagrams < TRAIN * a->n_packets ? c->n_several + 1 : 0;
    judge(c, a, now_ns, age_ns);
    if (a->is_more || c->n_several < BEGINS_AFTER || !rest_is_over(&c->rest, now_ns))
        return 0;
    uint64_t sleep_ns = time_for(c, a);
    if (sleep_ns < FEWEST * c->gap_ns)
        return 0;
    if (is_cheap(c, sleep_ns))
        return sleep_ns;
    c->overshoot_ns -= c->overshoot_ns / FORGET; /* so that it is tried again */
    return 0;
}

void coalesce_slept(struct coalesce *c, uint64_t asked_ns, uint64_t took_ns)
{
    uint64_t overshoot_ns = took_ns > asked_ns ? least(took_ns - asked_ns, c->limit_ns) : 0;

    c->overshoot_ns = (7 * c->overshoot_ns + overshoot_ns) / 8;
    c->slept_ns = took_ns;
}
