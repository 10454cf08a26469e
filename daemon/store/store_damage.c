/* SPDX-License-Identifier: MIT */
/* Rows that are damaged: kept for whoever wants to look at them, and counted. */
#include "daemon/base/crash_point.h"
#include "daemon/store/store_state.h"

#include <errno.h>

int damage_count(struct store *s)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_DAMAGED);
    int r = database_step(&s->database, SQL_DAMAGED);

    if (r > 0) {
        s->n_damaged_rows = (uint64_t)sqlite3_column_int64(q, 0);
        s->n_damaged_bytes = (uint64_t)sqlite3_column_int64(q, 1);
        atomic_store(&s->n_damaged, s->n_damaged_rows);
    }
    database_reset(&s->database, SQL_DAMAGED);
    return r < 0 ? r : 0;
}

/* The row with its content. -EUCLEAN: nothing of it can be read. */
static int copy(struct store *s, const struct chunk_row *row)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_SET_ASIDE);

    sqlite3_bind_int64(q, 1, row->id);
    sqlite3_bind_int64(q, 2, wall_ns());
    return database_run(&s->database, SQL_SET_ASIDE);
}

/* That it is damaged, and no more. */
static int note(struct store *s, uint64_t endpoint, const struct chunk_row *row)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_NOTE_DAMAGE);

    sqlite3_bind_int64(q, 1, (sqlite3_int64)endpoint);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)row->first);
    sqlite3_bind_int64(q, 3, (sqlite3_int64)row->last);
    sqlite3_bind_int64(q, 4, row->n);
    sqlite3_bind_int64(q, 5, wall_ns());
    return database_run(&s->database, SQL_NOTE_DAMAGE);
}

/* bytes: negative where there is nothing that could be kept. */
static bool has_room_for(const struct store *s, int64_t bytes)
{
    return bytes >= 0 && bytes <= STORE_ROW_BYTES &&
           s->n_damaged_bytes + (uint64_t)bytes <= room_per_cent(s, DAMAGED_PER_CENT);
}

/* Not synced: before anything deletes the row itself, this is on disk, too. */
static bool begin(struct store *s)
{
    return atomic_load(&s->state) != STORE_FAILED && database_begin(&s->database, true) == 0;
}

static void end(struct store *s, int r)
{
    if (r == -EIO)
        store_fail(s, r, "setting a damaged row aside");
    database_roll_back(&s->database);
}

/* ---- Messages ---- */

/* In a transaction. Returns the bytes that were copied; -EEXIST: it was there already; -errno. */
static int64_t put(struct store *s, uint64_t endpoint, const struct chunk_row *row)
{
    int64_t n_copied = has_room_for(s, row->bytes) ? row->bytes : 0;
    int r = n_copied > 0 ? copy(s, row) : -EUCLEAN;

    if (r == -EUCLEAN) {
        n_copied = 0;
        r = note(s, endpoint, row);
    }
    if (r < 0)
        return r;
    return sqlite3_changes(s->database.db) > 0 ? n_copied : -EEXIST;
}

static void tell(const struct store *s, uint64_t endpoint, const struct chunk_row *row)
{
    log_error("endpoint %llu: messages %llu to %llu on disk are damaged; %s table damaged of %s",
              (unsigned long long)endpoint, (unsigned long long)row->first,
              (unsigned long long)row->last,
              s->n_damaged_rows < DAMAGED_MAX_ROWS ? "noted in" : "there is no room in", s->path);
}

void damage_set_aside(struct store *s, uint64_t endpoint, const struct chunk_row *row)
{
    int64_t n_copied;
    int r;

    if (s->n_damaged_rows >= DAMAGED_MAX_ROWS) {
        if (atomic_fetch_add(&s->n_damaged, 1) == DAMAGED_MAX_ROWS)
            tell(s, endpoint, row); /* and of no later one */
        return;
    }
    if (!begin(s))
        return;
    n_copied = put(s, endpoint, row);
    CRASH_POINT("store.set_aside");
    r = n_copied >= 0 ? database_commit(&s->database) : 0;
    if (n_copied >= 0 && r == 0) {
        tell(s, endpoint, row);
        s->n_damaged_rows++;
        s->n_damaged_bytes += (uint64_t)n_copied;
        atomic_fetch_add(&s->n_damaged, 1);
    }
    end(s, r);
}

/* ---- All others ---- */

/* Returns how many rows were moved; -errno. */
static int move(struct store *s, const struct checked_table *t, const struct damaged_row *row,
                bool is_kept)
{
    sqlite3_stmt *keep = database_get(&s->database, t->keep);
    int r = 0, n_kept = 0;

    if (is_kept) {
        sqlite3_bind_int64(keep, 1, row->key);
        sqlite3_bind_int64(keep, 2, wall_ns());
        r = database_run(&s->database, t->keep);
        n_kept = sqlite3_changes(s->database.db);
    }
    if (r == 0 && (n_kept > 0 || t->is_made_anew)) {
        sqlite3_bind_int64(database_get(&s->database, t->remove), 1, row->key);
        r = database_run(&s->database, t->remove);
    }
    if (r == 0)
        r = database_commit(&s->database);
    return r < 0 ? r : n_kept;
}

void damage_count_anew(struct store *s, uint64_t endpoint)
{
    int r;

    if (!begin(s))
        return;
    sqlite3_bind_int64(database_get(&s->database, SQL_MAKE_ENDPOINT), 1, (sqlite3_int64)endpoint);
    r = database_run(&s->database, SQL_MAKE_ENDPOINT);
    end(s, r == 0 ? database_commit(&s->database) : r);
}

bool damage_take_out(struct store *s, const struct checked_table *t, const struct damaged_row *row)
{
    bool is_kept = s->n_damaged_rows < DAMAGED_MAX_ROWS && has_room_for(s, row->bytes);
    int n_kept = begin(s) ? move(s, t, row, is_kept) : 0;

    if (n_kept > 0) {
        s->n_damaged_rows++;
        s->n_damaged_bytes += (uint64_t)row->bytes;
    }
    atomic_fetch_add(&s->n_damaged, 1);
    end(s, n_kept);
    return n_kept > 0;
}
