/* SPDX-License-Identifier: MIT */
/* Whether to look again before sleeping. */
#include "daemon/core/spin.h"

/* Arrivals that are so many budgets apart on average are still worth it: without a sleep in each
 * hop, who waits for the answer sends sooner. */
#define WORTH 2u

/* After so many spins in vain, or one that took a core from somebody, it rests. */
#define MAX_VAIN 8u

#define LONGEST_GAP UINT64_C(1000000000)

void spin_init(struct spin *s, uint64_t budget_ns)
{
    *s = (struct spin){.budget_ns = budget_ns, .gap_ns = LONGEST_GAP};
    rest_init(&s->rest);
}

bool spin_arrived(struct spin *s, uint64_t now_ns)
{
    uint64_t gap_ns = now_ns - s->arrived_ns;

    if (s->budget_ns == 0)
        return false;
    if (gap_ns > LONGEST_GAP)
        gap_ns = LONGEST_GAP;
    /* One long gap is forgotten in a dozen short ones. */
    s->gap_ns = (3 * s->gap_ns + gap_ns) / 4;
    s->arrived_ns = now_ns;
    if (now_ns < s->until_ns) {
        s->n_vain = 0;
        rest_shorten(&s->rest);
    }
    if (s->gap_ns > WORTH * s->budget_ns || !rest_is_over(&s->rest, now_ns))
        return false;
    s->until_ns = now_ns + s->budget_ns;
    return true;
}

void spin_ended(struct spin *s, uint64_t now_ns, bool was_disturbed)
{
    if (++s->n_vain < MAX_VAIN && !was_disturbed)
        return;
    s->n_vain = 0;
    rest_begin(&s->rest, now_ns);
}
