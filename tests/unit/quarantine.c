/* SPDX-License-Identifier: MIT */
/* Datagrams that could not be messages. */
#include "daemon/core/quarantine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define LIMIT 4096

static struct quarantine *q;

static void open_quarantine(void)
{
    cr_assert_eq(quarantine_new(&q, LIMIT, 7), 0);
}

static void close_quarantine(void)
{
    q = quarantine_free(q);
}

TestSuite(quarantine, .init = open_quarantine, .fini = close_quarantine);

static void add(uid_t uid, const char *name, const void *bytes, size_t n_bytes)
{
    struct rejected r = {.uid = uid,
                         .reason = DROP_INVALID_JSON,
                         .time_ns = 5,
                         .from = {.port = 1, .family = ADDRESS_IPV4},
                         .bytes = bytes,
                         .n_bytes = n_bytes};

    snprintf(r.name, sizeof(r.name), "%s", name);
    cr_assert_eq(quarantine_add(q, &r), 0);
}

Test(quarantine, keeps_a_copy_with_everything_about_it)
{
    char bytes[] = "{no";
    const struct rejected *r;

    add(5, "a", bytes, 3);
    bytes[0] = 'x';
    r = quarantine_first(q, NULL);
    cr_assert_not_null(r);
    cr_assert_eq(r->id, 1);
    cr_assert_eq(r->n_bytes, 3);
    cr_assert_arr_eq(r->bytes, "{no", 3);
    cr_assert_str_eq(r->name, "a");
    cr_assert_eq(r->reason, DROP_INVALID_JSON);
    cr_assert_eq(r->from.port, 1);
    cr_assert_eq(quarantine_find(q, 1), r);
    cr_assert_null(quarantine_find(q, 2));
    cr_assert_null(quarantine_next(q, r, NULL));
}

Test(quarantine, keeps_a_datagram_without_bytes)
{
    add(5, "a", NULL, 0);
    cr_assert_eq(quarantine_first(q, "a")->n_bytes, 0);
    cr_assert_gt(quarantine_bytes(q), 0);
}

Test(quarantine, walks_oldest_first_by_name_or_all)
{
    const struct rejected *r;
    uint64_t ids[3];
    size_t n = 0;

    add(5, "a", "1", 1);
    add(6, "b", "2", 1);
    add(5, "a", "3", 1);
    for (r = quarantine_first(q, NULL); r; r = quarantine_next(q, r, NULL))
        ids[n++] = r->id;
    cr_assert_eq(n, 3);
    cr_assert(ids[0] == 1 && ids[1] == 2 && ids[2] == 3);
    r = quarantine_first(q, "a");
    cr_assert_eq(r->id, 1);
    r = quarantine_next(q, r, "a");
    cr_assert_eq(r->id, 3);
    cr_assert_null(quarantine_next(q, r, "a"));
    cr_assert_null(quarantine_first(q, "c"));
}

Test(quarantine, a_walk_goes_on_after_what_it_stood_on_is_gone)
{
    for (int i = 0; i < 5; i++)
        add(5, "a", "1", 1);
    cr_assert(quarantine_remove(q, 2));
    cr_assert_not(quarantine_remove(q, 2));
    cr_assert_eq(quarantine_after(q, 2, "a")->id, 3);
    cr_assert_eq(quarantine_after(q, 1, "a")->id, 3);
    cr_assert_eq(quarantine_after(q, 0, NULL)->id, 1);
    cr_assert_null(quarantine_after(q, 5, NULL));
    cr_assert_null(quarantine_after(q, UINT64_MAX, NULL));
}

Test(quarantine, the_oldest_of_a_uid_goes_for_the_newest_and_is_counted)
{
    uint8_t bytes[500] = {0};
    size_t most;

    add(6, "b", bytes, sizeof(bytes));
    for (int i = 0; i < 100; i++) {
        add(5, "a", bytes, sizeof(bytes));
        cr_assert_leq(quarantine_bytes(q), 2 * LIMIT);
    }
    most = quarantine_count(q) - 1;
    cr_assert_geq(most, 4);
    cr_assert_eq(quarantine_discarded(q, 5), 100 - most);
    cr_assert_eq(quarantine_discarded(q, 6), 0);
    cr_assert_eq(quarantine_discarded(q, 7), 0);
    cr_assert_eq(quarantine_discarded_all(q), 100 - most);
    cr_assert_eq(quarantine_first(q, "a")->id, 102 - most);
    cr_assert_not_null(quarantine_find(q, 1));
}

Test(quarantine, what_does_not_fit_at_all_counts_as_discarded_and_moves_nothing)
{
    static uint8_t bytes[65507];

    add(5, "a", "1", 1);
    add(5, "a", bytes, sizeof(bytes));
    cr_assert_eq(quarantine_count(q), 1);
    cr_assert_eq(quarantine_discarded(q, 5), 1);
}

Test(quarantine, purges_a_name_or_all)
{
    for (int i = 0; i < 4; i++) {
        add(5, "a", "1", 1);
        add(6, "b", "1", 1);
    }
    cr_assert_eq(quarantine_purge(q, "a"), 4);
    cr_assert_eq(quarantine_purge(q, "a"), 0);
    cr_assert_eq(quarantine_count(q), 4);
    cr_assert_eq(quarantine_purge(q, NULL), 4);
    cr_assert_eq(quarantine_bytes(q), 0);
    cr_assert_eq(quarantine_discarded_all(q), 0);
    add(5, "a", "1", 1);
    cr_assert_eq(quarantine_first(q, NULL)->id, 9);
}

Test(quarantine, a_smaller_limit_holds_at_once)
{
    for (int i = 0; i < 4; i++)
        add(5, "a", "1", 1);
    quarantine_set_limit(q, quarantine_bytes(q) / 2);
    cr_assert_eq(quarantine_count(q), 2);
    cr_assert_eq(quarantine_first(q, NULL)->id, 3);
    quarantine_set_limit(q, 0);
    cr_assert_eq(quarantine_count(q), 0);
    add(5, "a", "1", 1);
    cr_assert_eq(quarantine_count(q), 0);
    cr_assert_eq(quarantine_discarded(q, 5), 5);
}

/* ---- The disk ---- */

/* What who writes would do: all that is to be written is, one after the other. Returns how many. */
static size_t write_all(void)
{
    const struct rejected *r;
    size_t n = 0;

    for (; (r = quarantine_unwritten(q)); n++) {
        uint64_t id = r->id;

        cr_assert_eq(quarantine_begin_write(q, id), 0);
        quarantine_end_write(q, id, true);
    }
    return n;
}

Test(quarantine, asks_for_each_to_be_written_once_oldest_first)
{
    add(5, "a", "1", 1);
    add(6, "b", "2", 1);
    cr_assert_eq(quarantine_unwritten(q)->id, 1);
    cr_assert_eq(quarantine_count_unwritten(q), 2);
    cr_assert_eq(quarantine_begin_write(q, 1), 0);
    cr_assert_eq(quarantine_unwritten(q)->id, 2);
    quarantine_end_write(q, 1, true);
    cr_assert_eq(write_all(), 1);
    cr_assert_null(quarantine_unwritten(q));
    cr_assert_eq(quarantine_count_unwritten(q), 0);
    cr_assert_eq(quarantine_take_deletion(q), 0);
}

Test(quarantine, what_was_never_written_needs_no_deletion)
{
    uint8_t bytes[500] = {0};

    for (int i = 0; i < 100; i++)
        add(5, "a", bytes, sizeof(bytes));
    cr_assert_eq(quarantine_unwritten(q), quarantine_first(q, NULL));
    cr_assert_eq(quarantine_purge(q, NULL), 100 - quarantine_discarded(q, 5));
    cr_assert_null(quarantine_unwritten(q));
    cr_assert_eq(quarantine_take_deletion(q), 0);
}

Test(quarantine, what_leaves_is_to_be_deleted_on_disk_once)
{
    uint8_t bytes[500] = {0};
    size_t n_kept, n_gone = 0;

    for (int i = 0; i < 100; i++) {
        add(5, "a", bytes, sizeof(bytes));
        cr_assert_eq(write_all(), 1);
    }
    n_kept = quarantine_count(q);
    cr_assert_eq(n_kept + quarantine_discarded(q, 5), 100);
    for (uint64_t id; (id = quarantine_take_deletion(q)) != 0; n_gone++)
        cr_assert_null(quarantine_find(q, id));
    cr_assert_eq(n_gone, 100 - n_kept);
    cr_assert(quarantine_remove(q, 100));
    cr_assert_eq(quarantine_take_deletion(q), 100);
    cr_assert_eq(quarantine_take_deletion(q), 0);
}

Test(quarantine, what_leaves_while_it_is_written_is_deleted_after_that)
{
    add(5, "a", "1", 1);
    cr_assert_eq(quarantine_begin_write(q, 1), 0);
    cr_assert(quarantine_remove(q, 1));
    cr_assert_eq(quarantine_take_deletion(q), 0);
    quarantine_end_write(q, 1, true);
    cr_assert_eq(quarantine_take_deletion(q), 1);
}

Test(quarantine, what_cannot_be_written_stays_and_is_not_asked_for_again)
{
    add(5, "a", "1", 1);
    add(5, "a", "2", 1);
    cr_assert_eq(quarantine_begin_write(q, 1), 0);
    quarantine_end_write(q, 1, false);
    cr_assert_eq(quarantine_unwritten(q)->id, 2);
    cr_assert_eq(quarantine_first(q, NULL)->id, 1);
    cr_assert_eq(quarantine_count_unwritten(q), 2);
    cr_assert_eq(quarantine_begin_write(q, 2), 0);
    cr_assert(quarantine_remove(q, 2));
    quarantine_end_write(q, 2, false);
    cr_assert(quarantine_remove(q, 1));
    cr_assert_eq(quarantine_take_deletion(q), 0);
}

static void load(uint64_t id, uid_t uid, const void *bytes, size_t n_bytes)
{
    const struct rejected r = {
        .id = id, .uid = uid, .name = "a", .bytes = bytes, .n_bytes = n_bytes};

    cr_assert_eq(quarantine_load(q, &r), 0);
}

Test(quarantine, takes_in_what_is_on_disk_and_goes_on_counting)
{
    load(7, 5, "1", 1);
    load(9, 6, "2", 1);
    add(5, "a", "3", 1);
    cr_assert_eq(quarantine_first(q, NULL)->id, 7);
    cr_assert_arr_eq(quarantine_find(q, 9)->bytes, "2", 1);
    cr_assert_eq(quarantine_find(q, 10)->uid, 5);
    cr_assert_eq(quarantine_unwritten(q)->id, 10);
    cr_assert_eq(quarantine_count_unwritten(q), 1);
    cr_assert(quarantine_remove(q, 7));
    cr_assert_eq(quarantine_take_deletion(q), 7);
}

Test(quarantine, the_bound_of_a_uid_holds_for_what_is_on_disk)
{
    static uint8_t bytes[65507];
    size_t n_gone = 0;

    for (uint64_t id = 1; id <= 100; id++)
        load(id, 5, bytes, 500);
    load(101, 5, bytes, sizeof(bytes));
    cr_assert_leq(quarantine_bytes(q), LIMIT);
    cr_assert_geq(quarantine_count(q), 4);
    cr_assert_eq(quarantine_discarded(q, 5), 101 - quarantine_count(q));
    cr_assert_not_null(quarantine_find(q, 100), "the youngest stay");
    while (quarantine_take_deletion(q) != 0)
        n_gone++;
    cr_assert_eq(n_gone, quarantine_discarded(q, 5));
    cr_assert_null(quarantine_unwritten(q));
}
