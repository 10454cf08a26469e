/* SPDX-License-Identifier: MIT */
/* The store as its callers see it, on a real file system. */
#include "tests/unit/store_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Messages ---- */

Test(store, gives_back_what_was_appended_in_order)
{
    struct fixture f;
    uint64_t n_lost;

    open_fixture(&f);
    cr_assert_eq(append(&f, 7, 1, 500, 256), 0);
    cr_assert_eq(append(&f, 7, 501, 900, 256), 0);
    cr_assert_eq(append(&f, 8, 1, 3, 256), 0);
    cr_assert_eq(read_all(&f, 7, 1, 256, &n_lost), 900);
    cr_assert_eq(n_lost, 0);
    cr_assert_eq(read_all(&f, 7, 450, 256, &n_lost), 451);
    cr_assert_eq(read_all(&f, 8, 1, 256, &n_lost), 3);
    cr_assert_eq(read_all(&f, 9, 1, 256, &n_lost), 0);
    close_fixture(&f);
}

Test(store, takes_messages_of_any_size)
{
    struct fixture f;
    uint64_t n_lost;

    open_fixture(&f);
    cr_assert_eq(append(&f, 1, 1, 10, 0), 0);
    cr_assert_eq(append(&f, 2, 1, 3, 65507), 0);
    cr_assert_eq(append(&f, 3, 1, 1, 1), 0);
    cr_assert_eq(read_all(&f, 1, 1, 0, &n_lost), 10);
    cr_assert_eq(read_all(&f, 2, 1, 65507, &n_lost), 3);
    cr_assert_eq(read_all(&f, 3, 1, 1, &n_lost), 1);
    close_fixture(&f);
}

Test(store, leaves_out_dead_records_and_stops_at_the_end_of_the_chunk)
{
    struct fixture f;
    uint8_t *bytes = aligned_alloc(64, STORE_ROW_BYTES);
    struct store_job job = {.act = STORE_APPEND, .append = {.endpoint = 1, .bytes = bytes}};
    size_t n = 0;
    uint64_t n_lost;

    open_fixture(&f);
    for (uint64_t seq = 1; seq <= 9; seq++)
        n += write_record(bytes + n, seq, 100, seq % 3 == 0 ? RECORD_DEAD : RECORD_MESSAGE);
    n += write_record(bytes + n, 0, 0, RECORD_END);
    memset(bytes + n, 0xff, 64);
    job.append.n_bytes = n + 64;
    cr_assert_eq(run(&f, &job), 0);
    cr_assert_eq(read_all(&f, 1, 1, 100, &n_lost), 6);
    cr_assert_eq(n_lost, 0);
    close_fixture(&f);
    free(bytes);
}

Test(store, refuses_records_that_cannot_be)
{
    struct fixture f;
    _Alignas(64) uint8_t bytes[1024] = {0};
    struct store_job job = {.act = STORE_APPEND,
                            .append = {.endpoint = 1, .bytes = bytes, .n_bytes = 1024}};

    open_fixture(&f);
    cr_assert_eq(run(&f, &job), -EINVAL, "no kind");
    job.append.n_bytes = write_record(bytes, 2, 0, RECORD_MESSAGE);
    job.append.n_bytes += write_record(bytes + 64, 2, 0, RECORD_MESSAGE);
    cr_assert_eq(run(&f, &job), -EINVAL, "the same number twice");
    write_record(bytes, 1, 200, RECORD_MESSAGE);
    job.append.n_bytes = 192;
    cr_assert_eq(run(&f, &job), -EINVAL, "cut off");
    cr_assert_eq(store_state(f.store), STORE_OPEN);
    cr_assert_eq(append(&f, 1, 1, 5, 10), 0, "it goes on");
    close_fixture(&f);
}

Test(store, leaves_out_what_it_has_already)
{
    struct fixture f;
    uint64_t n_lost;

    open_fixture(&f);
    cr_assert_eq(append(&f, 1, 10, 20, 50), 0);
    cr_assert_eq(append(&f, 1, 15, 30, 50), 0);
    cr_assert_eq(append(&f, 1, 10, 30, 50), 0);
    cr_assert_eq(append(&f, 1, 1, 9, 50), 0, "older ones that come later");
    cr_assert_eq(read_all(&f, 1, 1, 50, &n_lost), 30);
    close_fixture(&f);
}

Test(store, trims_rows_that_are_wholly_released)
{
    struct fixture f;
    uint64_t n_lost;

    open_fixture(&f);
    for (uint64_t i = 0; i < 200; i++)
        cr_assert_eq(append(&f, 1, i * 10 + 1, i * 10 + 10, 50), 0);
    cr_assert_eq(trim(&f, 1, 1505), 0);
    cr_assert_eq(read_all(&f, 1, 1, 50, &n_lost), 500, "the row with 1505 is there whole");
    cr_assert_eq(read_all(&f, 1, 1506, 50, &n_lost), 495);
    cr_assert_eq(trim(&f, 1, 2000), 0);
    cr_assert_eq(read_all(&f, 1, 1, 50, &n_lost), 0);
    close_fixture(&f);
}

Test(store, tells_a_reader_what_is_finished)
{
    struct fixture f;
    int status;

    open_fixture(&f);
    cr_assert_eq(append(&f, 1, 1, 10, 50), 0);
    cr_assert_eq(read_from(&f, 1, 1, &status).released, 0);
    cr_assert_eq(trim(&f, 1, 4), 0);
    cr_assert_eq(read_from(&f, 1, 1, &status).released, 4);
    cr_assert_eq(read_from(&f, 2, 1, &status).released, 0);
    close_fixture(&f);
}

Test(store, forgets_an_endpoint_with_all_that_it_has)
{
    struct fixture f;
    struct store_job job = {.act = STORE_FORGET, .forget = 1};
    uint64_t n_lost;

    open_fixture(&f);
    for (uint64_t i = 0; i < 150; i++)
        cr_assert_eq(append(&f, 1, i * 10 + 1, i * 10 + 10, 50), 0);
    cr_assert_eq(append(&f, 2, 1, 10, 50), 0);
    cr_assert_eq(run(&f, &job), 0);
    cr_assert_eq(read_all(&f, 1, 1, 50, &n_lost), 0);
    cr_assert_eq(read_all(&f, 2, 1, 50, &n_lost), 10);
    close_fixture(&f);
}

Test(store, drops_rows_that_are_too_old)
{
    struct fixture f;
    struct store_job job = {.act = STORE_DROP_OLDEST,
                            .drop_oldest = {.endpoint = 1, .older_than_ns = 25 * 1000}};
    uint64_t n_lost;

    open_fixture(&f);
    for (uint64_t i = 0; i < 5; i++)
        cr_assert_eq(append(&f, 1, i * 10 + 1, i * 10 + 10, 50), 0);
    cr_assert_eq(run(&f, &job), 0);
    cr_assert_eq(job.drop_oldest.last_seq, 20, "the row of 21 to 30 has younger ones");
    cr_assert_eq(read_all(&f, 1, 1, 50, &n_lost), 30);
    job.drop_oldest = (struct store_drop_oldest){.endpoint = 1, .older_than_ns = 25 * 1000};
    cr_assert_eq(run(&f, &job), 0);
    cr_assert_eq(job.drop_oldest.last_seq, 0);
    close_fixture(&f);
}

Test(store, reads_many_small_rows_at_once)
{
    struct fixture f;
    struct store_read read;
    int status;

    open_fixture(&f);
    for (uint64_t i = 1; i <= 100; i++)
        cr_assert_eq(append(&f, 1, i, i, 50), 0);
    read = read_from(&f, 1, 1, &status);
    cr_assert_eq(status, 0);
    cr_assert_eq(read.n, 100);
    cr_assert_eq(read.last_seq, 100);
    close_fixture(&f);
}

/* ---- What is there after a restart ---- */

struct found {
    struct store_spooled spooled[4];
    size_t n_spooled;
    size_t n_ids;
    uint8_t ids[16];
    uint64_t ids_of;
    char names[4][16];
    uint64_t numbers[4];
    size_t n_registrations;
    struct store_rejected rejected;
    uint8_t rejected_bytes[16];
    size_t n_rejected;
};

static int find_registration(void *context, const struct store_registration *r)
{
    struct found *found = context;

    found->numbers[found->n_registrations] = r->number;
    cr_assert_eq(r->n_bytes, 2);
    cr_assert_arr_eq(r->bytes, "{}", 2);
    snprintf(found->names[found->n_registrations++], 16, "%s", r->name);
    return 0;
}

static int find_spooled(void *context, const struct store_spooled *s)
{
    struct found *found = context;

    found->spooled[found->n_spooled++] = *s;
    return 0;
}

static int find_ids(void *context, uint64_t endpoint, int64_t time_ns, const uint8_t *ids, size_t n)
{
    struct found *found = context;

    cr_assert(time_ns > 0 && n <= sizeof(found->ids));
    memcpy(found->ids, ids, n);
    found->n_ids = n;
    found->ids_of = endpoint;
    return 0;
}

static int find_rejected(void *context, const struct store_rejected *r)
{
    struct found *found = context;

    found->rejected = *r;
    cr_assert_str_eq(r->name, "one");
    cr_assert_str_eq(r->reason, "invalid_json");
    memcpy(found->rejected_bytes, r->bytes, r->n_bytes);
    found->n_rejected++;
    return 0;
}

static void load(struct fixture *f, struct found *found)
{
    struct store_loader loader = {.context = found,
                                  .registration = find_registration,
                                  .spooled = find_spooled,
                                  .remembered = find_ids,
                                  .rejected = find_rejected};

    memset(found, 0, sizeof(*found));
    cr_assert_eq(store_load(f->store, &loader), 0);
    start(f);
}

Test(store, tells_after_a_restart_what_is_spooled)
{
    struct fixture f;
    struct found found;

    open_fixture(&f);
    cr_assert_eq(append(&f, 5, 1, 100, 50), 0);
    cr_assert_eq(append(&f, 5, 101, 200, 50), 0);
    cr_assert_eq(append(&f, 6, 11, 20, 50), 0);
    cr_assert_eq(trim(&f, 5, 130), 0);
    cr_assert_eq(trim(&f, 6, 20), 0);
    reopen(&f);
    load(&f, &found);
    cr_assert_eq(found.n_spooled, 2);
    cr_assert_eq(found.spooled[0].endpoint, 5);
    cr_assert_eq(found.spooled[0].released, 130);
    cr_assert_eq(found.spooled[0].first_seq, 131);
    cr_assert_eq(found.spooled[0].last_seq, 200);
    cr_assert_eq(found.spooled[0].n, 70);
    cr_assert_eq(found.spooled[0].bytes, 70 * record_bytes(50));
    cr_assert_eq(found.spooled[0].newest_ns, 200 * 1000);
    cr_assert_eq(found.spooled[0].n_missing, 0);
    cr_assert_eq(found.spooled[1].endpoint, 6);
    cr_assert_eq(found.spooled[1].released, 20, "numbers go on behind it");
    cr_assert_eq(found.spooled[1].n, 0);
    cr_assert_eq(found.spooled[1].last_seq, 0);
    close_fixture(&f);
}

Test(store, keeps_registrations_ids_and_the_quarantine)
{
    struct fixture f;
    struct found found;
    struct store_job one = {
        .act = STORE_PUT_REGISTRATION,
        .registration = {.number = 3, .name = "one", .bytes = "{}", .n_bytes = 2}};
    struct store_job two = {
        .act = STORE_PUT_REGISTRATION,
        .registration = {.number = 4, .name = "two", .bytes = "{}", .n_bytes = 2}};
    struct store_job gone = {.act = STORE_DELETE_REGISTRATION, .registration = {.number = 4}};
    struct store_job ids = {.act = STORE_APPEND,
                            .append = {.endpoint = 3, .ids = (const uint8_t *)"abc", .n_ids = 3}};
    struct store_job bad = {.act = STORE_PUT_REJECTED,
                            .rejected = {.id = 12,
                                         .uid = 1000,
                                         .name = "one",
                                         .reason = "invalid_json",
                                         .time_ns = 99,
                                         .bytes = (const uint8_t *)"{",
                                         .n_bytes = 1}};
    struct store_job worse = {.act = STORE_PUT_REJECTED, .rejected = bad.rejected};
    struct store_job away = {.act = STORE_DELETE_REJECTED, .rejected = {.id = 13}};

    open_fixture(&f);
    cr_assert_eq(address_parse("[::1]:7", &bad.rejected.from), 0);
    worse.rejected.id = 13;
    cr_assert_eq(run(&f, &one), 0);
    cr_assert_eq(run(&f, &two), 0);
    cr_assert_eq(run(&f, &gone), 0);
    cr_assert_eq(run(&f, &ids), 0);
    cr_assert_eq(run(&f, &bad), 0);
    cr_assert_eq(run(&f, &worse), 0);
    cr_assert_eq(run(&f, &away), 0);
    reopen(&f);
    load(&f, &found);
    cr_assert_eq(found.n_registrations, 1);
    cr_assert_eq(found.numbers[0], 3);
    cr_assert_str_eq(found.names[0], "one");
    cr_assert_eq(found.n_ids, 3);
    cr_assert_eq(found.ids_of, 3);
    cr_assert_arr_eq(found.ids, "abc", 3);
    cr_assert_eq(found.n_rejected, 1);
    cr_assert_eq(found.rejected.id, 12);
    cr_assert_eq(found.rejected.uid, 1000);
    cr_assert_eq(found.rejected.time_ns, 99);
    cr_assert(address_equal(&found.rejected.from, &bad.rejected.from));
    cr_assert_eq(found.rejected.n_bytes, 1);
    cr_assert_eq(found.rejected_bytes[0], '{');
    close_fixture(&f);
}

Test(store, never_gives_a_number_twice)
{
    struct fixture f;
    uint64_t last;

    open_fixture(&f);
    last = store_next_number(f.store);
    cr_assert_eq(store_next_number(f.store), last + 1);
    for (int i = 0; i < 3; i++) {
        uint64_t next;

        reopen(&f);
        start(&f);
        next = store_next_number(f.store);
        cr_assert(next > last + 1);
        last = next;
    }
    close_fixture(&f);
}

/* ---- Who may open it ---- */

Test(store, is_one_daemon_s_alone)
{
    struct fixture f;
    struct store *second;

    open_fixture(&f);
    cr_assert_eq(store_open(&second, &f.options), -EBUSY);
    cr_assert_eq(append(&f, 1, 1, 1, 1), 0);
    close_fixture(&f);
}

static void poke(const struct fixture *f, off_t at, const void *bytes, size_t n)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/msgd.db", f->directory);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_assert(fd >= 0 && pwrite(fd, bytes, n, at) == (ssize_t)n);
    close(fd);
}

Test(store, refuses_a_version_that_it_does_not_know)
{
    struct fixture f;

    open_fixture(&f);
    stop(&f);
    cr_assert_eq(store_check(f.directory), 0);
    poke(&f, 60, "\0\0\0\3", 4);
    cr_assert_eq(store_check(f.directory), -EPROTONOSUPPORT);
    cr_assert_eq(store_open(&f.store, &f.options), -EPROTONOSUPPORT);
    poke(&f, 60, "\0\0\0\2", 4);
    cr_assert_eq(store_check(f.directory), 0);
    cr_assert_eq(store_open(&f.store, &f.options), 0);
    start(&f);
    close_fixture(&f);
}

Test(store, refuses_what_is_no_database)
{
    struct fixture f;

    open_fixture(&f);
    stop(&f);
    poke(&f, 0, "something else", 14);
    cr_assert_eq(store_check(f.directory), -EUCLEAN);
    cr_assert_eq(store_open(&f.store, &f.options), -EUCLEAN);
    poke(&f, 0, "SQLite format 3", 16);
    cr_assert_eq(store_open(&f.store, &f.options), 0);
    start(&f);
    close_fixture(&f);
}

/* ---- Room ---- */

/* A small one, filled up with messages of endpoint 1. Returns the last one's seq. */
static uint64_t open_full(struct fixture *f)
{
    uint64_t last = 0;

    open_fixture(f);
    store_set_limits(f->store, STORE_MIN_BYTES, 0);
    while (store_has_room(f->store)) {
        cr_assert_eq(append(f, 1, last + 1, last + 100, 2000), 0);
        last += 100;
        cr_assert(last < 10000, "it fills");
    }
    return last;
}

/* The same 100 messages for n endpoints, from `first` on; bytes: room for them. */
static void post_appends(struct fixture *f, struct store_job *jobs, uint64_t n, uint64_t first,
                         uint8_t *bytes)
{
    size_t n_bytes = 0;

    for (uint64_t seq = 1; seq <= 100; seq++)
        n_bytes += write_record(bytes + n_bytes, seq, 2000, RECORD_MESSAGE);
    for (uint64_t i = 0; i < n; i++) {
        jobs[i] = (struct store_job){
            .act = STORE_APPEND,
            .append = {.endpoint = first + i, .bytes = bytes, .n_bytes = n_bytes}};
        post(f, &jobs[i]);
    }
}

Test(store, refuses_at_its_bound_and_drains)
{
    struct fixture f;
    struct store_info info;
    uint64_t last = open_full(&f), n_lost;

    store_info(f.store, &info);
    cr_assert_eq(info.state, STORE_FULL);
    cr_assert_eq(info.error, 0);
    cr_assert(info.file_bytes <= STORE_MIN_BYTES);
    cr_assert_eq(read_all(&f, 1, 1, 2000, &n_lost), last);
    cr_assert_eq(trim(&f, 1, last), 0);
    cr_assert(store_has_room(f.store));
    cr_assert_eq(append(&f, 1, last + 1, last + 100, 2000), 0);
    close_fixture(&f);
}

Test(store, lets_appends_wait_until_there_is_room)
{
    struct fixture f;
    uint8_t *bytes = aligned_alloc(64, STORE_ROW_BYTES);
    struct store_job jobs[60] = {0};
    uint64_t last = open_full(&f), n_lost;

    post_appends(&f, jobs, 30, 100, bytes);
    cr_assert_eq(trim(&f, 1, last / 2), 0, "releases are not held up by them");
    cr_assert_eq(read_all(&f, 1, last / 2 + 1, 2000, &n_lost), last - last / 2);
    cr_assert_eq(trim(&f, 1, last), 0);
    for (uint64_t i = 0; i < 30; i++) {
        struct store_job done = {.act = STORE_TRIM, .trim = {.endpoint = 100 + i, .up_to = 100}};

        wait_for(&f, &jobs[i]);
        cr_assert_eq(jobs[i].status, 0);
        cr_assert_eq(read_all(&f, 100 + i, 1, 2000, &n_lost), 100);
        cr_assert_eq(run(&f, &done), 0);
    }
    close_fixture(&f);
    free(bytes);
}

Test(store, keeps_no_port_open_for_rejected_datagrams_without_room)
{
    static uint8_t bytes[65000];
    struct fixture f;
    struct store_job jobs[40] = {0};
    size_t n_cancelled = 0;

    (void)open_full(&f);
    for (size_t i = 0; i < 40; i++) {
        jobs[i] = (struct store_job){.act = STORE_PUT_REJECTED,
                                     .rejected = {.id = i + 1,
                                                  .name = "one",
                                                  .reason = "invalid_json",
                                                  .bytes = bytes,
                                                  .n_bytes = sizeof(bytes)}};
        post(&f, &jobs[i]);
    }
    close_fixture(&f);
    for (size_t i = 0; i < 40; i++)
        n_cancelled += jobs[i].status == -ECANCELED;
    cr_assert_gt(n_cancelled, 0);
}

Test(store, cancels_what_waits_when_its_endpoint_is_forgotten_or_its_port_closes)
{
    struct fixture f;
    uint8_t *bytes = aligned_alloc(64, STORE_ROW_BYTES);
    struct store_job jobs[40] = {0};
    struct store_job forget = {.act = STORE_FORGET, .forget = 60 + 39};

    (void)open_full(&f);
    post_appends(&f, jobs, 40, 60, bytes);
    cr_assert_eq(run(&f, &forget), 0);
    wait_for(&f, &jobs[39]);
    cr_assert_eq(jobs[39].status, -ECANCELED);
    close_fixture(&f);
    cr_assert_eq(jobs[38].status, -ECANCELED);
    cr_assert_null(jobs[38].context);
    free(bytes);
}
