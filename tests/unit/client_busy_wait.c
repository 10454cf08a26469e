/* SPDX-License-Identifier: MIT */
/* When a consumer looks for messages before it sleeps. */
#include "client/busy_wait.h"

#include <criterion/criterion.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static struct busy_wait b;
static uint64_t now_ns;
static uint64_t looked_ns; /* in all */

static void begin(void)
{
    now_ns = 1000 * MS;
    looked_ns = 0;
    busy_wait_init(&b, 50 * US);
}

TestSuite(client_busy_wait, .init = begin);

/* Waits once: the message comes after asleep_ns to one who sleeps, after awake_ns to one who looks.
 */
static void wait_once(uint64_t asleep_ns, uint64_t awake_ns)
{
    uint64_t budget_ns = busy_wait_ns(&b);
    bool has_looked = budget_ns > 0 && awake_ns <= budget_ns;

    if (budget_ns > 0 && !has_looked) {
        looked_ns += budget_ns;
        busy_wait_in_vain(&b, now_ns + budget_ns);
    }
    if (has_looked)
        looked_ns += awake_ns;
    now_ns += has_looked ? awake_ns : asleep_ns;
    busy_wait_took(&b, 1);
    busy_wait_ended(&b, now_ns, has_looked);
}

static void wait_often(unsigned n, uint64_t asleep_ns, uint64_t awake_ns)
{
    while (n-- > 0)
        wait_once(asleep_ns, awake_ns);
}

Test(client_busy_wait, looks_where_that_makes_messages_come_faster)
{
    wait_often(200, 27 * US, 5 * US);
    cr_assert_eq(b.phase, BUSY_WAIT_WORTH);
    cr_assert_eq(busy_wait_ns(&b), 50 * US);
}

Test(client_busy_wait, leaves_off_where_messages_come_as_they_come)
{
    uint64_t begun_ns = now_ns;

    wait_often(300000, 33 * US, 33 * US);
    cr_assert_eq(b.phase, BUSY_WAIT_ASLEEP);
    cr_assert_lt(looked_ns, (now_ns - begun_ns) / 100, "a hundredth of the time at most");
}

Test(client_busy_wait, leaves_off_where_nothing_comes_meanwhile)
{
    wait_often(10000, 90 * US, 90 * US);
    cr_assert_eq(b.phase, BUSY_WAIT_ASLEEP);
    cr_assert_lt(looked_ns, 60 * 50 * US);
}

Test(client_busy_wait, is_not_tried_for_what_comes_seldom)
{
    wait_often(1000, MS, 5 * US);
    cr_assert_eq(looked_ns, 0);
}

Test(client_busy_wait, never_begins_without_a_budget)
{
    busy_wait_init(&b, 0);
    wait_often(1000, US, US);
    cr_assert_eq(looked_ns, 0);
}

Test(client_busy_wait, counts_messages_and_not_waits)
{
    for (int i = 0; i < 1000; i++) { /* three at a time to one who sleeps */
        if (busy_wait_ns(&b) == 0)
            busy_wait_took(&b, 2);
        wait_once(30 * US, 10 * US);
    }
    cr_assert_eq(b.phase, BUSY_WAIT_ASLEEP);
}

Test(client_busy_wait, notices_that_nobody_waits_any_more)
{
    wait_often(200, 27 * US, 5 * US);
    wait_often(100000, 6 * US, 6 * US);
    cr_assert_eq(b.phase, BUSY_WAIT_ASLEEP);
}
