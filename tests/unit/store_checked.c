/* SPDX-License-Identifier: MIT */
/* Rows with a checksum: registrations, endpoints, ids, quarantine; and databases that have none. */
#include "tests/unit/store_by_hand.h"

#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

/* What a store that starts tells, as text. */
struct told {
    char text[600];
};

static void add(struct told *told, const char *format, ...)
{
    size_t n = strlen(told->text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(told->text + n, sizeof(told->text) - n, format, arguments);
    va_end(arguments);
}

static int on_registration(void *context, const struct store_registration *r)
{
    add(context, "%" PRIu64 " %s %.*s; ", r->number, r->name, (int)r->n_bytes,
        (const char *)r->bytes);
    return 0;
}

static int on_spooled(void *context, const struct store_spooled *s)
{
    add(context, "%" PRIu64 ": %" PRIu64 " above %" PRIu64 ", %" PRIu64 " missing; ", s->endpoint,
        s->n, s->released, s->n_missing);
    return 0;
}

static int on_ids(void *context, uint64_t endpoint, int64_t time_ns, const uint8_t *ids, size_t n)
{
    (void)time_ns;
    add(context, "ids of %" PRIu64 " %.*s; ", endpoint, (int)n, (const char *)ids);
    return 0;
}

static int on_rejected(void *context, const struct store_rejected *r)
{
    add(context, "%" PRIu64 " uid %u %s %s %.*s; ", r->id, (unsigned)r->uid, r->name, r->reason,
        (int)r->n_bytes, (const char *)r->bytes);
    return 0;
}

static const char *tell(struct fixture *f, struct told *told)
{
    struct store_loader loader = {.context = told,
                                  .registration = on_registration,
                                  .spooled = on_spooled,
                                  .remembered = on_ids,
                                  .rejected = on_rejected};

    told->text[0] = '\0';
    cr_assert_eq(store_open(&f->store, &f->options), 0);
    cr_assert_eq(store_load(f->store, &loader), 0);
    return told->text;
}

static void do_job(struct fixture *f, struct store_job job)
{
    cr_assert_eq(run(f, &job), 0);
}

static void put_rejected(struct fixture *f, uint64_t id)
{
    do_job(f, (struct store_job){.act = STORE_PUT_REJECTED,
                                 .rejected = {.id = id,
                                              .uid = 1000,
                                              .name = "one",
                                              .reason = "invalid_json",
                                              .bytes = (const uint8_t *)"{",
                                              .n_bytes = 1}});
}

static void put_registration(struct fixture *f, uint64_t number, const char *name)
{
    do_job(f, (struct store_job){
                  .act = STORE_PUT_REGISTRATION,
                  .registration = {
                      .number = number, .name = name, .bytes = "{\"uid\":1000}", .n_bytes = 12}});
}

static void remember(struct fixture *f, uint64_t endpoint, const char *ids)
{
    do_job(f, (struct store_job){.act = STORE_APPEND,
                                 .append = {.endpoint = endpoint,
                                            .ids = (const uint8_t *)ids,
                                            .n_ids = strlen(ids)}});
}

/* Two of everything; the rows of endpoints have been changed as well as made. */
static void fill(struct fixture *f)
{
    open_fixture(f);
    put_registration(f, 3, "one");
    put_registration(f, 4, "two");
    cr_assert_eq(append(f, 3, 1, 10, 50), 0);
    cr_assert_eq(append(f, 3, 11, 20, 50), 0);
    cr_assert_eq(append(f, 4, 1, 5, 50), 0);
    cr_assert_eq(trim(f, 3, 12), 0);
    cr_assert_eq(trim(f, 4, 2), 0);
    remember(f, 3, "abc");
    remember(f, 4, "def");
    put_rejected(f, 12);
    put_rejected(f, 13);
    stop(f);
}

#define REGISTRATIONS "3 one {\"uid\":1000}; 4 two {\"uid\":1000}; "
#define SPOOLED       "3: 8 above 12, 0 missing; 4: 3 above 2, 0 missing; "
#define IDS           "ids of 3 abc; ids of 4 def; "
#define REJECTED      "12 uid 1000 one invalid_json {; 13 uid 1000 one invalid_json {; "

static const struct {
    const char *damage;
    const char *told;
    const char *set_aside; /* answers 1 */
} cases[] = {
    {"UPDATE meta SET next_number = next_number", REGISTRATIONS SPOOLED IDS REJECTED, "SELECT 1"},
    /* Whose it is must not be guessed. */
    {"UPDATE registration SET content = '{\"uid\":1001}' WHERE number = 3",
     "4 two {\"uid\":1000}; " SPOOLED IDS REJECTED,
     "SELECT origin = 'registration' AND key = 3 AND CAST(content AS TEXT) LIKE hex('one') || ',' "
     "||"
     " hex('{\"uid\":1001}') || ',%' FROM damaged_row"},
    {"UPDATE registration SET name = 'onf' WHERE number = 3",
     "4 two {\"uid\":1000}; " SPOOLED IDS REJECTED, "SELECT key = 3 FROM damaged_row"},
    {"UPDATE registration SET number = 7 WHERE number = 3",
     "4 two {\"uid\":1000}; " SPOOLED IDS REJECTED, "SELECT key = 7 FROM damaged_row"},
    {"UPDATE registration SET crc = 0 WHERE number = 4",
     "3 one {\"uid\":1000}; " SPOOLED IDS REJECTED, "SELECT key = 4 FROM damaged_row"},
    /* What there is comes again, rather than that anything is passed over. */
    {"UPDATE endpoint SET released = 100 WHERE number = 3",
     REGISTRATIONS "4: 3 above 2, 0 missing; 3: 10 above 0, 0 missing; " IDS REJECTED,
     "SELECT origin = 'endpoint' AND key = 3 AND CAST(content AS TEXT) LIKE '100,10,%' FROM "
     "damaged_row"},
    {"UPDATE endpoint SET n = 1000 WHERE number = 4",
     REGISTRATIONS "3: 8 above 12, 0 missing; 4: 5 above 0, 0 missing; " IDS REJECTED,
     "SELECT key = 4 FROM damaged_row"},
    {"UPDATE endpoint SET number = 9 WHERE number = 4",
     REGISTRATIONS "3: 8 above 12, 0 missing; 4: 5 above 0, 0 missing; " IDS REJECTED,
     "SELECT key = 9 FROM damaged_row"},
    {"UPDATE remembered SET endpoint = 4 WHERE endpoint = 3",
     REGISTRATIONS SPOOLED "ids of 4 def; " REJECTED,
     "SELECT origin = 'remembered' AND key = 1 FROM damaged_row"},
    {"UPDATE remembered SET ids = CAST('abd' AS BLOB) WHERE endpoint = 3",
     REGISTRATIONS SPOOLED "ids of 4 def; " REJECTED, "SELECT key = 1 FROM damaged_row"},
    {"UPDATE quarantine SET uid = 1001 WHERE id = 13",
     REGISTRATIONS SPOOLED IDS "12 uid 1000 one invalid_json {; ",
     "SELECT origin = 'quarantine' AND key = 13 FROM damaged_row"},
    {"UPDATE quarantine SET content = x'7d' WHERE id = 13",
     REGISTRATIONS SPOOLED IDS "12 uid 1000 one invalid_json {; ",
     "SELECT CAST(content AS TEXT) LIKE '%,7D,%' FROM damaged_row"},
};

Test(store_checked, a_damaged_row_is_set_aside_counted_and_not_told_of)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool is_damage = strstr(cases[i].set_aside, "damaged_row") != NULL;
        struct fixture f;
        struct told first, again;

        fill(&f);
        (void)by_hand(&f, cases[i].damage);
        cr_assert_str_eq(tell(&f, &first), cases[i].told, "%s: %s", cases[i].damage, first.text);
        cr_assert_eq(damaged_rows(&f), is_damage, "%s", cases[i].damage);
        f.store = store_stop(f.store);
        cr_assert_eq(by_hand(&f, cases[i].set_aside), 1, "%s", cases[i].damage);
        tell(&f, &again);
        cr_assert_eq(damaged_rows(&f), is_damage, "%s: it is one row", cases[i].damage);
        cr_assert_eq(strlen(again.text), strlen(first.text), "%s: %s", cases[i].damage, again.text);
        start(&f);
        close_fixture(&f);
    }
}

Test(store_checked, an_endpoint_whose_row_was_damaged_goes_on_and_is_counted_again)
{
    struct fixture f;
    struct told told;
    uint64_t n_lost;

    fill(&f);
    (void)by_hand(&f, "UPDATE endpoint SET released = 100 WHERE number = 3");
    tell(&f, &told);
    start(&f);
    cr_assert_eq(read_all(&f, 3, 1, 50, &n_lost), 10);
    cr_assert_eq(append(&f, 3, 21, 30, 50), 0);
    cr_assert_eq(trim(&f, 3, 20), 0);
    stop(&f);
    (void)by_hand(&f, "DELETE FROM chunk WHERE endpoint = 4");
    cr_assert_str_eq(tell(&f, &told), REGISTRATIONS
                     "3: 10 above 20, 0 missing; 4: 0 above 2, 5 missing; " IDS REJECTED);
    start(&f);
    close_fixture(&f);
}

/* Nobody mends a row by changing it. */
Test(store_checked, a_row_that_is_damaged_while_it_is_used_stays_so)
{
    struct fixture f;
    struct told told;

    fill(&f);
    (void)by_hand(&f, "UPDATE endpoint SET released = 100 WHERE number = 3");
    cr_assert_eq(store_open(&f.store, &f.options), 0);
    start(&f);
    cr_assert_eq(append(&f, 3, 21, 30, 50), 0);
    cr_assert_eq(trim(&f, 3, 13), 0);
    stop(&f);
    cr_assert_str_eq(tell(&f, &told), REGISTRATIONS
                     "4: 3 above 2, 0 missing; 3: 20 above 0, 0 missing; " IDS REJECTED);
    start(&f);
    close_fixture(&f);
}

Test(store_checked, ten_thousand_damaged_rows_are_counted_and_as_many_kept_as_there_is_room_for)
{
    struct fixture f;
    struct told told;

    open_fixture(&f);
    stop(&f);
    (void)by_hand(&f, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE"
                      " i < 10000) INSERT INTO registration SELECT i, 'a', '{}', 1 FROM n");
    cr_assert_str_eq(tell(&f, &told), "");
    cr_assert_eq(damaged_rows(&f), 10000);
    start(&f);
    stop(&f);
    cr_assert_eq(by_hand(&f, "SELECT count(*) FROM damaged_row"), 4096);
    cr_assert_eq(by_hand(&f, "SELECT count(*) FROM registration"), 10000 - 4096, "the rest stays");
    cr_assert_eq(store_open(&f.store, &f.options), 0);
    start(&f);
    close_fixture(&f);
}

/* A row of which not even the columns can be told apart must not keep the others away. */
Test(store_checked, a_row_that_cannot_be_read_is_stepped_over)
{
    struct fixture f;
    struct told told;
    char path[128];
    uint8_t page[16384];
    int fd;

    fill(&f);
    int64_t at =
        (by_hand(&f, "SELECT rootpage FROM sqlite_schema WHERE name = 'registration'") - 1) *
        (int64_t)sizeof(page);
    snprintf(path, sizeof(path), "%s/msgd.db", f.directory);
    fd = open(path, O_RDWR);
    cr_assert(fd >= 0 && pread(fd, page, sizeof(page), at) == (ssize_t)sizeof(page));
    /* Of the first cell: bytes of the row, its number, and then how long its header is. */
    size_t cell = (size_t)(page[8] << 8 | page[9]);
    cr_assert(page[cell + 1] == 3 && page[cell + 2] == 5, "it is number 3, and of four columns");
    page[cell + 2] = 0x7f;
    cr_assert(pwrite(fd, page, sizeof(page), at) == (ssize_t)sizeof(page));
    close(fd);
    cr_assert_str_eq(tell(&f, &told), "4 two {\"uid\":1000}; " SPOOLED IDS REJECTED, "%s",
                     told.text);
    cr_assert_eq(damaged_rows(&f), 1);
    start(&f);
    put_registration(&f, 5, "three");
    close_fixture(&f);
}

/* ---- Pages ---- */

/* Makes the page of a table or index one that nothing can be read from. */
static void damage_page(const struct fixture *f, const char *name)
{
    char text[100], path[128];
    uint8_t kind = 0xff;
    int fd;

    snprintf(text, sizeof(text), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", name);
    off_t at = (off_t)(by_hand(f, text) - 1) * 16384;
    snprintf(path, sizeof(path), "%s/msgd.db", f->directory);
    fd = open(path, O_RDWR);
    cr_assert(fd >= 0 && pwrite(fd, &kind, 1, at) == 1);
    close(fd);
}

static const struct {
    const char *name;
    const char *told;
} pages[] = {
    {"meta", REGISTRATIONS SPOOLED IDS REJECTED},
    {"endpoint", REGISTRATIONS "3: 10 above 0, 0 missing; 4: 5 above 0, 0 missing; " IDS REJECTED},
    {"chunk_of", REGISTRATIONS SPOOLED IDS REJECTED},
    {"registration", SPOOLED IDS REJECTED},
    {"remembered", REGISTRATIONS SPOOLED REJECTED},
    {"quarantine", REGISTRATIONS SPOOLED IDS},
    {"damaged", REGISTRATIONS SPOOLED IDS REJECTED},
    {"damaged_row", REGISTRATIONS SPOOLED IDS REJECTED},
};

Test(store_checked, a_table_whose_page_is_damaged_is_made_anew_and_all_others_stay)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
        struct fixture f;
        struct told told;

        fill(&f);
        damage_page(&f, pages[i].name);
        cr_assert_str_eq(tell(&f, &told), pages[i].told, "%s: %s", pages[i].name, told.text);
        cr_assert_eq(damaged_rows(&f), 1, "%s", pages[i].name);
        start(&f);
        put_registration(&f, 5, "three");
        put_rejected(&f, 14);
        cr_assert_eq(append(&f, 3, 21, 30, 50), 0);
        cr_assert_eq(trim(&f, 3, 25), 0);
        stop(&f);
        cr_assert_eq(by_hand(&f, "SELECT count(*) FROM damaged_row WHERE key = 0"), 1);
        tell(&f, &told);
        cr_assert_eq(damaged_rows(&f), 1, "%s: once", pages[i].name);
        start(&f);
        close_fixture(&f);
    }
}

/* Nobody loads it before it is written. */
Test(store_checked, a_page_that_is_damaged_is_mended_by_who_writes_there)
{
    static const char *const names[] = {"registration", "quarantine", "endpoint", "remembered_of"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct fixture f;

        fill(&f);
        damage_page(&f, names[i]);
        cr_assert_eq(store_open(&f.store, &f.options), 0);
        start(&f);
        put_registration(&f, 5, "three");
        put_rejected(&f, 14);
        remember(&f, 3, "ghi");
        cr_assert_eq(append(&f, 3, 21, 30, 50), 0);
        cr_assert_eq(damaged_rows(&f), 1, "%s", names[i]);
        close_fixture(&f);
    }
}

/* ---- Versions ---- */

/* What it was before rows had checksums. */
static void make_version_1(const struct fixture *f)
{
    static const char *const texts[] = {
        "ALTER TABLE endpoint DROP COLUMN crc",
        "ALTER TABLE registration DROP COLUMN crc",
        "ALTER TABLE registration RENAME COLUMN content TO text",
        "ALTER TABLE remembered DROP COLUMN crc",
        "ALTER TABLE quarantine DROP COLUMN crc",
        "DROP TABLE damaged_row",
        "PRAGMA user_version = 1",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        (void)by_hand(f, texts[i]);
}

Test(store_checked, a_database_of_version_1_is_brought_up_with_all_that_is_in_it)
{
    struct fixture f;
    struct told told;

    fill(&f);
    make_version_1(&f);
    cr_assert_eq(store_check(f.directory), 0, "a successor may take it over");
    cr_assert_str_eq(tell(&f, &told), REGISTRATIONS SPOOLED IDS REJECTED);
    cr_assert_eq(damaged_rows(&f), 0);
    start(&f);
    put_registration(&f, 5, "three");
    stop(&f);
    cr_assert_eq(by_hand(&f, "PRAGMA user_version"), 2);
    (void)by_hand(&f, "UPDATE registration SET content = '{}' WHERE number = 3");
    cr_assert_str_eq(tell(&f, &told),
                     "4 two {\"uid\":1000}; 5 three {\"uid\":1000}; " SPOOLED IDS REJECTED);
    cr_assert_eq(damaged_rows(&f), 1);
    start(&f);
    close_fixture(&f);
}
