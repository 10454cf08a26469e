/* SPDX-License-Identifier: MIT */
/* How much room there is, and what the store says of itself. */
#include "daemon/store/store_state.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

/* From here on (per cent of what the database may have) appends wait, so that releases go on. */
#define APPEND_PER_CENT 95

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

int64_t monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- State ---- */

static void set_state(struct store *s, enum store_state state, int error)
{
    int before = atomic_load(&s->state);

    atomic_store(&s->error, error);
    if (before == (int)state)
        return;
    atomic_store(&s->state, state);
    if (state == STORE_OPEN)
        log_info("%s has room again", s->path);
    else if (state == STORE_FULL)
        log_warning("%s is full (%s): messages that would have to go to disk are refused until "
                    "consumers have released some",
                    s->path, error == 0 ? "its bound" : strerrordesc_np(-error));
}

void store_fail(struct store *s, int error, const char *what)
{
    if (atomic_load(&s->state) == STORE_FAILED)
        return;
    log_error("%s: %s failed: %s. Nothing more is written to it or acknowledged as stored; check "
              "the disk, then start msgd again",
              s->path, what, strerrordesc_np(-error));
    set_state(s, STORE_FAILED, error);
}

/* ---- Room ---- */

static uint64_t size_of(const struct store *s, const char *ending)
{
    char path[PATH_MAX + 8];
    struct stat st;

    snprintf(path, sizeof(path), "%s%s", s->path, ending);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* The log is put into the database from so many bytes on. */
static uint64_t log_bytes(uint64_t max_bytes)
{
    return max_bytes / 16 < STORE_LOG_BYTES ? max_bytes / 16 : STORE_LOG_BYTES;
}

/* A commit adds to it what is appended, at most as much again, what is deleted, and the headers of
 * its frames. */
static uint64_t log_bound(uint64_t max_bytes)
{
    return 3 * log_bytes(max_bytes);
}

/* What the log leaves to the database. */
static uint64_t database_bound(uint64_t max_bytes)
{
    return max_bytes - log_bound(max_bytes);
}

static void apply_bound(struct store *s)
{
    uint64_t max_bytes = atomic_load(&s->max_bytes);

    if (max_bytes == s->applied_max_bytes)
        return;
    if (database_set_bounds(&s->database, database_bound(max_bytes) / DATABASE_PAGE_BYTES,
                            (uint32_t)log_bytes(max_bytes), (uint32_t)log_bound(max_bytes)) == 0)
        s->applied_max_bytes = max_bytes;
}

static void look_at_files(struct store *s)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_PAGES);
    struct statvfs fs;

    if (database_step(&s->database, SQL_PAGES) > 0) {
        s->n_pages = (uint64_t)sqlite3_column_int64(q, 0);
        atomic_store(&s->used_bytes,
                     (s->n_pages - (uint64_t)sqlite3_column_int64(q, 1)) * DATABASE_PAGE_BYTES);
    }
    database_reset(&s->database, SQL_PAGES);
    atomic_store(&s->file_bytes, size_of(s, "") + size_of(s, "-wal"));
    if (statvfs(s->directory, &fs) == 0)
        atomic_store(&s->free_bytes, (uint64_t)fs.f_bavail * fs.f_frsize);
}

uint64_t room_per_cent(const struct store *s, unsigned per_cent)
{
    return database_bound(atomic_load(&s->max_bytes)) / 100 * per_cent;
}

/* What a whole log may add to the database, beside the pages in it that are free. */
static void reserve(struct store *s)
{
    uint64_t max_bytes = atomic_load(&s->max_bytes);
    uint64_t file = s->n_pages * DATABASE_PAGE_BYTES;
    uint64_t reusable = file - atomic_load(&s->used_bytes);
    uint64_t growth = log_bound(max_bytes) > reusable ? log_bound(max_bytes) - reusable : 0;
    uint64_t most = database_bound(max_bytes);

    reserve_take(s, file + growth < most ? file + growth : most, log_bound(max_bytes));
}

void room_reserve(struct store *s)
{
    look_at_files(s);
    reserve(s);
}

void room_look(struct store *s)
{
    int error = 0;
    bool is_full;

    if (atomic_load(&s->state) == STORE_FAILED)
        return;
    apply_bound(s);
    look_at_files(s);
    if (s->reserve.error < 0)
        reserve(s);
    is_full = atomic_load(&s->used_bytes) >= room_per_cent(s, STORE_FULL_PER_CENT);
    if (atomic_load(&s->free_bytes) < atomic_load(&s->min_free_bytes) || s->was_refused ||
        s->reserve.error < 0) {
        is_full = true;
        error = s->was_refused ? s->refusal : -ENOSPC;
    }
    set_state(s, is_full ? STORE_FULL : STORE_OPEN, error);
}

bool room_is_for(struct store *s, size_t bytes)
{
    return atomic_load(&s->used_bytes) + bytes <= room_per_cent(s, APPEND_PER_CENT);
}

/* ---- For others ---- */

enum store_state store_state(const struct store *s)
{
    return (enum store_state)atomic_load_explicit(&s->state, memory_order_acquire);
}

const char *store_path(const struct store *s)
{
    return s->path;
}

const char *store_state_name(enum store_state state)
{
    static const char *const names[] = {
        [STORE_OPEN] = "open", [STORE_FULL] = "full", [STORE_FAILED] = "failed"};

    return names[state];
}

void store_set_limits(struct store *s, uint64_t max_bytes, uint64_t min_free_bytes)
{
    atomic_store(&s->max_bytes, max_bytes < STORE_MIN_BYTES ? STORE_MIN_BYTES : max_bytes);
    atomic_store(&s->min_free_bytes, min_free_bytes);
}

uint64_t store_next_number(struct store *s)
{
    return atomic_fetch_add(&s->next_number, 1);
}

void store_info(const struct store *s, struct store_info *out)
{
    *out = (struct store_info){.state = store_state(s),
                               .error = atomic_load(&s->error),
                               .max_bytes = atomic_load(&s->max_bytes),
                               .used_bytes = atomic_load(&s->used_bytes),
                               .file_bytes = atomic_load(&s->file_bytes),
                               .free_bytes = atomic_load(&s->free_bytes),
                               .commits = atomic_load(&s->n_commits),
                               .appended = atomic_load(&s->n_appended),
                               .damaged_rows = atomic_load(&s->n_damaged),
                               .log_mended = s->database.log.n_mended,
                               .log_broke_off = s->database.log.breaks_off};
}
