/* SPDX-License-Identifier: MIT */
/* When a worker lets datagrams gather before it reads again. */
#include "daemon/core/coalesce.h"

#include <criterion/criterion.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

#define OVERSHOOT (5 * US)

static struct coalesce c;
static uint64_t now_ns;
static struct arrivals a;

static void begin(void)
{
    now_ns = 10 * S;
    coalesce_init(&c, 200 * US);
    a = (struct arrivals){.room_bytes = 4 << 20};
}

TestSuite(coalesce, .init = begin);

/* A turn that finds so many of 256 B, the last one age_ns old. Returns how long to sleep. */
static uint64_t find(uint32_t n, uint64_t age_ns)
{
    a.n_packets = a.n_datagrams = n;
    a.n_bytes = n * 256;
    return coalesce_turn(&c, &a, now_ns, age_ns);
}

/* Turns as they come when one datagram arrives each gap_ns and a turn takes busy_ns: each finds
 * what has come since the one before. Returns the last sleep. */
static uint64_t flow(unsigned turns, uint64_t gap_ns, uint64_t busy_ns)
{
    uint64_t last_ns = 0, passed_ns = busy_ns;

    while (turns-- > 0) {
        now_ns += passed_ns;
        last_ns = find((uint32_t)(passed_ns / gap_ns), gap_ns);
        passed_ns = busy_ns + last_ns;
        if (last_ns > 0) {
            coalesce_slept(&c, last_ns, last_ns + OVERSHOOT);
            passed_ns += OVERSHOOT;
        }
    }
    return last_ns;
}

Test(coalesce, begins_where_several_come_each_time_and_closely)
{
    cr_assert_eq(flow(3, US, 10 * US), 0, "three turns say nothing");
    cr_assert_geq(flow(60, US, 10 * US), 40 * US);
}

Test(coalesce, never_begins_where_one_comes_at_a_time)
{
    cr_assert_eq(flow(1000, 10 * US, 10 * US), 0);
}

Test(coalesce, ends_at_once_where_one_comes_at_a_time)
{
    cr_assert_gt(flow(60, US, 10 * US), 0);
    now_ns += 60 * US;
    cr_assert_eq(find(1, US), 0);
    now_ns += 10 * US;
    cr_assert_eq(find(10, US), 0, "it begins anew");
}

Test(coalesce, does_not_wait_for_what_comes_seldom)
{
    cr_assert_eq(flow(1000, 50 * US, 200 * US), 0);
}

Test(coalesce, never_begins_without_a_limit)
{
    coalesce_init(&c, 0);
    cr_assert_eq(flow(1000, US, 10 * US), 0);
}

Test(coalesce, keeps_to_its_limit)
{
    coalesce_init(&c, 20 * US);
    cr_assert_eq(flow(100, US, 10 * US), 20 * US);
}

Test(coalesce, sleeps_longer_where_sleeping_is_dear)
{
    uint64_t cheap_ns = flow(100, US, 10 * US);

    for (int i = 0; i < 100; i++)
        coalesce_slept(&c, 100 * US, 135 * US);
    c.slept_ns = 0;
    now_ns += 10 * US;
    cr_assert_leq(cheap_ns, 50 * US);
    cr_assert_gt(find(10, US), 100 * US);
}

Test(coalesce, leaves_alone_what_would_pay_dearly)
{
    cr_assert_gt(flow(100, 5 * US, 20 * US), 0, "a sleep costs 5 us");
    for (int i = 0; i < 100; i++)
        coalesce_slept(&c, 100 * US, 135 * US);
    c.slept_ns = 0;
    cr_assert_eq(flow(100, 5 * US, 20 * US), 0, "it costs 35");
    cr_assert_gt(flow(100, US, 20 * US), 0);
}

Test(coalesce, leaves_three_quarters_of_a_small_receive_buffer)
{
    a.room_bytes = 212992;
    uint64_t sleep_ns = flow(100, US, 10 * US);

    cr_assert_gt(sleep_ns, 0);
    cr_assert_leq(sleep_ns, 36 * US, "%llu", (unsigned long long)sleep_ns);
    a.room_bytes = 8192;
    now_ns += 10 * US;
    cr_assert_eq(find(10, US), 0, "there is no room for what would be worth it");
}

Test(coalesce, leaves_trains_and_what_is_left_alone)
{
    flow(100, US, 10 * US);
    now_ns += 40 * US;
    a.n_datagrams = 40 * 64;
    a.n_packets = 40;
    cr_assert_eq(coalesce_turn(&c, &a, now_ns, US), 0, "they have gathered already");
    flow(100, US, 10 * US);
    a.is_more = true;
    now_ns += 40 * US;
    cr_assert_eq(find(40, US), 0, "there is more to be read now");
}

/* Begins, sleeps, and finds that n have come, the last of them age_ns ago. */
static void sleep_and_find(uint32_t n, uint64_t age_ns)
{
    while (c.slept_ns == 0)
        flow(1, US, 10 * US);
    now_ns += 10 * US + c.slept_ns;
    (void)find(n, age_ns);
}

static void sleep_in_vain(uint32_t n, uint64_t age_ns)
{
    for (int i = 0; i < 3; i++)
        sleep_and_find(n, age_ns);
}

Test(coalesce, bears_with_a_sender_that_is_held_up_once)
{
    for (int i = 0; i < 10; i++) {
        sleep_and_find(16, 30 * US);
        sleep_and_find(16, 30 * US);
        sleep_and_find(16, US);
    }
    cr_assert_eq(c.rest.until_ns, 0);
}

Test(coalesce, tries_again_where_sleeping_was_dear_once)
{
    coalesce_slept(&c, 50 * US, 500 * US);
    coalesce_slept(&c, 50 * US, 500 * US);
    c.slept_ns = 0;
    cr_assert_eq(flow(100, 5 * US, 20 * US), 0);
    cr_assert_gt(flow(10000, 5 * US, 20 * US), 0);
}

Test(coalesce, rests_where_somebody_waited_and_longer_each_time)
{
    sleep_in_vain(16, 30 * US);
    cr_assert_eq(c.rest.until_ns, now_ns + 10 * MS);
    cr_assert_eq(flow(900, US, 10 * US), 0, "9 ms later it rests");
    sleep_in_vain(16, UINT64_MAX);
    cr_assert_eq(c.rest.until_ns, now_ns + 20 * MS);
    for (int i = 0; i < 10; i++)
        sleep_in_vain(16, 30 * US);
    cr_assert_eq(c.rest.until_ns, now_ns + S);
}

Test(coalesce, rests_where_hardly_anything_has_come)
{
    sleep_in_vain(7, US);
    cr_assert_eq(c.rest.until_ns, now_ns + 10 * MS);
}

Test(coalesce, that_was_worth_it_makes_the_next_rest_short_again)
{
    for (int i = 0; i < 4; i++)
        sleep_in_vain(16, 30 * US);
    flow(100000, US, 10 * US);
    cr_assert_eq(c.rest.next_ns, 10 * MS);
}
