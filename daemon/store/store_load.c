/* SPDX-License-Identifier: MIT */
/* Telling at start what a predecessor left. */
#include "daemon/store/records.h"
#include "daemon/store/store_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Rows with a checksum ---- */

struct damaged_rows {
    struct damaged_row *rows;
    size_t n, room;
};

static int note_damage(struct damaged_rows *d, int64_t key, int64_t bytes)
{
    if (d->n == d->room) {
        size_t room = d->room == 0 ? 16 : d->room * 2;
        struct damaged_row *more = reallocarray(d->rows, room, sizeof(*more));

        if (more == NULL)
            return -ENOMEM;
        d->rows = more;
        d->room = room;
    }
    d->rows[d->n++] = (struct damaged_row){.key = key, .bytes = bytes};
    return 0;
}

/* As text, where nothing is shorter in it than in the row. */
static int64_t bytes_as_text(sqlite3_stmt *q)
{
    int64_t bytes = 100;

    for (int i = 2; i < sqlite3_column_count(q); i++)
        bytes += 2 * sqlite3_column_bytes(q, i);
    return bytes;
}

/* Of more than so many of a table only the number is said. */
#define MAX_TOLD 16

static void take_out(struct store *s, const struct checked_table *t, const struct damaged_rows *d)
{
    for (size_t i = 0; i < d->n; i++) {
        bool is_kept = damage_take_out(s, t, &d->rows[i]);

        if (i < MAX_TOLD)
            log_error("%s: row %lld of table %s is damaged%s: %s", s->path,
                      (long long)d->rows[i].key, t->name,
                      is_kept ? ", and set aside in table damaged_row" : "", t->loss);
    }
    if (d->n > MAX_TOLD)
        log_error("%s: %zu rows of table %s are damaged", s->path, d->n, t->name);
}

/* Tells of a row, by q from column 2 on; key: column 0. */
typedef int (*row_seen)(sqlite3_stmt *q, void *context);

/* A walk over a table. */
struct row_walk {
    const struct checked_table *table;
    row_seen seen;
    void *context;
    int64_t last_key; /* of all rows, */
    int64_t seen_key; /* and of those that were right */
    bool is_disordered;
    struct damaged_rows damaged;
};

static int see_row(sqlite3_stmt *q, struct row_walk *w)
{
    int64_t key = sqlite3_column_int64(q, 0);

    /* Whoever looks for a key there may not find it. */
    w->is_disordered = key <= w->last_key;
    if (w->is_disordered)
        return -EUCLEAN;
    w->last_key = key;
    if (!sqlite3_column_int(q, 1))
        return note_damage(&w->damaged, key, bytes_as_text(q));
    w->seen_key = key;
    return w->seen(q, w->context);
}

/* Rows until one of them, or a page, cannot be read, or one is not in its place: -EUCLEAN. */
static int walk_on(struct store *s, struct row_walk *w)
{
    enum statement load = w->table->load;
    sqlite3_stmt *q = database_get(&s->database, load);
    int r;

    sqlite3_bind_int64(q, 1, w->last_key);
    while ((r = database_step(&s->database, load)) > 0) {
        r = see_row(q, w);
        if (r < 0)
            break;
    }
    database_reset(&s->database, load);
    return r;
}

/* Steps over the row at which walk_on ended. -EUCLEAN: it is no row that ended it. */
static int step_over(struct store *s, struct row_walk *w)
{
    sqlite3_stmt *q = database_get(&s->database, w->table->next);
    int r;

    sqlite3_bind_int64(q, 1, w->last_key);
    r = database_step(&s->database, w->table->next);
    bool is_there = r > 0 && sqlite3_column_type(q, 0) == SQLITE_INTEGER &&
                    sqlite3_column_int64(q, 0) > w->last_key;
    if (is_there)
        w->last_key = sqlite3_column_int64(q, 0);
    database_reset(&s->database, w->table->next);
    if (!is_there)
        return r < 0 ? r : -EUCLEAN;
    return note_damage(&w->damaged, w->last_key, -1);
}

/* In a table that was made anew the walk goes on behind the last row that was right. */
static int mend(struct store *s, struct row_walk *w)
{
    int r = store_mend(s);

    if (r <= 0)
        return r < 0 ? r : -EUCLEAN;
    while (w->damaged.n > 0 && w->damaged.rows[w->damaged.n - 1].key > w->seen_key)
        w->damaged.n--;
    w->last_key = w->seen_key;
    w->is_disordered = false;
    return 0;
}

/* Rows are taken out once all have been read. */
static int load_rows(struct store *s, const struct checked_table *t, row_seen seen, void *context)
{
    struct row_walk walk = {
        .table = t, .seen = seen, .context = context, .last_key = INT64_MIN, .seen_key = INT64_MIN};
    int r;

    while ((r = walk_on(s, &walk)) == -EUCLEAN) {
        r = walk.is_disordered ? -EUCLEAN : step_over(s, &walk);
        if (r == -EUCLEAN)
            r = mend(s, &walk);
        if (r < 0)
            break;
    }
    if (r == 0)
        take_out(s, t, &walk.damaged);
    free(walk.damaged.rows);
    return r;
}

/* ---- Registrations, ids, quarantine ---- */

static const struct checked_table registrations = {
    .name = "registration",
    .loss =
        "the name is to be registered again; its messages on disk stay there, under that number",
    .load = SQL_LOAD_REGISTRATIONS,
    .next = SQL_NEXT_REGISTRATION,
    .keep = SQL_KEEP_REGISTRATION,
    .remove = SQL_DELETE_REGISTRATION,
};

static int see_registration(sqlite3_stmt *q, void *context)
{
    const struct store_loader *l = context;
    struct store_registration row = {.number = (uint64_t)sqlite3_column_int64(q, 0),
                                     .name = (const char *)sqlite3_column_text(q, 2),
                                     .bytes = sqlite3_column_blob(q, 3),
                                     .n_bytes = (size_t)sqlite3_column_bytes(q, 3)};

    return row.name != NULL && row.bytes != NULL ? l->registration(l->context, &row) : -ENOMEM;
}

/* Of names none may be missing without a word. 10,000 take 2 ms more. */
static int load_registrations(struct store *s, struct store_loader *l)
{
    if (!store_is_whole(s, registrations.name))
        (void)!store_mend(s);
    return load_rows(s, &registrations, see_registration, l);
}

static const struct checked_table remembered = {
    .name = "remembered",
    .loss = "ids are forgotten, and a message that is sent again may be delivered twice",
    .load = SQL_LOAD_IDS,
    .next = SQL_NEXT_IDS,
    .keep = SQL_KEEP_IDS,
    .remove = SQL_FORGET_ID_ROW,
};

static int see_ids(sqlite3_stmt *q, void *context)
{
    const struct store_loader *l = context;
    int64_t time_ns = sqlite3_column_int64(q, 3);
    const uint8_t *ids = sqlite3_column_blob(q, 4);

    if (ids == NULL || time_ns < wall_ns() - (int64_t)STORE_REMEMBER_S * 1000000000)
        return 0;
    return l->remembered(l->context, (uint64_t)sqlite3_column_int64(q, 2), time_ns, ids,
                         (size_t)sqlite3_column_bytes(q, 4));
}

static const struct checked_table rejected = {
    .name = "quarantine",
    .loss = "the quarantine has one entry less",
    .load = SQL_LOAD_REJECTED,
    .next = SQL_NEXT_REJECTED,
    .keep = SQL_KEEP_REJECTED,
    .remove = SQL_DELETE_REJECTED,
};

static void read_address(sqlite3_stmt *q, int column, struct address *out)
{
    const void *bytes = sqlite3_column_blob(q, column);

    *out = (struct address){0};
    if (bytes != NULL && sqlite3_column_bytes(q, column) == sizeof(*out))
        memcpy(out, bytes, sizeof(*out));
}

static int see_rejected(sqlite3_stmt *q, void *context)
{
    const struct store_loader *l = context;
    struct store_rejected row = {.id = (uint64_t)sqlite3_column_int64(q, 0),
                                 .uid = (uid_t)sqlite3_column_int64(q, 2),
                                 .name = (const char *)sqlite3_column_text(q, 3),
                                 .reason = (const char *)sqlite3_column_text(q, 4),
                                 .time_ns = sqlite3_column_int64(q, 5),
                                 .bytes = sqlite3_column_blob(q, 8)};

    read_address(q, 6, &row.from);
    read_address(q, 7, &row.to);
    row.n_bytes = (size_t)sqlite3_column_bytes(q, 8);
    return row.name != NULL && row.reason != NULL ? l->rejected(l->context, &row) : -ENOMEM;
}

/* ---- What is spooled ---- */

struct known_endpoint {
    uint64_t number, released;
    int64_t n;
};

struct known_endpoints {
    struct known_endpoint *all;
    size_t n, room;
};

static int add_endpoint(struct known_endpoints *known, const struct known_endpoint *e)
{
    if (known->n == known->room) {
        size_t room = known->room == 0 ? 64 : known->room * 2;
        struct known_endpoint *more = reallocarray(known->all, room, sizeof(*more));

        if (more == NULL)
            return -ENOMEM;
        known->all = more;
        known->room = room;
    }
    known->all[known->n++] = *e;
    return 0;
}

static const struct checked_table endpoints = {
    .name = "endpoint",
    .loss = "which of its messages were released is not known, so those that are there come again",
    .load = SQL_LOAD_ENDPOINTS,
    .next = SQL_NEXT_ENDPOINT,
    .keep = SQL_KEEP_ENDPOINT,
    .remove = SQL_FORGET_ENDPOINT,
    .is_made_anew = true,
};

static int see_endpoint(sqlite3_stmt *q, void *context)
{
    const struct known_endpoint e = {.number = (uint64_t)sqlite3_column_int64(q, 0),
                                     .released = (uint64_t)sqlite3_column_int64(q, 2),
                                     .n = sqlite3_column_int64(q, 3)};

    return add_endpoint(context, &e);
}

/* Those of whom damage has left only rows of messages; from now on they are counted again. */
static int load_strays(struct store *s, struct known_endpoints *known)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_LOAD_STRAYS);
    size_t first = known->n;
    int r;

    while ((r = database_step(&s->database, SQL_LOAD_STRAYS)) > 0) {
        const struct known_endpoint e = {.number = (uint64_t)sqlite3_column_int64(q, 0)};

        r = add_endpoint(known, &e);
        if (r < 0)
            break;
    }
    database_reset(&s->database, SQL_LOAD_STRAYS);
    for (size_t i = first; i < known->n && r == 0; i++)
        damage_count_anew(s, known->all[i].number);
    return r;
}

bool store_index_row_is_right(sqlite3_stmt *q, uint64_t endpoint)
{
    const struct records_summary row = {.first = (uint64_t)sqlite3_column_int64(q, 1),
                                        .last = (uint64_t)sqlite3_column_int64(q, 2),
                                        .n = (uint32_t)sqlite3_column_int64(q, 3),
                                        .bytes = (uint64_t)sqlite3_column_int64(q, 4),
                                        .oldest_ns = sqlite3_column_int64(q, 5),
                                        .newest_ns = sqlite3_column_int64(q, 6)};

    return sqlite3_column_int64(q, 3) == row.n &&
           sqlite3_column_int64(q, 7) == records_summary_crc(&row, endpoint);
}

/* One row of the index into the summary; *n_all counts the records of all rows. */
static void add_row(sqlite3_stmt *q, struct store_spooled *spooled, int64_t *n_all,
                    bool *is_partial)
{
    uint64_t first = (uint64_t)sqlite3_column_int64(q, 1);
    uint64_t last = (uint64_t)sqlite3_column_int64(q, 2);
    int64_t oldest = sqlite3_column_int64(q, 5), newest = sqlite3_column_int64(q, 6);

    *n_all += sqlite3_column_int64(q, 3);
    if (last <= spooled->released)
        return;
    *is_partial |= first <= spooled->released;
    if (spooled->last_seq == 0) {
        spooled->first_seq = first;
        spooled->oldest_ns = oldest;
        spooled->newest_ns = newest;
    }
    if (oldest < spooled->oldest_ns)
        spooled->oldest_ns = oldest;
    if (newest > spooled->newest_ns)
        spooled->newest_ns = newest;
    spooled->last_seq = last;
    if (first > spooled->released) {
        spooled->n += (uint64_t)sqlite3_column_int64(q, 3);
        spooled->bytes += (uint64_t)sqlite3_column_int64(q, 4);
    }
}

/* *is_whole: the index has all rows, as they were written. */
static int sum_rows(struct store *s, const struct known_endpoint *e, struct store_spooled *spooled,
                    bool *is_whole)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_LOAD_ROWS);
    uint64_t n = 0, bytes = 0, first = 0;
    bool is_partial = false, is_damaged = false;
    int64_t n_all = 0;
    int r;

    *spooled = (struct store_spooled){.endpoint = e->number, .released = e->released};
    sqlite3_bind_int64(q, 1, (sqlite3_int64)e->number);
    while ((r = database_step(&s->database, SQL_LOAD_ROWS)) > 0) {
        is_damaged |= !store_index_row_is_right(q, e->number);
        add_row(q, spooled, &n_all, &is_partial);
    }
    if (r == 0 && is_partial) {
        r = chunks_count_above(s, e->number, e->released, &n, &bytes, &first);
        spooled->n += n;
        spooled->bytes += bytes;
        if (first > 0)
            spooled->first_seq = first;
    }
    if (n_all < e->n)
        spooled->n_missing = (uint64_t)(e->n - n_all);
    *is_whole = r == 0 && !is_damaged && spooled->n_missing == 0;
    return r;
}

static int load_endpoint(struct store *s, const struct known_endpoint *e,
                         const struct store_loader *l)
{
    struct store_spooled spooled;
    bool is_whole = false;
    int r = sum_rows(s, e, &spooled, &is_whole);

    /* A new index may have what this one has not. */
    if ((r == 0 || r == -EUCLEAN) && !is_whole && store_mend(s) > 0)
        r = sum_rows(s, e, &spooled, &is_whole);
    return r == 0 ? l->spooled(l->context, &spooled) : r;
}

static int load_spooled(struct store *s, const struct store_loader *l)
{
    struct known_endpoints known = {0};
    int r = load_rows(s, &endpoints, see_endpoint, &known);
    size_t n_rows = known.n;

    if (r == 0)
        r = load_strays(s, &known);
    if (r == -EUCLEAN && store_mend(s) > 0) {
        known.n = n_rows;
        r = load_strays(s, &known);
    }
    for (size_t i = 0; i < known.n && r == 0; i++)
        r = load_endpoint(s, &known.all[i], l);
    free(known.all);
    return r < 0 ? r : 0;
}

int store_load(struct store *s, const struct store_loader *loader)
{
    struct store_loader l = *loader;
    int r = 0;

    if (l.registration != NULL)
        r = load_registrations(s, &l);
    if (r == 0 && l.spooled != NULL)
        r = load_spooled(s, &l);
    if (r == 0 && l.remembered != NULL)
        r = load_rows(s, &remembered, see_ids, &l);
    if (r == 0 && l.rejected != NULL)
        r = load_rows(s, &rejected, see_rejected, &l);
    return r < 0 ? error_trace(r, "cannot read %s", s->path) : 0;
}
