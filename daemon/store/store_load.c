/* SPDX-License-Identifier: MIT */
/* Telling at start what a predecessor left. */
#include "daemon/store/records.h"
#include "daemon/store/store_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Registrations, ids, quarantine ---- */

static int load_registrations(struct store *s, const struct store_loader *l)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_LOAD_REGISTRATIONS);
    int r;

    while ((r = database_step(&s->database, SQL_LOAD_REGISTRATIONS)) > 0) {
        struct store_registration row = {.number = (uint64_t)sqlite3_column_int64(q, 0),
                                         .name = (const char *)sqlite3_column_text(q, 1),
                                         .text = (const char *)sqlite3_column_text(q, 2)};

        r = row.name != NULL && row.text != NULL ? l->registration(l->context, &row) : -ENOMEM;
        if (r < 0)
            break;
    }
    database_reset(&s->database, SQL_LOAD_REGISTRATIONS);
    return r;
}

static int load_ids(struct store *s, const struct store_loader *l)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_LOAD_IDS);
    int r;

    sqlite3_bind_int64(q, 1, wall_ns() - (int64_t)STORE_REMEMBER_S * 1000000000);
    while ((r = database_step(&s->database, SQL_LOAD_IDS)) > 0) {
        const uint8_t *ids = sqlite3_column_blob(q, 2);

        r = ids == NULL ? 0
                        : l->remembered(l->context, (uint64_t)sqlite3_column_int64(q, 0),
                                        sqlite3_column_int64(q, 1), ids,
                                        (size_t)sqlite3_column_bytes(q, 2));
        if (r < 0)
            break;
    }
    database_reset(&s->database, SQL_LOAD_IDS);
    return r;
}

static void read_address(sqlite3_stmt *q, int column, struct address *out)
{
    const void *bytes = sqlite3_column_blob(q, column);

    *out = (struct address){0};
    if (bytes != NULL && sqlite3_column_bytes(q, column) == sizeof(*out))
        memcpy(out, bytes, sizeof(*out));
}

static int load_rejected(struct store *s, const struct store_loader *l)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_LOAD_REJECTED);
    int r;

    while ((r = database_step(&s->database, SQL_LOAD_REJECTED)) > 0) {
        struct store_rejected row = {.id = (uint64_t)sqlite3_column_int64(q, 0),
                                     .uid = (uid_t)sqlite3_column_int64(q, 1),
                                     .name = (const char *)sqlite3_column_text(q, 2),
                                     .reason = (const char *)sqlite3_column_text(q, 3),
                                     .time_ns = sqlite3_column_int64(q, 4),
                                     .bytes = sqlite3_column_blob(q, 7)};

        read_address(q, 5, &row.from);
        read_address(q, 6, &row.to);
        row.n_bytes = (size_t)sqlite3_column_bytes(q, 7);
        r = row.name != NULL && row.reason != NULL ? l->rejected(l->context, &row) : -ENOMEM;
        if (r < 0)
            break;
    }
    database_reset(&s->database, SQL_LOAD_REJECTED);
    return r;
}

/* ---- What is spooled ---- */

struct known_endpoint {
    uint64_t number, released;
    int64_t n;
};

/* Endpoints that are known, and those of whom only rows are. */
static int list_endpoints(struct store *s, struct known_endpoint **out, size_t *n_out)
{
    static const enum statement lists[] = {SQL_LOAD_ENDPOINTS, SQL_LOAD_STRAYS};
    struct known_endpoint *all = NULL;
    size_t n = 0, room = 0;
    int r = 0;

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists) && r == 0; i++) {
        sqlite3_stmt *q = database_get(&s->database, lists[i]);

        while ((r = database_step(&s->database, lists[i])) > 0) {
            if (n == room) {
                struct known_endpoint *more;

                room = room == 0 ? 64 : room * 2;
                more = reallocarray(all, room, sizeof(*all));
                if (more == NULL) {
                    r = -ENOMEM;
                    break;
                }
                all = more;
            }
            all[n] = (struct known_endpoint){.number = (uint64_t)sqlite3_column_int64(q, 0)};
            if (lists[i] == SQL_LOAD_ENDPOINTS) {
                all[n].released = (uint64_t)sqlite3_column_int64(q, 1);
                all[n].n = sqlite3_column_int64(q, 2);
            }
            n++;
        }
        database_reset(&s->database, lists[i]);
    }
    *out = all;
    *n_out = n;
    return r;
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

static int sum_rows(struct store *s, const struct known_endpoint *e, struct store_spooled *spooled)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_LOAD_ROWS);
    uint64_t n = 0, bytes = 0, first = 0;
    bool is_partial = false;
    int64_t n_all = 0;
    int r;

    sqlite3_bind_int64(q, 1, (sqlite3_int64)e->number);
    while ((r = database_step(&s->database, SQL_LOAD_ROWS)) > 0)
        add_row(q, spooled, &n_all, &is_partial);
    if (r == 0 && is_partial) {
        r = chunks_count_above(s, e->number, e->released, &n, &bytes, &first);
        spooled->n += n;
        spooled->bytes += bytes;
        if (first > 0)
            spooled->first_seq = first;
    }
    if (n_all < e->n)
        spooled->n_missing = (uint64_t)(e->n - n_all);
    return r;
}

static int load_spooled(struct store *s, const struct store_loader *l)
{
    struct known_endpoint *all;
    size_t n;
    int r = list_endpoints(s, &all, &n);

    for (size_t i = 0; i < n && r == 0; i++) {
        struct store_spooled spooled = {.endpoint = all[i].number, .released = all[i].released};

        r = sum_rows(s, &all[i], &spooled);
        if (r == 0)
            r = l->spooled(l->context, &spooled);
    }
    free(all);
    return r < 0 ? r : 0;
}

int store_load(struct store *s, const struct store_loader *l)
{
    int r = 0;

    if (l->registration != NULL)
        r = load_registrations(s, l);
    if (r == 0 && l->spooled != NULL)
        r = load_spooled(s, l);
    if (r == 0 && l->remembered != NULL)
        r = load_ids(s, l);
    if (r == 0 && l->rejected != NULL)
        r = load_rejected(s, l);
    return r < 0 ? error_trace(r, "cannot read %s", s->path) : 0;
}
