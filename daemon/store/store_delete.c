/* SPDX-License-Identifier: MIT */
/*
 * Messages that are finished: rows are deleted in slices, so that what else there is to do goes on
 * in between, and no transaction outgrows the log, however small and scattered the rows are.
 */
#include "daemon/base/crash_point.h"
#include "daemon/store/store_state.h"

#include <errno.h>

/* What a row takes in the index, and in its page beside its content. */
#define ROW_OVERHEAD 128

/* ---- Rows ---- */

int chunks_release(struct store *s, uint64_t endpoint, uint64_t up_to)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_RELEASE);

    sqlite3_bind_int64(q, 1, (sqlite3_int64)endpoint);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)up_to);
    CRASH_POINT("store.release");
    return database_run(&s->database, SQL_RELEASE);
}

struct doomed {
    int64_t id;
    uint64_t last;
    int64_t n;
    int64_t bytes;
    int64_t newest_ns;
};

/* The next rows of an endpoint in (above, up_to]. Returns how many, at most SLICE_ROWS; -errno. */
static int list_rows(struct store *s, uint64_t endpoint, uint64_t above, uint64_t up_to,
                     struct doomed out[SLICE_ROWS])
{
    sqlite3_stmt *q = database_get(&s->database, SQL_ROWS_UP_TO);
    uint64_t last = above;
    int n = 0, r = 0;

    sqlite3_bind_int64(q, 1, (sqlite3_int64)endpoint);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)above);
    sqlite3_bind_int64(q, 3, (sqlite3_int64)(up_to > INT64_MAX ? INT64_MAX : up_to));
    sqlite3_bind_int64(q, 4, SLICE_ROWS);
    while (n < SLICE_ROWS && (r = database_step(&s->database, SQL_ROWS_UP_TO)) > 0) {
        out[n] = (struct doomed){.id = sqlite3_column_int64(q, 0),
                                 .last = (uint64_t)sqlite3_column_int64(q, 1),
                                 .n = sqlite3_column_int64(q, 2),
                                 .bytes = sqlite3_column_int64(q, 3),
                                 .newest_ns = sqlite3_column_int64(q, 4)};
        if (out[n].last <= last)
            r = -EUCLEAN; /* not in order: else it would not end */
        if (r < 0)
            break;
        last = out[n++].last;
    }
    database_reset(&s->database, SQL_ROWS_UP_TO);
    return r < 0 ? r : n;
}

/*
 * What deleting a row adds to the log: a page, or its part of one where the rows before it are on
 * the same. What lies between two rows of an endpoint is taken to be of the same size.
 */
static int64_t cost_of(const struct doomed *row, const struct doomed *before)
{
    int64_t distance = before != NULL ? row->id - before->id : DATABASE_PAGE_BYTES;

    if (distance <= 0 || distance > DATABASE_PAGE_BYTES / ROW_OVERHEAD ||
        row->bytes >= DATABASE_PAGE_BYTES / distance)
        return DATABASE_PAGE_BYTES;
    return (row->bytes + ROW_OVERHEAD) * distance + ROW_OVERHEAD;
}

static bool is_stuck(const struct store *s, int64_t id)
{
    for (unsigned i = 0; i < s->n_stuck; i++)
        if (s->stuck[i] == id)
            return true;
    return false;
}

/* A row that damage keeps from being deleted stays, once that is known: nothing below the watermark
 * is read again. */
static int delete_row(struct store *s, const struct doomed *row, int64_t *n)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_DELETE_ROW);
    int r;

    if (is_stuck(s, row->id))
        return 0;
    sqlite3_bind_int64(q, 1, row->id);
    r = database_run(&s->database, SQL_DELETE_ROW);
    CRASH_POINT("store.delete");
    if (r == 0)
        *n += row->n;
    else if (r == -EUCLEAN && s->n_stuck < STORE_MAX_STUCK)
        s->stuck[s->n_stuck++] = row->id;
    return r;
}

/* Deletes from the front of `rows`, as far as they are old enough and there is something left to
 * spend. Returns how many; -errno. */
static int delete_rows(struct store *s, uint64_t endpoint, const struct doomed *rows, int n_rows,
                       int64_t older_than_ns)
{
    int64_t n = 0;
    int i, r = 0;

    for (i = 0; i < n_rows && rows[i].newest_ns < older_than_ns; i++) {
        if (i > 0 && s->spendable <= 0)
            break;
        s->spendable -= cost_of(&rows[i], i > 0 ? &rows[i - 1] : NULL);
        r = delete_row(s, &rows[i], &n);
        if (r < 0)
            return r;
    }
    if (n > 0)
        r = chunks_count(s, endpoint, -n);
    return r < 0 ? r : i;
}

/* ---- Slices ---- */

int chunks_delete(struct store *s, uint64_t endpoint, uint64_t up_to, uint64_t *cursor)
{
    struct doomed rows[SLICE_ROWS];
    int n_rows = list_rows(s, endpoint, *cursor, up_to, rows);
    int n = n_rows < 0 ? n_rows : delete_rows(s, endpoint, rows, n_rows, INT64_MAX);

    if (n < 0)
        return n;
    if (n > 0)
        *cursor = rows[n - 1].last;
    return n < n_rows || n_rows == SLICE_ROWS;
}

int chunks_drop_oldest(struct store *s, struct store_drop_oldest *d, uint64_t *cursor)
{
    struct doomed rows[SLICE_ROWS];
    int n_rows = list_rows(s, d->endpoint, *cursor, UINT64_MAX, rows);
    int n = n_rows < 0 ? n_rows : delete_rows(s, d->endpoint, rows, n_rows, d->older_than_ns);
    int r;

    if (n <= 0)
        return n;
    *cursor = rows[n - 1].last;
    d->last_seq = rows[n - 1].last;
    r = chunks_release(s, d->endpoint, d->last_seq);
    if (r < 0)
        return r;
    return n < n_rows ? rows[n].newest_ns < d->older_than_ns : n_rows == SLICE_ROWS;
}
