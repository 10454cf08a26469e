/* SPDX-License-Identifier: MIT */
#include "daemon/core/spread.h"

#include <criterion/criterion.h>

#define NOW INT64_C(1800000000000000000)

static void expect_even(int64_t took_ns, uint32_t n)
{
    struct spread s = spread_of(NOW, NOW + took_ns, n);
    int64_t before_ns = NOW;

    for (uint32_t i = 0; i < n; i++) {
        int64_t step_ns = spread_at(&s, i) - before_ns;
        cr_assert(step_ns >= 0 && step_ns <= took_ns / n + n, "%u of %u: %lld", i, n,
                  (long long)step_ns);
        before_ns += step_ns;
    }
    cr_assert_eq(before_ns, NOW + took_ns);
}

Test(spread, is_even_and_ends_with_the_last)
{
    struct spread four = spread_of(NOW, NOW + 400, 4);

    cr_assert_eq(spread_at(&four, 0), NOW + 100);
    cr_assert_eq(spread_at(&four, 2), NOW + 300);
    expect_even(400, 4);
    expect_even(85333, 64);
    expect_even(3, 64);
    expect_even(1000, 1);
}

Test(spread, does_not_reach_into_a_pause)
{
    struct spread s = spread_of(NOW - INT64_C(86400000000000), NOW, 64);

    cr_assert_eq(spread_at(&s, 63), NOW);
    cr_assert_eq(spread_at(&s, 0), NOW - INT64_C(63) * SPREAD_MOST_APART);
}

Test(spread, that_does_not_know_when_it_began_is_a_point)
{
    struct spread unknown = spread_of(0, NOW, 64), set_back = spread_of(NOW + 1, NOW, 64);

    cr_assert_eq(spread_at(&unknown, 0), NOW);
    cr_assert_eq(spread_at(&set_back, 0), NOW);
    cr_assert_eq(spread_at(&set_back, 63), NOW);
}
