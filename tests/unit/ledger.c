/* SPDX-License-Identifier: MIT */
/* The counters of an endpoint. */
#include "daemon/core/ledger.h"

#include <criterion/criterion.h>
#include <string.h>

Test(ledger, the_law_holds_when_everything_is_somewhere)
{
    struct ledger l = {.received = 100, .delivered = 50, .queued = 10, .spooled = 5, .protocol = 3};

    for (int i = 0; i < N_DROP_REASONS; i++)
        l.dropped[i] = 2;
    l.dropped[0] += 100 - 68 - 2 * N_DROP_REASONS;
    cr_assert_eq(ledger_dropped(&l), 32);
    cr_assert(ledger_holds(&l));
    l.delivered++;
    cr_assert_not(ledger_holds(&l));
}

Test(ledger, every_reason_has_a_key_and_a_meaning)
{
    for (int i = 0; i < N_DROP_REASONS; i++) {
        cr_assert_neq(drop_reason_key(i)[0], '\0');
        cr_assert_neq(drop_reason_meaning(i)[0], '\0');
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(drop_reason_key(i), drop_reason_key(j));
    }
    cr_assert_str_eq(drop_reason_key(DROP_INVALID_JSON), "invalid_json");
}

static const struct reading {
    const char *name;
    uint32_t last;
    uint32_t now;
    uint64_t dropped;
} readings[] = {
    {"nothing", 5, 5, 0},
    {"some", 5, 12, 7},
    {"past 2^32", UINT32_MAX - 1, 3, 5},
    {"all the way", 1, 0, UINT32_MAX},
};

Test(ledger, the_kernels_counter_is_widened_across_its_end)
{
    for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
        struct ledger l = {.kernel_dropped = UINT32_MAX};
        uint32_t last = readings[i].last;

        ledger_note_kernel_drops(&l, &last, readings[i].now);
        cr_expect_eq(l.kernel_dropped, UINT32_MAX + readings[i].dropped, "%s", readings[i].name);
        cr_expect_eq(last, readings[i].now, "%s", readings[i].name);
    }
}
