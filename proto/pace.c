/* SPDX-License-Identifier: MIT */
/* How long to wait for an answer, and how many messages may be under way. */
#include "proto/pace.h"

#define GRANULARITY_NS UINT64_C(1000000) /* of poll(2) */

void pace_init(struct pace *p, uint32_t max_window)
{
    uint32_t first = PACE_WINDOW_FIRST < max_window ? PACE_WINDOW_FIRST : max_window;
    *p = (struct pace){.measured_ns = PACE_TIMEOUT_FIRST_NS,
                       .timeout_ns = PACE_TIMEOUT_FIRST_NS,
                       .window = first,
                       .threshold = max_window,
                       .max_window = max_window};
}

static uint64_t bounded(uint64_t ns)
{
    return ns < PACE_TIMEOUT_MIN_NS   ? PACE_TIMEOUT_MIN_NS
           : ns > PACE_TIMEOUT_MAX_NS ? PACE_TIMEOUT_MAX_NS
                                      : ns;
}

void pace_measure(struct pace *p, uint64_t round_trip_ns)
{
    if (p->smoothed_ns == 0) {
        p->smoothed_ns = round_trip_ns > 0 ? round_trip_ns : 1;
        p->variation_ns = round_trip_ns / 2;
    } else {
        uint64_t off = p->smoothed_ns > round_trip_ns ? p->smoothed_ns - round_trip_ns
                                                      : round_trip_ns - p->smoothed_ns;
        p->variation_ns = (3 * p->variation_ns + off) / 4;
        p->smoothed_ns = (7 * p->smoothed_ns + round_trip_ns) / 8;
    }
    uint64_t margin = 4 * p->variation_ns;
    p->measured_ns = bounded(p->smoothed_ns + (margin > GRANULARITY_NS ? margin : GRANULARITY_NS));
}

static void grow(struct pace *p)
{
    if (p->window >= p->max_window || (p->window >= p->threshold && ++p->n_grown < p->window))
        return;
    p->n_grown = 0;
    p->window++;
}

void pace_answered(struct pace *p, uint64_t now_ns, bool is_limited)
{
    p->known_ns = now_ns;
    p->timeout_ns = p->measured_ns;
    if (is_limited)
        grow(p);
}

void pace_lost(struct pace *p, uint64_t now_ns, uint64_t sent_ns, bool is_told)
{
    if (!is_told && sent_ns >= p->known_ns) {
        p->timeout_ns = bounded(2 * p->timeout_ns);
        p->known_ns = now_ns;
    }
    if (sent_ns < p->shrunk_ns)
        return;
    p->window_before = is_told ? 0 : p->window;
    p->threshold_before = p->threshold;
    uint32_t least = PACE_WINDOW_MIN < p->max_window ? PACE_WINDOW_MIN : p->max_window;
    p->window = p->window / 2 > least ? p->window / 2 : least;
    p->threshold = p->window;
    p->n_grown = 0;
    p->shrunk_ns = now_ns;
}

void pace_not_lost(struct pace *p, uint64_t first_ns)
{
    if (p->shrunk_ns < first_ns || p->window_before <= p->window)
        return;
    p->window = p->window_before;
    p->threshold = p->threshold_before;
    p->window_before = 0;
}
