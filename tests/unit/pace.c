/* SPDX-License-Identifier: MIT */
/* The timeout follows what was measured, the window what got lost. */
#include "proto/pace.h"

#include <criterion/criterion.h>

#define MS UINT64_C(1000000)

Test(pace, the_first_round_trip_sets_the_timeout_as_rfc_6298_says)
{
    struct pace p;

    pace_init(&p, 256);
    cr_expect_eq(p.timeout_ns, PACE_TIMEOUT_FIRST_NS);
    pace_measure(&p, 100 * MS);
    cr_expect_eq(p.smoothed_ns, 100 * MS);
    cr_expect_eq(p.variation_ns, 50 * MS);
    cr_expect_eq(p.measured_ns, 300 * MS);
    pace_measure(&p, 60 * MS);
    cr_expect_eq(p.variation_ns, (3 * 50 * MS + 40 * MS) / 4);
    cr_expect_eq(p.smoothed_ns, (7 * 100 * MS + 60 * MS) / 8);
}

Test(pace, the_timeout_has_a_floor_and_a_ceiling)
{
    struct pace p;

    pace_init(&p, 256);
    for (int i = 0; i < 100; i++)
        pace_measure(&p, 0);
    cr_expect_eq(p.measured_ns, PACE_TIMEOUT_MIN_NS);
    pace_measure(&p, 1000000 * MS);
    cr_expect_eq(p.measured_ns, PACE_TIMEOUT_MAX_NS);
}

Test(pace, the_timeout_doubles_once_for_all_that_was_under_way_in_silence)
{
    struct pace p;

    pace_init(&p, 256);
    pace_measure(&p, 100 * MS);
    pace_answered(&p, 100 * MS, false);
    pace_lost(&p, 1000 * MS, 700 * MS, false);
    pace_lost(&p, 1001 * MS, 701 * MS, false);
    cr_expect_eq(p.timeout_ns, 600 * MS);
    pace_lost(&p, 1700 * MS, 1100 * MS, false);
    cr_expect_eq(p.timeout_ns, 1200 * MS);
    pace_answered(&p, 1900 * MS, false);
    cr_expect_eq(p.timeout_ns, 300 * MS);
    pace_lost(&p, 1950 * MS, 1850 * MS, false);
    cr_expect_eq(p.timeout_ns, 300 * MS, "something was heard after it had been sent");
}

Test(pace, a_refusal_says_nothing_about_the_round_trip)
{
    struct pace p;

    pace_init(&p, 256);
    for (int i = 0; i < 90; i++)
        pace_answered(&p, MS, true);
    cr_expect_eq(p.window, 100);
    pace_lost(&p, 1000 * MS, 700 * MS, true);
    cr_expect_eq(p.timeout_ns, PACE_TIMEOUT_FIRST_NS);
    cr_expect_eq(p.window, 50);
}

Test(pace, the_window_doubles_each_round_trip_until_something_is_lost)
{
    struct pace p;

    pace_init(&p, 1000);
    for (int i = 0; i < 10; i++)
        pace_answered(&p, MS, true);
    cr_expect_eq(p.window, 20);
    for (int i = 0; i < 100000; i++)
        pace_answered(&p, MS, true);
    cr_expect_eq(p.window, 1000);
    pace_lost(&p, 10 * MS, 5 * MS, false);
    cr_expect_eq(p.window, 500);
    for (int i = 0; i < 500; i++)
        pace_answered(&p, MS, true);
    cr_expect_eq(p.window, 501);
}

Test(pace, a_window_that_nothing_fills_does_not_grow)
{
    struct pace p;

    pace_init(&p, 1000);
    for (int i = 0; i < 100; i++)
        pace_answered(&p, MS, false);
    cr_expect_eq(p.window, PACE_WINDOW_FIRST);
}

Test(pace, the_window_shrinks_once_for_all_that_was_under_way_and_not_below_its_least)
{
    struct pace p;
    uint64_t now = 0;

    pace_init(&p, 64);
    for (int i = 0; i < 1000; i++)
        pace_answered(&p, MS, true);
    for (int i = 0; i < 64; i++)
        pace_lost(&p, 10 * MS, 5 * MS, false);
    cr_expect_eq(p.window, 32);
    for (now = 20 * MS; now < 200 * MS; now += 10 * MS)
        pace_lost(&p, now, now - MS, false);
    cr_expect_eq(p.window, PACE_WINDOW_MIN);
    pace_init(&p, 1);
    pace_lost(&p, 10 * MS, 5 * MS, false);
    cr_expect_eq(p.window, 1);
}
