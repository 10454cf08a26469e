/* SPDX-License-Identifier: MIT */
/* Deleting in slices, from inside: no thread runs. And as its callers see it. */
#include "daemon/store/store_state.h"
#include "tests/unit/store_fixture.h"

/* ---- From inside ---- */

/* n rows of one message each for endpoint 1; `n_between` rows of endpoint 2 behind each of them. */
static void put_rows(struct store *s, uint64_t n, uint64_t n_between, uint32_t n_payload)
{
    uint8_t *bytes = aligned_alloc(64, STORE_ROW_BYTES);

    cr_assert_eq(database_begin(&s->database, true), 0);
    for (uint64_t seq = 1; seq <= n; seq++) {
        struct store_append a = {.endpoint = 1, .bytes = bytes};

        a.n_bytes = write_record(bytes, seq, n_payload, RECORD_MESSAGE);
        cr_assert_eq(chunks_append(s, &a), 0);
        for (uint64_t i = 1; i <= n_between; i++) {
            a.endpoint = 2;
            a.n_bytes = write_record(bytes, (seq - 1) * n_between + i, n_payload, RECORD_MESSAGE);
            cr_assert_eq(chunks_append(s, &a), 0);
        }
    }
    cr_assert_eq(database_commit(&s->database), 0);
    free(bytes);
}

/* Without a thread; *f is for close_unstarted. */
static struct store *open_unstarted(struct fixture *f)
{
    open_fixture(f);
    reopen(f);
    return f->store;
}

static void close_unstarted(struct fixture *f)
{
    start(f);
    close_fixture(f);
}

static uint64_t n_rows_left(struct store *s, uint64_t endpoint)
{
    char text[80];
    sqlite3_stmt *q;
    uint64_t n;

    snprintf(text, sizeof(text), "SELECT count(*) FROM chunk WHERE endpoint = %" PRIu64, endpoint);
    cr_assert_eq(sqlite3_prepare_v2(s->database.db, text, -1, &q, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(q), SQLITE_ROW);
    n = (uint64_t)sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return n;
}

Test(store_delete, goes_on_behind_its_cursor_slice_by_slice)
{
    struct fixture f;
    struct store *s = open_unstarted(&f);
    uint64_t cursor = 0;

    put_rows(s, 2 * SLICE_ROWS + 10, 0, 10);
    cr_assert_eq(database_begin(&s->database, true), 0);
    s->spendable = INT64_MAX;
    cr_assert_eq(chunks_delete(s, 1, 2 * SLICE_ROWS + 5, &cursor), 1);
    cr_assert_eq(cursor, SLICE_ROWS);
    cr_assert_eq(n_rows_left(s, 1), SLICE_ROWS + 10);
    cr_assert_eq(chunks_delete(s, 1, 2 * SLICE_ROWS + 5, &cursor), 1, "a whole slice: maybe more");
    cr_assert_eq(chunks_delete(s, 1, 2 * SLICE_ROWS + 5, &cursor), 0);
    cr_assert_eq(n_rows_left(s, 1), 5);
    cr_assert_eq(chunks_delete(s, 1, 2 * SLICE_ROWS + 5, &cursor), 0, "nothing is left of it");
    cr_assert_eq(database_commit(&s->database), 0);
    close_unstarted(&f);
}

Test(store_delete, does_one_row_when_nothing_is_left_to_spend)
{
    struct fixture f;
    struct store *s = open_unstarted(&f);
    uint64_t cursor = 0;

    put_rows(s, 10, 0, 10);
    cr_assert_eq(database_begin(&s->database, true), 0);
    s->spendable = 0;
    cr_assert_eq(chunks_delete(s, 1, 10, &cursor), 1);
    cr_assert_eq(cursor, 1);
    cr_assert_eq(n_rows_left(s, 1), 9);
    cr_assert_eq(database_commit(&s->database), 0);
    close_unstarted(&f);
}

Test(store_delete, takes_fewer_rows_where_they_are_large_or_scattered)
{
    static const struct {
        const char *name;
        uint64_t n_between;
        uint32_t n_payload;
        uint64_t n_least, n_most; /* rows for the price of ten pages */
    } cases[] = {
        {"small ones in a row", 0, 100, 100, SLICE_ROWS},
        {"small ones, a few others in between", 3, 100, 60, 110},
        {"each on a page of its own", 150, 100, 10, 11},
        {"larger than a page", 0, 40000, 10, 11},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;
        struct store *s = open_unstarted(&f);
        uint64_t cursor = 0;

        put_rows(s, SLICE_ROWS, cases[i].n_between, cases[i].n_payload);
        cr_assert_eq(database_begin(&s->database, true), 0);
        s->spendable = INT64_C(10) * DATABASE_PAGE_BYTES;
        cr_assert_eq(chunks_delete(s, 1, SLICE_ROWS, &cursor), 1, "%s", cases[i].name);
        cr_assert(cursor >= cases[i].n_least && cursor <= cases[i].n_most, "%s: %" PRIu64,
                  cases[i].name, cursor);
        cr_assert_eq(n_rows_left(s, 1), SLICE_ROWS - cursor, "%s", cases[i].name);
        cr_assert_eq(database_commit(&s->database), 0);
        close_unstarted(&f);
    }
}

Test(store_delete, drops_what_is_old_slice_by_slice)
{
    struct fixture f;
    struct store *s = open_unstarted(&f);
    struct store_drop_oldest d = {.endpoint = 1, .older_than_ns = (SLICE_ROWS + 5) * 1000};
    uint64_t cursor = 0;

    put_rows(s, 2 * SLICE_ROWS, 0, 10);
    cr_assert_eq(database_begin(&s->database, true), 0);
    s->spendable = INT64_MAX;
    cr_assert_eq(chunks_drop_oldest(s, &d, &cursor), 1);
    cr_assert_eq(cursor, SLICE_ROWS);
    cr_assert_eq(d.last_seq, SLICE_ROWS);
    cr_assert_eq(chunks_drop_oldest(s, &d, &cursor), 0, "the next one is younger");
    cr_assert_eq(d.last_seq, SLICE_ROWS + 4);
    cr_assert_eq(n_rows_left(s, 1), SLICE_ROWS - 4);
    s->spendable = 0;
    d.older_than_ns = INT64_MAX;
    cr_assert_eq(chunks_drop_oldest(s, &d, &cursor), 1, "one row");
    cr_assert_eq(d.last_seq, SLICE_ROWS + 5);
    cr_assert_eq(database_commit(&s->database), 0);
    close_unstarted(&f);
}

/* ---- From outside ---- */

/* n rows of one message each, as fast as they go. */
static void append_rows(struct fixture *f, uint64_t n)
{
    struct store_job *jobs = calloc(n, sizeof(*jobs));
    uint8_t *bytes = aligned_alloc(64, n * 128);

    for (uint64_t i = 0; i < n; i++) {
        jobs[i] = (struct store_job){.act = STORE_APPEND,
                                     .append = {.endpoint = 1, .bytes = bytes + i * 128}};
        jobs[i].append.n_bytes = write_record(bytes + i * 128, i + 1, 50, RECORD_MESSAGE);
        post(f, &jobs[i]);
    }
    for (uint64_t i = 0; i < n; i++)
        wait_for(f, &jobs[i]);
    free(bytes);
    free(jobs);
}

static uint64_t n_commits(struct fixture *f)
{
    struct store_info info;

    store_info(f->store, &info);
    return info.commits;
}

Test(store_delete, trims_many_small_rows_in_few_commits_that_wait_for_nothing)
{
    struct fixture f;
    struct store_job jobs[2] = {{.act = STORE_TRIM, .trim = {.endpoint = 1, .up_to = 20000}},
                                {.act = STORE_FORGET, .forget = 1}};
    uint64_t before;

    open_fixture(&f);
    for (int i = 0; i < 2; i++) {
        append_rows(&f, 20000);
        before = n_commits(&f);
        cr_assert_eq(run(&f, &jobs[i]), 0);
        cr_assert_leq(n_commits(&f) - before, 20);
    }
    close_fixture(&f);
}

/* All at once, so that the thread sees all of them or none. */
static void post_together(struct fixture *f, struct store_job *jobs, size_t n)
{
    uv_mutex_lock(&f->store->lock);
    for (size_t i = 0; i < n; i++) {
        jobs[i].context = f;
        jobs[i].done = on_done;
        jobs[i].port = f->port;
        f->port->n_posted++;
        job_list_append(&f->store->posted, &jobs[i]);
    }
    uv_cond_signal(&f->store->has_posted);
    uv_mutex_unlock(&f->store->lock);
}

Test(store_delete, lets_appends_pass_between_its_slices)
{
    struct fixture f;
    _Alignas(64) uint8_t bytes[128];
    struct store_job jobs[] = {
        {.act = STORE_TRIM, .trim = {.endpoint = 1, .up_to = 20000}},
        {.act = STORE_APPEND, .append = {.endpoint = 2, .bytes = bytes}},
        {.act = STORE_PUT_REGISTRATION,
         .registration = {.number = 2, .name = "a", .bytes = "{}", .n_bytes = 2}}};
    uint64_t n_lost;

    open_fixture(&f);
    append_rows(&f, 20000);
    jobs[1].append.n_bytes = write_record(bytes, 1, 50, RECORD_MESSAGE);
    post_together(&f, jobs, 3);
    f.n_done = 0;
    wait_for(&f, &jobs[0]);
    cr_assert_eq(jobs[0].status, 0);
    cr_assert_eq(f.n_done, 3, "the others came before it");
    cr_assert_eq(read_all(&f, 1, 1, 50, &n_lost), 0);
    cr_assert_eq(read_all(&f, 2, 1, 50, &n_lost), 1);
    close_fixture(&f);
}
