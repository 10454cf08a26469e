/* SPDX-License-Identifier: MIT */
/* When the next datagram is due, and whether to be awake for it. */
#include "daemon/core/rhythm.h"

/* What comes sooner is read by who has just read; for what comes later nobody hurries. */
#define SHORTEST UINT64_C(200000)
#define LONGEST  UINT64_C(100000000)

/* A regular one comes within so much of its period before or after it is due. */
#define TOLERANCE 4
/* So many whole periods may be left out, so many others come in between. */
#define MAX_LEFT_OUT 8
#define MAX_ODD      3u

#define MARGIN_AT_FIRST UINT64_C(40000)
#define LEAST_MARGIN    UINT64_C(30000)
/* The looker's own being woken is not exact. */
#define SLACK UINT64_C(8000)

#define LATE_AT_FIRST UINT64_C(50000)
#define MOST_LATE     UINT64_C(500000)
#define FORGET        1024u

#define MAX_VAIN 4u

/* So much time's share may be saved. */
#define SAVED_NS 100000000

void rhythm_init(struct rhythm *r, uint32_t percent)
{
    *r =
        (struct rhythm){.percent = percent, .margin_ns = MARGIN_AT_FIRST, .late_ns = LATE_AT_FIRST};
    rest_init(&r->rest);
}

/* ---- Learning ---- */

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void begin_anew(struct rhythm *r, uint64_t at_ns)
{
    r->n_regular = 0;
    r->n_odd = 0;
    r->period_ns = 0;
    r->arrived_ns = at_ns;
}

static void note_odd(struct rhythm *r)
{
    if (r->n_regular > 0 && ++r->n_odd > MAX_ODD)
        begin_anew(r, r->arrived_ns);
}

/* Are two gaps in a row alike? */
static void look_for_period(struct rhythm *r, uint64_t at_ns)
{
    uint64_t gap_ns = at_ns - r->arrived_ns;
    uint64_t former_ns = r->period_ns;

    r->arrived_ns = at_ns;
    r->period_ns = gap_ns >= SHORTEST && gap_ns <= LONGEST ? gap_ns : 0;
    if (r->period_ns == 0 || distance(gap_ns, former_ns) > gap_ns / TOLERANCE)
        return;
    r->n_regular = 1;
    r->margin_ns = MARGIN_AT_FIRST;
    r->due_ns = at_ns + gap_ns;
}

static int64_t clamp(int64_t value, int64_t most)
{
    return value > most ? most : value < -most ? -most : value;
}

/* Of one that is far off, as some always are, not more is learnt than of others. */
static void follow(struct rhythm *r, int64_t error_ns)
{
    bool is_new = !rhythm_is_learned(r);
    int64_t most = is_new ? (int64_t)r->period_ns : (int64_t)r->margin_ns / 2;
    int64_t learnt_ns = clamp(error_ns, most);

    r->due_ns += (uint64_t)(learnt_ns / (is_new ? 4 : 8));
    r->period_ns += (uint64_t)(learnt_ns / (is_new ? 16 : 128));
    r->due_ns += r->period_ns;
}

/* Timers are late and never early, so it looks longer after one is due than before. */
static uint64_t lead_ns(const struct rhythm *r)
{
    return r->margin_ns / 2;
}

/* Wide enough for all but a few in a hundred. */
static void set_margin(struct rhythm *r, int64_t error_ns)
{
    if (error_ns > (int64_t)r->margin_ns || error_ns < (int64_t)SLACK - (int64_t)lead_ns(r))
        r->margin_ns += r->margin_ns / 4;
    else if (r->margin_ns > LEAST_MARGIN)
        r->margin_ns -= r->margin_ns / 128;
    if (r->margin_ns > r->period_ns / TOLERANCE)
        r->margin_ns = r->period_ns / TOLERANCE;
}

bool rhythm_turn(struct rhythm *r, uint64_t now_ns)
{
    uint64_t gap_ns = now_ns - r->turn_ns;

    if (r->percent == 0)
        return false;
    r->turn_ns = now_ns;
    if (gap_ns >= SHORTEST)
        return true;
    note_odd(r);
    return false;
}

/* Those that were left out are not due any more. */
static void skip(struct rhythm *r, uint64_t at_ns)
{
    uint64_t half_ns = r->period_ns / 2;

    for (int i = 0; i < MAX_LEFT_OUT && at_ns > r->due_ns + half_ns; i++)
        r->due_ns += r->period_ns;
}

void rhythm_arrived(struct rhythm *r, uint64_t at_ns)
{
    if (r->n_regular == 0) {
        look_for_period(r, at_ns);
        return;
    }
    skip(r, at_ns);
    int64_t error_ns = (int64_t)(at_ns - r->due_ns);
    uint64_t off_ns = distance(at_ns, r->due_ns);
    if (off_ns > r->period_ns / TOLERANCE) {
        if (error_ns < 0)
            note_odd(r);
        else
            begin_anew(r, at_ns);
        return;
    }
    r->arrived_ns = at_ns;
    r->n_odd = 0;
    follow(r, error_ns);
    set_margin(r, error_ns);
    if (r->n_regular < RHYTHM_LEARNED)
        r->n_regular++;
}

/* ---- Looking ---- */

static void earn(struct rhythm *r, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - r->credited_ns;

    r->credited_ns = now_ns;
    if (passed_ns > SAVED_NS)
        passed_ns = SAVED_NS;
    r->credit_ns += (int64_t)(passed_ns * r->percent / 100);
    if (r->credit_ns > (int64_t)(SAVED_NS / 100 * r->percent))
        r->credit_ns = (int64_t)(SAVED_NS / 100 * r->percent);
}

/* Of the time that it is late half is the processor's: a timer is set, a core comes out of idle. */
static uint64_t wake_cost(const struct rhythm *r)
{
    return r->late_ns / 2;
}

static bool is_affordable(const struct rhythm *r)
{
    uint64_t cost_ns = wake_cost(r) + lead_ns(r);

    return cost_ns * 100 <= r->period_ns * r->percent &&
           r->credit_ns >= (int64_t)(cost_ns + r->margin_ns);
}

uint64_t rhythm_begins_ns(struct rhythm *r, uint64_t now_ns)
{
    if (!rhythm_is_learned(r) || !rest_is_over(&r->rest, now_ns))
        return 0;
    earn(r, now_ns);
    if (!is_affordable(r)) {
        r->late_ns -= r->late_ns / FORGET; /* so that it is tried again */
        return 0;
    }
    if (now_ns >= rhythm_until_ns(r))
        return 0;
    return r->due_ns - lead_ns(r) - r->late_ns;
}

void rhythm_begun(struct rhythm *r, uint64_t asked_ns, uint64_t now_ns)
{
    uint64_t late_ns = now_ns - asked_ns;

    r->begun_ns = now_ns;
    if (late_ns == 0)
        return;
    r->late_ns = (7 * r->late_ns + least(late_ns, 2 * r->late_ns + SLACK)) / 8;
    r->late_ns = least(r->late_ns, MOST_LATE);
}

static void note_vain(struct rhythm *r, uint64_t now_ns, enum rhythm_outcome outcome)
{
    if (++r->n_vain < MAX_VAIN && outcome != RHYTHM_DISTURBED)
        return;
    r->n_vain = 0;
    rest_begin(&r->rest, now_ns);
    if (outcome == RHYTHM_MISSED) /* it is not regular, or over */
        begin_anew(r, r->arrived_ns);
}

uint64_t rhythm_ended(struct rhythm *r, uint64_t now_ns, enum rhythm_outcome outcome)
{
    uint64_t cost_ns = now_ns - r->begun_ns + wake_cost(r);

    r->credit_ns -= (int64_t)cost_ns;
    if (outcome == RHYTHM_MET) {
        r->n_vain = 0;
        rest_shorten(&r->rest);
        return cost_ns;
    }
    if (outcome == RHYTHM_MISSED)
        r->due_ns += r->period_ns;
    note_vain(r, now_ns, outcome);
    return cost_ns;
}
