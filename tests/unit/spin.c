/* SPDX-License-Identifier: MIT */
/* When a worker looks again before it sleeps. */
#include "daemon/core/spin.h"

#include <criterion/criterion.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static struct spin s;
static uint64_t now_ns;

/* So many arrivals, each so long after the one before. Returns whether it looks on behind the last.
 */
static bool arrive(unsigned n, uint64_t gap_ns)
{
    bool is_looking = false;

    while (n-- > 0) {
        now_ns += gap_ns;
        is_looking = spin_arrived(&s, now_ns);
    }
    return is_looking;
}

/* Nothing comes until the end of the spin. */
static void wait_in_vain(bool was_disturbed)
{
    now_ns = s.until_ns;
    spin_ended(&s, now_ns, was_disturbed);
}

static void begin(void)
{
    now_ns = 10 * MS;
    spin_init(&s, 50 * US);
}

TestSuite(spin, .init = begin);

Test(spin, begins_when_messages_follow_each_other_closely)
{
    cr_assert_not(arrive(1, MS), "one message says nothing");
    cr_assert(arrive(40, 20 * US));
    cr_assert_eq(s.until_ns, now_ns + 50 * US);
}

Test(spin, does_not_wait_for_what_comes_seldom)
{
    cr_assert_not(arrive(1000, MS));
    cr_assert_not(arrive(1000, 101 * US));
}

Test(spin, never_begins_without_a_budget)
{
    spin_init(&s, 0);
    cr_assert_not(arrive(1000, US));
}

/* So many spins, one after the other, in which nothing comes. */
static void spin_in_vain(int n)
{
    for (int i = 0; i < n; i++) {
        cr_assert(arrive(1, 20 * US), "spin %d", i);
        wait_in_vain(false);
    }
}

Test(spin, rests_where_nothing_comes_and_longer_each_time)
{
    arrive(40, 20 * US);
    spin_in_vain(8);
    cr_assert_eq(s.rest.until_ns, now_ns + 10 * MS);
    cr_assert_not(arrive(400, 20 * US), "8 ms later it rests");
    now_ns = s.rest.until_ns;
    s.arrived_ns = now_ns;
    spin_in_vain(8);
    cr_assert_eq(s.rest.until_ns, now_ns + 20 * MS);
}

Test(spin, gives_way_at_once_where_somebody_wants_the_core)
{
    arrive(40, 20 * US);
    wait_in_vain(true);
    cr_assert_not(arrive(400, 20 * US));
    cr_assert(arrive(200, 20 * US));
}

Test(spin, in_which_something_came_makes_the_next_rest_short_again)
{
    arrive(40, 20 * US);
    for (int i = 0; i < 4; i++) {
        wait_in_vain(true);
        now_ns = s.rest.until_ns;
        arrive(40, 20 * US);
    }
    cr_assert_eq(s.rest.next_ns, 10 * MS);
}
