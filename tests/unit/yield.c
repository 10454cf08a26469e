/* SPDX-License-Identifier: MIT */
/* When a worker lets others go first before it wakes a consumer. */
#include "daemon/core/yield.h"

#include <criterion/criterion.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static struct yield y;
static uint64_t now_ns;

static void begin(void)
{
    now_ns = 10 * MS;
    yield_init(&y);
}

TestSuite(yield, .init = begin);

Test(yield, is_for_one_message_that_woke_the_worker)
{
    cr_assert(yield_is_due(&y, 1, true, now_ns));
    cr_assert_not(yield_is_due(&y, 1, false, now_ns), "who did not sleep has a core of his own");
    cr_assert_not(yield_is_due(&y, 2, true, now_ns), "its sender goes on");
    cr_assert_not(yield_is_due(&y, 0, true, now_ns));
}

Test(yield, goes_on_where_others_soon_sleep)
{
    for (int i = 0; i < 100; i++)
        yield_ended(&y, now_ns += 30 * US, 20 * US);
    cr_assert(yield_is_due(&y, 1, true, now_ns));
}

Test(yield, rests_where_somebody_works_and_longer_each_time)
{
    yield_ended(&y, now_ns, 3 * MS);
    cr_assert_not(yield_is_due(&y, 1, true, now_ns + 9 * MS));
    now_ns += 10 * MS;
    cr_assert(yield_is_due(&y, 1, true, now_ns));
    yield_ended(&y, now_ns, 3 * MS);
    cr_assert_not(yield_is_due(&y, 1, true, now_ns + 19 * MS));
    cr_assert(yield_is_due(&y, 1, true, now_ns + 20 * MS));
}

Test(yield, that_was_short_makes_the_next_rest_short_again)
{
    for (int i = 0; i < 9; i++)
        yield_ended(&y, now_ns += 1000 * MS, 3 * MS);
    yield_ended(&y, now_ns += 1000 * MS, US);
    yield_ended(&y, now_ns, 3 * MS);
    cr_assert(yield_is_due(&y, 1, true, now_ns + 10 * MS));
}
