/* SPDX-License-Identifier: MIT */
/* The bound on log lines that others can cause. */
#include "daemon/base/log_limit.h"

#include <criterion/criterion.h>

#define SECOND INT64_C(1000000000)

Test(log_limit, lets_some_lines_pass_and_says_how_many_did_not)
{
    struct log_limit limit = {0};
    uint32_t suppressed, n = 0;

    for (int i = 0; i < 100; i++)
        n += log_limit_allows(&limit, 5 * SECOND, &suppressed);
    cr_assert_eq(n, 20);
    cr_assert(!log_limit_allows(&limit, 14 * SECOND, &suppressed));
    cr_assert(log_limit_allows(&limit, 15 * SECOND, &suppressed));
    cr_assert_eq(suppressed, 81);
    cr_assert(log_limit_allows(&limit, 15 * SECOND, &suppressed));
    cr_assert_eq(suppressed, 0);
}
