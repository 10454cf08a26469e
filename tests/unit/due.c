/* SPDX-License-Identifier: MIT */
/* Moments: the earliest is first, whatever was set, moved and taken out before. */
#include "proto/due.h"

#include <criterion/criterion.h>

Test(due, has_nothing_at_first)
{
    struct due d;
    uint16_t index = 7;

    cr_assert_eq(due_init(&d, 4), 0);
    cr_expect_eq(due_first(&d, &index), DUE_NEVER);
    cr_expect_eq(index, 7);
    due_clear(&d, 3);
    cr_expect_eq(due_first(&d, &index), DUE_NEVER);
    due_deinit(&d);
    due_deinit(&d);
}

Test(due, a_moment_may_be_changed_both_ways)
{
    struct due d;
    uint16_t index;

    cr_assert_eq(due_init(&d, 4), 0);
    due_set(&d, 0, 10);
    due_set(&d, 1, 20);
    due_set(&d, 2, 30);
    cr_expect_eq(due_first(&d, &index), 10);
    cr_expect_eq(index, 0);
    due_set(&d, 0, 40);
    cr_expect_eq(due_first(&d, &index), 20);
    due_set(&d, 2, 5);
    cr_expect_eq(due_first(&d, &index), 5);
    cr_expect_eq(index, 2);
    due_clear(&d, 2);
    due_clear(&d, 1);
    cr_expect_eq(due_first(&d, &index), 40);
    due_deinit(&d);
}

Test(due, agrees_with_a_plain_table_over_a_hundred_thousand_changes)
{
    enum { N = 300 };
    static uint64_t plain[N];
    struct due d;
    uint32_t x = 1;

    cr_assert_eq(due_init(&d, N), 0);
    for (int i = 0; i < N; i++)
        plain[i] = DUE_NEVER;
    for (int i = 0; i < 100000; i++) {
        x = x * 1664525u + 1013904223u;
        uint16_t index = (uint16_t)((x >> 8) % N);
        uint64_t at = (x >> 20) % 1000;
        if (x >> 30 == 0)
            due_clear(&d, index), plain[index] = DUE_NEVER;
        else
            due_set(&d, index, at), plain[index] = at;
        uint64_t least = DUE_NEVER;
        for (int k = 0; k < N; k++)
            least = plain[k] < least ? plain[k] : least;
        cr_assert_eq(due_first(&d, &index), least);
        if (least != DUE_NEVER)
            cr_assert_eq(plain[index], least);
    }
    due_deinit(&d);
}
