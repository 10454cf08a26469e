/* SPDX-License-Identifier: MIT */
/* Where handed-over messages came from, and which are not released. */
#include "daemon/control/origins.h"

#include <criterion/criterion.h>

static void add(struct origins *o, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        struct origin origin = {.seq = seq, .from = {.port = (uint16_t)seq}};

        cr_assert_eq(origins_add(o, &origin), 0);
    }
}

Test(origins, finds_nothing_in_an_empty_table)
{
    struct origins o = {0};

    cr_assert_null(origins_find(&o, 0));
    cr_assert_null(origins_find(&o, 1));
    origins_deinit(&o);
}

Test(origins, keeps_each_message_until_it_is_full)
{
    struct origins o = {0};

    add(&o, 1, ORIGINS_KEPT);
    for (uint64_t seq = 1; seq <= ORIGINS_KEPT; seq++) {
        struct origin *found = origins_find(&o, seq);

        cr_assert_not_null(found, "seq %lu", seq);
        cr_assert_eq(found->from.port, (uint16_t)seq);
    }
    origins_deinit(&o);
}

Test(origins, forgets_the_oldest_when_it_is_full)
{
    struct origins o = {0};

    add(&o, 1, ORIGINS_KEPT + 3);
    cr_assert_null(origins_find(&o, 3));
    cr_assert_not_null(origins_find(&o, 4));
    cr_assert_not_null(origins_find(&o, ORIGINS_KEPT + 3));
    cr_assert_eq(o.capacity, ORIGINS_KEPT);
    origins_deinit(&o);
}

Test(origins, finds_the_latest_of_a_number_that_was_handed_over_twice)
{
    struct origins o = {0};

    add(&o, 7, 7);
    origins_find(&o, 7)->is_answered = true;
    add(&o, 7, 7);
    cr_assert(!origins_find(&o, 7)->is_answered);
    origins_deinit(&o);
}

Test(unreleased, counts_what_was_handed_over_and_not_released)
{
    struct unreleased u = {0};

    for (uint64_t seq = 1; seq <= 1000; seq++)
        cr_assert_eq(unreleased_add(&u, seq), 0);
    cr_assert_eq(unreleased_count(&u), 1000);
    unreleased_release(&u, 0);
    cr_assert_eq(unreleased_count(&u), 1000);
    unreleased_release(&u, 10);
    cr_assert_eq(unreleased_count(&u), 990);
    unreleased_release(&u, 9);
    cr_assert_eq(unreleased_count(&u), 990);
    unreleased_release(&u, UINT64_MAX);
    cr_assert_eq(unreleased_count(&u), 0);
    unreleased_deinit(&u);
}

Test(unreleased, goes_by_the_order_of_handing_over)
{
    static const struct {
        const char *name;
        uint64_t seq;
        size_t n_left;
    } rows[] = {
        {"the first", 2, 5},
        {"the middle", 6, 3},
        {"a lower one that came later", 1, 2},
        {"the last", 5, 0},
        {"not there, lower than the first", 0, 6},
        {"not there, above all", 100, 0},
        {"not there, in between", 3, 5},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const uint64_t order[] = {2, 4, 6, 1, 7, 5};
        struct unreleased u = {0};
        for (size_t k = 0; k < 6; k++)
            cr_assert_eq(unreleased_add(&u, order[k]), 0);
        cr_assert(unreleased_has(&u, 7) && !unreleased_has(&u, 3));
        unreleased_release(&u, rows[i].seq);
        cr_assert_eq(unreleased_count(&u), rows[i].n_left, "%s", rows[i].name);
        unreleased_deinit(&u);
    }
}

Test(unreleased, keeps_its_order_when_it_grows_after_turning_over)
{
    struct unreleased u = {0};

    for (uint64_t seq = 1; seq <= 60; seq++)
        cr_assert_eq(unreleased_add(&u, seq), 0);
    unreleased_release(&u, 50);
    for (uint64_t seq = 61; seq <= 300; seq++)
        cr_assert_eq(unreleased_add(&u, seq), 0);
    for (uint64_t seq = 51; seq <= 300; seq++) {
        unreleased_release(&u, seq);
        cr_assert_eq(unreleased_count(&u), 300 - seq);
    }
    unreleased_deinit(&u);
}
