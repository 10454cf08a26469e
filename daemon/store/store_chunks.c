/* SPDX-License-Identifier: MIT */
/* Messages on disk: appending and reading rows of records. */
#include "daemon/base/crash_point.h"
#include "daemon/store/records.h"
#include "daemon/store/store_state.h"

#include <errno.h>
#include <string.h>

/* ---- Appending ---- */

/* The last number on disk among rows that reach into first..last; 0: none does. */
static int find_overlap(struct store *s, uint64_t endpoint, uint64_t first, uint64_t last,
                        uint64_t *out)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_OVERLAP);
    int r;

    sqlite3_bind_int64(q, 1, (sqlite3_int64)endpoint);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)first);
    sqlite3_bind_int64(q, 3, (sqlite3_int64)last);
    r = database_step(&s->database, SQL_OVERLAP);
    if (r > 0)
        *out = (uint64_t)sqlite3_column_int64(q, 0);
    database_reset(&s->database, SQL_OVERLAP);
    return r < 0 ? r : 0;
}

int chunks_count(struct store *s, uint64_t endpoint, int64_t n)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_COUNT);

    sqlite3_bind_int64(q, 1, (sqlite3_int64)endpoint);
    sqlite3_bind_int64(q, 2, n);
    return database_run(&s->database, SQL_COUNT);
}

static int insert_row(struct store *s, uint64_t endpoint, const struct records_summary *row)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_APPEND);

    sqlite3_bind_int64(q, 1, (sqlite3_int64)endpoint);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)row->first);
    sqlite3_bind_int64(q, 3, (sqlite3_int64)row->last);
    sqlite3_bind_int64(q, 4, row->n);
    sqlite3_bind_int64(q, 5, (sqlite3_int64)row->bytes);
    sqlite3_bind_int64(q, 6, row->oldest_ns);
    sqlite3_bind_int64(q, 7, row->newest_ns);
    sqlite3_bind_int64(q, 8, records_summary_crc(row, endpoint));
    sqlite3_bind_blob(q, 9, s->row, (int)row->bytes, SQLITE_STATIC);
    return database_run(&s->database, SQL_APPEND);
}

static int remember(struct store *s, const struct store_append *a)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_REMEMBER);

    sqlite3_bind_int64(q, 1, (sqlite3_int64)a->endpoint);
    sqlite3_bind_int64(q, 2, wall_ns());
    sqlite3_bind_blob(q, 3, a->ids, (int)a->n_ids, SQLITE_STATIC);
    s->n_remembered++;
    return database_run(&s->database, SQL_REMEMBER);
}

int chunks_append(struct store *s, const struct store_append *a)
{
    struct records_summary all, row;
    uint64_t above = 0;
    int r = records_look(a->bytes, a->n_bytes, &all);

    if (r == 0 && all.n > 0)
        r = find_overlap(s, a->endpoint, all.first, all.last, &above);
    if (r < 0)
        return r;
    records_gather(a->bytes, a->n_bytes, a->endpoint, above, s->row, &row);
    if (row.n > 0) {
        r = insert_row(s, a->endpoint, &row);
        CRASH_POINT("store.append");
        if (r == 0)
            r = chunks_count(s, a->endpoint, row.n);
        atomic_fetch_add(&s->n_appended, row.n);
    }
    if (r == 0 && a->n_ids > 0) {
        r = remember(s, a);
        CRASH_POINT("store.remember");
    }
    return r;
}

/* ---- Reading ---- */

/* The first row that reaches to `from` or beyond. 1, 0: there is none, -errno. */
static int find_row(struct store *s, uint64_t endpoint, uint64_t from, struct chunk_row *out)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_ROW_FROM);
    int r;

    sqlite3_bind_int64(q, 1, (sqlite3_int64)endpoint);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)from);
    r = database_step(&s->database, SQL_ROW_FROM);
    if (r > 0)
        *out = (struct chunk_row){.id = sqlite3_column_int64(q, 0),
                                  .first = (uint64_t)sqlite3_column_int64(q, 1),
                                  .last = (uint64_t)sqlite3_column_int64(q, 2),
                                  .n = sqlite3_column_int64(q, 3),
                                  .bytes = sqlite3_column_int64(q, 4)};
    database_reset(&s->database, SQL_ROW_FROM);
    return r > 0 && out->last < from ? -EUCLEAN : r;
}

/* The row's good records into the buffer. Returns how many of the row there are; -errno. */
static int64_t read_row(struct store *s, struct store_read *read, const struct chunk_row *row)
{
    struct records_sink sink = {.bytes = read->bytes + read->n_bytes,
                                .capacity = read->capacity - read->n_bytes,
                                .from_seq = read->from_seq,
                                .first = row->first,
                                .last = row->last};
    sqlite3_stmt *q = database_get(&s->database, SQL_CONTENT);
    int64_t n_good = 0;
    int r;

    sqlite3_bind_int64(q, 1, row->id);
    r = database_step(&s->database, SQL_CONTENT);
    if (r > 0) {
        const void *content = sqlite3_column_blob(q, 0);
        int n_bytes = sqlite3_column_bytes(q, 0);

        r = sqlite3_errcode(s->database.db) == SQLITE_NOMEM ? -ENOMEM : 0;
        if (r == 0 && content != NULL)
            n_good = (int64_t)records_check(content, (size_t)n_bytes, read->endpoint, &sink);
    }
    database_reset(&s->database, SQL_CONTENT);
    read->n_bytes += sink.n_bytes;
    read->n += sink.n;
    return r < 0 ? r : n_good;
}

/* How many damaged ones of a row have from_seq or a later number, where n_good of all its records
 * are good, and n_here of those. Before from_seq there may be damaged ones too: not more than
 * numbers are missing behind it. */
static uint64_t lost_of(const struct chunk_row *row, uint64_t from_seq, int64_t n_good,
                        uint32_t n_here)
{
    uint64_t n_lost = row->n > n_good ? (uint64_t)(row->n - (n_good > 0 ? n_good : 0)) : 0;
    uint64_t n_numbers = row->last + 1 - from_seq;
    uint64_t n_missing = n_numbers > n_here ? n_numbers - n_here : 0;

    return row->first >= from_seq || n_lost < n_missing ? n_lost : n_missing;
}

/* Is the row that has its content the one that the index means? */
static bool is_agreed(struct store *s, uint64_t endpoint, const struct chunk_row *row)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_IS_ROW);
    int r;

    sqlite3_bind_int64(q, 1, row->id);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)endpoint);
    sqlite3_bind_int64(q, 3, (sqlite3_int64)row->last);
    r = database_step(&s->database, SQL_IS_ROW);
    database_reset(&s->database, SQL_IS_ROW);
    return r != 0;
}

/* From where to where it has something on disk; 0: nothing is known of it. */
static void find_reach(struct store *s, struct store_read *read)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_REACH);

    read->released = read->newest_seq = 0;
    sqlite3_bind_int64(q, 1, (sqlite3_int64)read->endpoint);
    if (database_step(&s->database, SQL_REACH) > 0) {
        read->released = (uint64_t)sqlite3_column_int64(q, 0);
        read->newest_seq = (uint64_t)sqlite3_column_int64(q, 1);
    }
    database_reset(&s->database, SQL_REACH);
}

/* -EUCLEAN: something in the index is wrong. is_last: that is taken as it is. */
static int read_rows(struct store *s, struct store_read *read, bool is_last)
{
    uint64_t from = read->from_seq;
    struct chunk_row row;
    int r;

    read->n_bytes = 0;
    read->n = 0;
    read->last_seq = 0;
    read->n_lost = 0;
    find_reach(s, read);
    while ((r = find_row(s, read->endpoint, from, &row)) > 0) {
        uint32_t n_before = read->n;
        int64_t n_good;

        if (read->last_seq > 0 && read->n_bytes + (size_t)row.bytes > read->capacity)
            break;
        n_good = read_row(s, read, &row);
        if (n_good < 0 && n_good != -EUCLEAN)
            return (int)n_good;
        if (n_good < row.n && !is_last && !is_agreed(s, read->endpoint, &row))
            return -EUCLEAN;
        if (n_good < row.n) {
            damage_set_aside(s, read->endpoint, &row);
            read->n_lost += lost_of(&row, read->from_seq, n_good, read->n - n_before);
        }
        read->last_seq = row.last;
        from = row.last + 1;
    }
    CRASH_POINT("store.read");
    if (r < 0)
        return r;
    return read->last_seq > 0 ? 0 : -ENOENT;
}

int chunks_read(struct store *s, struct store_read *read)
{
    int r = read_rows(s, read, false);

    if (r == -EUCLEAN) {
        (void)!store_mend(s);
        r = read_rows(s, read, true);
    }
    return r;
}

int chunks_count_above(struct store *s, uint64_t endpoint, uint64_t released, uint64_t *n,
                       uint64_t *bytes, uint64_t *first)
{
    struct store_read read = {.endpoint = endpoint,
                              .from_seq = released + 1,
                              .bytes = s->row,
                              .capacity = STORE_ROW_BYTES};
    struct chunk_row row;
    int64_t n_good;
    int r = find_row(s, endpoint, released + 1, &row);

    if (r <= 0)
        return r;
    n_good = read_row(s, &read, &row);
    if (n_good < 0 && n_good != -EUCLEAN)
        return (int)n_good;
    *n = read.n + lost_of(&row, released + 1, n_good, read.n);
    *bytes = read.n_bytes;
    *first = read.n > 0 ? ((const struct record *)(const void *)s->row)->seq : released + 1;
    return 0;
}
