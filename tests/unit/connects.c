/* SPDX-License-Identifier: MIT */
/* The connects that a worker knows. */
#include "daemon/core/connects.h"

#include "proto/archive.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MAX 4

static struct connects known;
static int first_owner, second_owner;

static void open_known(void)
{
    cr_assert_eq(connects_init(&known, MAX, 7), 0);
}

static void close_known(void)
{
    connects_deinit(&known);
}

TestSuite(connects, .init = open_known, .fini = close_known);

static struct cookie_claim claim_of(uint8_t n)
{
    struct cookie_claim claim = {.nonce = {n}};

    cr_assert_eq(address_parse("192.0.2.7:40000", &claim.client), 0);
    cr_assert_eq(address_parse("192.0.2.1:7000", &claim.server), 0);
    return claim;
}

static struct connect *add(uint8_t n, void *owner)
{
    struct cookie_claim claim = claim_of(n);

    return connects_add(&known, &claim, owner);
}

static struct connect *find(uint8_t n)
{
    struct cookie_claim claim = claim_of(n);

    return connects_find(&known, &claim);
}

Test(connects, the_same_claim_is_found_and_another_is_not)
{
    struct connect *one = add(1, &first_owner);
    struct cookie_claim other = claim_of(1);

    cr_assert_eq(find(1), one);
    cr_assert_eq(one->state, CONNECT_PENDING);
    cr_assert_null(find(2));
    other.client.port++;
    cr_assert_null(connects_find(&known, &other));
}

Test(connects, one_that_has_ended_is_remembered_as_long_as_its_cookie_may_be_good)
{
    struct connect *one = add(1, &first_owner);

    connects_end(&known, one, "full", 100);
    cr_assert_eq(known.n_live, 0);
    connects_expire(&known, 100 + COOKIE_LIFE_S);
    cr_assert_eq(find(1), one);
    cr_assert_str_eq(one->reason, "full");
    connects_expire(&known, 100 + COOKIE_LIFE_S + 1);
    cr_assert_null(find(1));
}

Test(connects, there_is_room_for_so_many_and_no_more)
{
    for (uint8_t i = 0; i < MAX; i++)
        cr_assert_not_null(add(i, &first_owner));
    cr_assert_null(add(MAX, &first_owner));
    connects_end(&known, find(2), "ended", 1);
    cr_assert_null(add(MAX, &first_owner), "what has ended is remembered");
    connects_expire(&known, 100);
    cr_assert_not_null(add(MAX, &first_owner));
    cr_assert_null(find(2));
    cr_assert_not_null(find(3));
}

Test(connects, what_one_owner_has_ends_with_it)
{
    add(1, &first_owner);
    add(2, &second_owner)->state = CONNECT_OPEN;
    add(3, &first_owner)->state = CONNECT_OPEN;
    connects_end_owner(&known, &first_owner, "released", 5);
    cr_assert_eq(known.n_live, 1);
    cr_assert_eq(find(1)->state, CONNECT_ENDED);
    cr_assert_eq(find(2)->state, CONNECT_OPEN);
    cr_assert_str_eq(find(3)->reason, "released");
}

Test(connects, a_long_reason_is_cut)
{
    char reason[300];

    memset(reason, 'x', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    connects_end(&known, add(1, &first_owner), reason, 5);
    cr_assert_eq(strlen(find(1)->reason), CONNECT_REASON_MAX);
}

Test(connects, ending_twice_keeps_the_first_reason)
{
    struct connect *one = add(1, &first_owner);

    connects_end(&known, one, "first", 5);
    connects_end(&known, one, "second", 6);
    cr_assert_str_eq(one->reason, "first");
    cr_assert_eq(known.n_live, 0);
}

Test(connects, what_has_ended_is_remembered_in_another_process_as_long)
{
    static const struct archive_kind KIND = {{'t', 'e', 's', 't'}, 1};
    struct connects other;
    struct archive a;
    uint8_t bytes[1000];
    size_t n;

    connects_end(&known, add(1, &first_owner), "refused", 100);
    cr_assert_not_null(add(2, &first_owner)); /* is open: its session takes it along */
    archive_save(&a, &KIND, UINT64_C(110000000000), bytes, sizeof bytes);
    connects_archive(&a, &known);
    n = archive_finish(&a);
    cr_assert(n > 0 && n < sizeof bytes);

    cr_assert_eq(connects_init(&other, MAX, 9), 0);
    for (int i = 0; i < 2; i++) { /* twice makes no second one */
        cr_assert_eq(archive_load(&a, &KIND, UINT64_C(5110000000000), bytes, n), 0);
        connects_archive(&a, &other);
        cr_assert_eq(archive_end(&a), 0);
    }

    struct cookie_claim claim = claim_of(1);
    struct connect *one = connects_find(&other, &claim);

    cr_assert_not_null(one);
    cr_assert_eq(one->state, CONNECT_ENDED);
    cr_assert_str_eq(one->reason, "refused");
    cr_assert_eq(one->forget_s, 5100 + COOKIE_LIFE_S + 1);
    claim = claim_of(2);
    cr_assert_null(connects_find(&other, &claim));
    connects_expire(&other, 5100 + COOKIE_LIFE_S + 1);
    cr_assert_eq(other.n_touched, 1);
    claim = claim_of(1);
    cr_assert_null(connects_find(&other, &claim));
    connects_deinit(&other);
}
