/* SPDX-License-Identifier: MIT */
/* Rows that are damaged: what of them is read, and what is kept. */
#include "tests/unit/store_by_hand.h"

static void damage(struct fixture *f, const char *text)
{
    stop(f);
    (void)by_hand(f, text);
    cr_assert_eq(store_open(&f->store, &f->options), 0);
    start(f);
}

Test(store_damage, good_records_of_a_damaged_row_are_read_and_the_row_is_kept)
{
    struct fixture f;
    uint64_t n_lost;

    open_fixture(&f);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert_eq(append(&f, 1, i * 10 + 1, i * 10 + 10, 50), 0);
    /* One byte in the payload of the second record. */
    damage(&f, "UPDATE chunk SET content = CAST(substr(content, 1, 200) || x'ff' ||"
               " substr(content, 202) AS BLOB) WHERE first = 11");
    cr_assert_eq(read_all(&f, 1, 1, 50, &n_lost), 29);
    cr_assert_eq(n_lost, 1);
    cr_assert_eq(damaged_rows(&f), 1);
    cr_assert_eq(read_all(&f, 1, 1, 50, &n_lost), 29, "as often as it is read");
    cr_assert_eq(damaged_rows(&f), 1, "it is one row");
    cr_assert_eq(trim(&f, 1, 30), 0);
    stop(&f);
    cr_assert_eq(by_hand(&f, "SELECT length(content) FROM damaged WHERE endpoint = 1 AND first = 11"
                             " AND last = 20 AND n = 10"),
                 10 * record_bytes(50));
    cr_assert_eq(store_open(&f.store, &f.options), 0);
    start(&f);
    cr_assert_eq(damaged_rows(&f), 1, "over restarts");
    close_fixture(&f);
}

Test(store_damage, of_a_row_that_is_released_in_part_the_rest_counts)
{
    static const struct {
        const char *name;
        uint64_t released;
        uint64_t n, n_lost;
    } cases[] = {
        {"the damaged one is released", 12, 8, 0},
        {"it is the first one that is not", 11, 8, 1},
        {"it is in the middle", 10, 9, 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;
        uint64_t n_lost;

        open_fixture(&f);
        cr_assert_eq(append(&f, 1, 1, 10, 50), 0);
        cr_assert_eq(append(&f, 1, 11, 20, 50), 0);
        cr_assert_eq(trim(&f, 1, cases[i].released), 0);
        damage(&f, "UPDATE chunk SET content = CAST(substr(content, 1, 200) || x'ff' ||"
                   " substr(content, 202) AS BLOB) WHERE first = 11"); /* 12 */
        cr_assert_eq(read_all(&f, 1, cases[i].released + 1, 50, &n_lost), cases[i].n, "%s",
                     cases[i].name);
        cr_assert_eq(n_lost, cases[i].n_lost, "%s", cases[i].name);
        close_fixture(&f);
    }
}

Test(store_damage, contents_are_kept_up_to_a_part_of_the_bound)
{
    struct fixture f;
    int64_t n_bytes;
    uint64_t n_lost;

    open_fixture(&f);
    for (uint64_t i = 0; i < 8; i++)
        cr_assert_eq(append(&f, 1, i * 50 + 1, i * 50 + 50, 2000), 0);
    f.options.max_bytes = STORE_MIN_BYTES;
    damage(&f, "UPDATE chunk SET content = zeroblob(length(content))");
    cr_assert_eq(read_all(&f, 1, 1, 2000, &n_lost), 0);
    cr_assert_eq(n_lost, 400);
    cr_assert_eq(damaged_rows(&f), 8);
    stop(&f);
    n_bytes = by_hand(&f, "SELECT total(length(content)) FROM damaged");
    cr_assert(n_bytes > 0 && n_bytes <= (int64_t)STORE_MIN_BYTES / 20, "%" PRId64, n_bytes);
    cr_assert_eq(by_hand(&f, "SELECT count(*) FROM damaged"), 8);
    cr_assert_eq(store_open(&f.store, &f.options), 0);
    start(&f);
    close_fixture(&f);
}

Test(store_damage, rows_beyond_the_bound_are_counted_alone)
{
    struct fixture f;
    uint8_t *bytes = aligned_alloc(64, 5000 * 128);
    struct store_job *jobs = calloc(5000, sizeof(*jobs));
    uint64_t n_lost;

    open_fixture(&f);
    for (uint64_t i = 0; i < 5000; i++) {
        jobs[i] = (struct store_job){.act = STORE_APPEND,
                                     .append = {.endpoint = 1, .bytes = bytes + i * 128}};
        jobs[i].append.n_bytes = write_record(bytes + i * 128, i + 1, 50, RECORD_MESSAGE);
        post(&f, &jobs[i]);
    }
    for (uint64_t i = 0; i < 5000; i++)
        wait_for(&f, &jobs[i]);
    damage(&f, "UPDATE chunk SET content = zeroblob(length(content))");
    cr_assert_eq(read_all(&f, 1, 1, 50, &n_lost), 0);
    cr_assert_eq(n_lost, 5000);
    cr_assert_eq(damaged_rows(&f), 5000);
    cr_assert_eq(trim(&f, 1, 5000), 0);
    stop(&f);
    cr_assert_eq(by_hand(&f, "SELECT count(*) FROM damaged"), 4096);
    cr_assert_eq(store_open(&f.store, &f.options), 0);
    start(&f);
    close_fixture(&f);
    free(jobs);
    free(bytes);
}
