/* SPDX-License-Identifier: MIT */
/* What each uid has in use. */
#include "daemon/core/quota.h"

#include <criterion/criterion.h>

static struct quota *q;
static struct quota_refusal refusal;

static void open_quota(void)
{
    static const struct quota_limits limits = {.endpoints_per_uid = 3,
                                               .connections_per_uid = 2,
                                               .mailbox_bytes_per_uid = 1000,
                                               .sessions_per_uid = 2};

    cr_assert_eq(quota_new(&q, &limits, 7), 0);
}

static void close_quota(void)
{
    q = quota_free(q);
}

TestSuite(quota, .init = open_quota, .fini = close_quota);

Test(quota, refuses_the_connection_after_the_last_and_says_which_quota)
{
    cr_assert_eq(quota_take_connection(q, 5, &refusal), 0);
    cr_assert_eq(quota_take_connection(q, 5, &refusal), 0);
    cr_assert_eq(quota_take_connection(q, 5, &refusal), QUOTA_EXCEEDED);
    cr_assert_str_eq(refusal.quota, "connections_per_uid");
    cr_assert_eq(refusal.limit, 2);
    cr_assert_eq(refusal.used, 2);
    cr_assert_eq(quota_take_connection(q, 6, &refusal), 0);
    quota_give_connection(q, 5);
    cr_assert_eq(quota_take_connection(q, 5, &refusal), 0);
}

Test(quota, refuses_the_session_after_the_last)
{
    struct quota_usage usage;

    cr_assert_eq(quota_take_session(q, 5), 0);
    cr_assert_eq(quota_take_session(q, 5), 0);
    cr_assert_eq(quota_take_session(q, 5), QUOTA_EXCEEDED);
    cr_assert_eq(quota_take_session(q, 6), 0);
    quota_usage(q, 5, &usage);
    cr_assert_eq(usage.sessions, 2);
    quota_give_session(q, 5);
    cr_assert_eq(quota_take_session(q, 5), 0);
    quota_give_session(q, 5);
    quota_give_session(q, 5);
    quota_give_session(q, 5);
    quota_give_session(q, 6);
    cr_assert_eq(quota_count(q), 0);
}

Test(quota, refuses_the_endpoint_after_the_last)
{
    struct account *first, *account;

    cr_assert_eq(quota_take_endpoint(q, 5, &first, &refusal), 0);
    cr_assert_eq(first->limit, 1000);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(quota_take_endpoint(q, 5, &account, &refusal), 0);
        cr_assert_eq(account, first);
    }
    cr_assert_eq(quota_take_endpoint(q, 5, &account, &refusal), QUOTA_EXCEEDED);
    cr_assert_null(account);
    cr_assert_str_eq(refusal.quota, "endpoints_per_uid");
    cr_assert_eq(refusal.used, 3);
}

Test(quota, refuses_an_endpoint_when_the_memory_is_used_up)
{
    struct account *account, *none;

    cr_assert_eq(quota_take_endpoint(q, 5, &account, &refusal), 0);
    account->used = 1000;
    cr_assert_eq(quota_take_endpoint(q, 5, &none, &refusal), QUOTA_EXCEEDED);
    cr_assert_str_eq(refusal.quota, "mailbox_bytes_per_uid");
    cr_assert_eq(refusal.limit, 1000);
    cr_assert_eq(refusal.used, 1000);
    account->used = 999;
    cr_assert_eq(quota_take_endpoint(q, 5, &none, &refusal), 0);
    account->used = 0;
}

Test(quota, forgets_a_uid_that_has_nothing_left)
{
    struct account *account;

    for (uid_t uid = 0; uid < 1000; uid++) {
        cr_assert_eq(quota_take_endpoint(q, uid, &account, &refusal), 0);
        cr_assert_eq(quota_take_connection(q, uid, &refusal), 0);
    }
    cr_assert_eq(quota_count(q), 1000);
    for (uid_t uid = 0; uid < 1000; uid++) {
        quota_give_endpoint(q, uid);
        quota_give_connection(q, uid);
    }
    cr_assert_eq(quota_count(q), 0);
}

Test(quota, an_account_lives_while_bytes_are_in_use)
{
    struct account *account;
    struct quota_usage usage;

    cr_assert_eq(quota_take_endpoint(q, 5, &account, &refusal), 0);
    account->used = 10;
    quota_give_endpoint(q, 5);
    quota_usage(q, 5, &usage);
    cr_assert_eq(usage.mailbox_bytes, 10);
    cr_assert_eq(usage.endpoints, 0);
    account->used = 0;
    cr_assert_eq(quota_take_connection(q, 5, &refusal), 0);
    quota_give_connection(q, 5);
    cr_assert_eq(quota_count(q), 0);
}

Test(quota, giving_back_what_was_never_taken_changes_nothing)
{
    struct quota_usage usage;

    quota_give_connection(q, 5);
    quota_give_endpoint(q, 5);
    cr_assert_eq(quota_take_connection(q, 5, &refusal), 0);
    quota_give_endpoint(q, 5);
    quota_usage(q, 5, &usage);
    cr_assert_eq(usage.connections, 1);
    cr_assert_eq(usage.endpoints, 0);
}

Test(quota, a_refusal_leaves_no_trace_of_a_new_uid)
{
    struct quota_limits none = {.mailbox_bytes_per_uid = 1};
    struct account *account;

    quota_set_limits(q, &none);
    cr_assert_eq(quota_take_connection(q, 5, &refusal), QUOTA_EXCEEDED);
    cr_assert_eq(quota_take_endpoint(q, 5, &account, &refusal), QUOTA_EXCEEDED);
    cr_assert_eq(quota_count(q), 0);
}

Test(quota, new_limits_reach_the_accounts_that_are_there)
{
    struct quota_limits more = {
        .endpoints_per_uid = 3, .connections_per_uid = 3, .mailbox_bytes_per_uid = 5000};
    struct account *account;

    cr_assert_eq(quota_take_endpoint(q, 5, &account, &refusal), 0);
    quota_set_limits(q, &more);
    cr_assert_eq(account->limit, 5000);
}
