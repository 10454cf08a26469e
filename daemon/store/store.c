/* SPDX-License-Identifier: MIT */
/* The store's life. */
#include "daemon/store/store.h"

#include "daemon/store/store_state.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many numbers are set aside at each start, and none of them is given again after it. */
#define NUMBERS_SET_ASIDE (UINT64_C(1) << 30)
/* Numbers a second for ever, should the database have been lost. */
#define NUMBERS_PER_S (UINT64_C(1) << 20)

static int explain(const struct store *s, int r)
{
    switch (r) {
    case -EBUSY:
        log_error("%s is in use by another msgd: stop it, or choose another state directory",
                  s->path);
        return r;
    case -EPROTONOSUPPORT:
        log_error("%s was made by another version of msgd, or by another program: use that "
                  "version, or move the file away",
                  s->path);
        return r;
    case -EUCLEAN:
        log_error("%s is damaged: move it away (keep it: sqlite3's .recover may save more)",
                  s->path);
        return r;
    default:
        return error_trace(r, "cannot open %s", s->path);
    }
}

/* ---- Opening ---- */

/* Numbers that no registration had, whether the database is the old one or a new one. */
static int set_numbers_aside(struct store *s)
{
    uint64_t next = (uint64_t)(wall_ns() / 1000000000) * NUMBERS_PER_S;
    sqlite3_stmt *q = database_get(&s->database, SQL_GET_NEXT);
    int r = database_step(&s->database, SQL_GET_NEXT);

    if (r > 0 && (uint64_t)sqlite3_column_int64(q, 0) > next)
        next = (uint64_t)sqlite3_column_int64(q, 0);
    database_reset(&s->database, SQL_GET_NEXT);
    if (r <= 0)
        return r < 0 ? r : -EUCLEAN;
    q = database_get(&s->database, SQL_SET_NEXT);
    uint64_t set_aside = next + NUMBERS_SET_ASIDE;
    sqlite3_bind_int64(q, 1, (sqlite3_int64)set_aside);
    atomic_store(&s->next_number, next);
    /* Not synced: whatever uses one of them on disk is behind this in the log. */
    r = database_begin(&s->database, true);
    if (r == 0)
        r = database_run(&s->database, SQL_SET_NEXT);
    if (r == 0)
        r = database_commit(&s->database);
    database_roll_back(&s->database);
    return r;
}

static int begin_work(struct store *s)
{
    int r = damage_count(s);

    return r == 0 ? set_numbers_aside(s) : r;
}

static int open_database(struct store *s, const struct store_options *o)
{
    int r = database_open(&s->database, s->path, o->vfs);

    if (r == 0)
        r = begin_work(s);
    if (r == -EUCLEAN && s->database.is_opened && store_mend(s) > 0)
        r = begin_work(s);
    if (r == 0)
        r = reserve_open(s);
    if (r == 0) {
        room_look(s);
        room_reserve(s);
    }
    return r;
}

static int place(struct store *s, const char *directory)
{
    int n = snprintf(s->path, sizeof(s->path), "%s/%s", directory, DATABASE_NAME);

    if (n < 0 || (size_t)n >= sizeof(s->path))
        return -ENAMETOOLONG;
    snprintf(s->directory, sizeof(s->directory), "%s", directory);
    return 0;
}

static struct store *destroy(struct store *s)
{
    reserve_close(s, database_close(&s->database));
    uv_cond_destroy(&s->has_posted);
    uv_mutex_destroy(&s->lock);
    free(s->row);
    free(s);
    return NULL;
}

int store_open(struct store **out, const struct store_options *o)
{
    struct store *s = calloc(1, sizeof(*s));
    int r;

    if (s == NULL)
        return error_trace(-ENOMEM, "cannot open the store");
    if (uv_mutex_init(&s->lock) < 0 || uv_cond_init(&s->has_posted) < 0)
        abort(); /* Linux: cannot fail */
    s->reserve = (struct reserve){.database_fd = -1, .log_fd = -1};
    job_list_init(&s->queue);
    job_list_init(&s->waiting);
    job_list_init(&s->posted);
    store_set_limits(s, o->max_bytes, o->min_free_bytes);
    s->row = aligned_alloc(RING_RECORD_ALIGN, STORE_ROW_BYTES);
    r = s->row == NULL ? -ENOMEM : place(s, o->directory);
    if (r == 0)
        r = open_database(s, o);
    if (r < 0) {
        r = explain(s, r);
        destroy(s);
        return r;
    }
    *out = s;
    return 0;
}

int store_check(const char *directory)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", directory, DATABASE_NAME);
    int r;

    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    r = database_check_file(path);
    return r == -ENOENT ? 0 : r;
}

/* ---- Starting and stopping ---- */

int store_start(struct store *s)
{
    int r = uv_thread_create(&s->thread, store_run, s);

    if (r < 0)
        return error_trace(r, "cannot start the store's thread");
    s->is_started = true;
    return 0;
}

struct store *store_stop(struct store *s)
{
    if (s == NULL)
        return NULL;
    assert(atomic_load(&s->n_ports) == 0);
    if (s->is_started) {
        uv_mutex_lock(&s->lock);
        s->is_stopping = true;
        uv_cond_signal(&s->has_posted);
        uv_mutex_unlock(&s->lock);
        uv_thread_join(&s->thread);
    }
    return destroy(s);
}
