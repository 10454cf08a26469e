/* SPDX-License-Identifier: MIT */
/* Registrations, the quarantine, remembered ids: rows that are put and deleted. */
#include "daemon/base/crash_point.h"
#include "daemon/store/store_state.h"

#include <errno.h>
#include <string.h>

/* At most so many old rows of ids go with one commit. */
#define FORGET_SLICE 64

static int put_registration(struct store *s, const struct store_registration *r)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_PUT_REGISTRATION);

    CRASH_POINT("store.registration");
    sqlite3_bind_int64(q, 1, (sqlite3_int64)r->number);
    sqlite3_bind_text(q, 2, r->name, -1, SQLITE_STATIC);
    sqlite3_bind_blob(q, 3, r->bytes, (int)r->n_bytes, SQLITE_STATIC);
    return database_run(&s->database, SQL_PUT_REGISTRATION);
}

static int put_rejected(struct store *s, const struct store_rejected *r)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_PUT_REJECTED);

    sqlite3_bind_int64(q, 1, (sqlite3_int64)r->id);
    sqlite3_bind_int64(q, 2, r->uid);
    sqlite3_bind_text(q, 3, r->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 4, r->reason, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 5, r->time_ns);
    sqlite3_bind_blob(q, 6, &r->from, sizeof(r->from), SQLITE_STATIC);
    sqlite3_bind_blob(q, 7, &r->to, sizeof(r->to), SQLITE_STATIC);
    sqlite3_bind_blob(q, 8, r->bytes != NULL ? (const void *)r->bytes : "", (int)r->n_bytes,
                      SQLITE_STATIC);
    CRASH_POINT("store.rejected");
    return database_run(&s->database, SQL_PUT_REJECTED);
}

static int delete_number(struct store *s, enum statement which, uint64_t number)
{
    sqlite3_bind_int64(database_get(&s->database, which), 1, (sqlite3_int64)number);
    return database_run(&s->database, which);
}

/* Ids of an endpoint that is forgotten, a slice of them. 1: there are more. */
static int forget_ids(struct store *s, uint64_t endpoint)
{
    sqlite3_stmt *q = database_get(&s->database, SQL_FORGET_IDS_OF);
    int r;

    sqlite3_bind_int64(q, 1, (sqlite3_int64)endpoint);
    sqlite3_bind_int64(q, 2, FORGET_SLICE);
    r = database_run(&s->database, SQL_FORGET_IDS_OF);
    s->spendable -= (int64_t)sqlite3_changes(s->database.db) * DATABASE_PAGE_BYTES;
    return r < 0 ? r : sqlite3_changes(s->database.db) == FORGET_SLICE;
}

/* Rows first, as many as a commit may take; the endpoint itself last. */
static int forget(struct store *s, struct store_job *job)
{
    int r = chunks_delete(s, job->forget, UINT64_MAX, &job->cursor);

    CRASH_POINT("store.forget");
    if (r == 0)
        r = forget_ids(s, job->forget);
    if (r == 0)
        r = delete_number(s, SQL_FORGET_ENDPOINT, job->forget);
    return r;
}

static int trim(struct store *s, struct store_job *job)
{
    int r = 0;

    if (job->cursor == 0)
        r = chunks_release(s, job->trim.endpoint, job->trim.up_to);
    return r < 0 ? r : chunks_delete(s, job->trim.endpoint, job->trim.up_to, &job->cursor);
}

int rows_apply(struct store *s, struct store_job *job)
{
    switch (job->act) {
    case STORE_APPEND:
        return chunks_append(s, &job->append);
    case STORE_TRIM:
        return trim(s, job);
    case STORE_FORGET:
        return forget(s, job);
    case STORE_DROP_OLDEST:
        return chunks_drop_oldest(s, &job->drop_oldest, &job->cursor);
    case STORE_PUT_REGISTRATION:
        return put_registration(s, &job->registration);
    case STORE_DELETE_REGISTRATION:
        CRASH_POINT("store.unregistration");
        return delete_number(s, SQL_DELETE_REGISTRATION, job->registration.number);
    case STORE_PUT_REJECTED:
        return put_rejected(s, &job->rejected);
    case STORE_DELETE_REJECTED:
        return delete_number(s, SQL_DELETE_REJECTED, job->rejected.id);
    case STORE_READ:
    case STORE_CANCEL:
        break;
    }
    return -EINVAL;
}

int rows_forget_old(struct store *s)
{
    sqlite3_stmt *q;

    if (s->n_remembered < FORGET_SLICE / 2)
        return 0;
    s->n_remembered = 0;
    q = database_get(&s->database, SQL_FORGET_IDS);
    sqlite3_bind_int64(q, 1, wall_ns() - (int64_t)STORE_REMEMBER_S * 1000000000);
    sqlite3_bind_int64(q, 2, FORGET_SLICE);
    return database_run(&s->database, SQL_FORGET_IDS);
}
