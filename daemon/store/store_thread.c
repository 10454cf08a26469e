/* SPDX-License-Identifier: MIT */
/* The store's thread: what has gathered becomes one transaction. */
#include "daemon/base/crash_point.h"
#include "daemon/store/store_state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* How often what waits for room is tried again, and the disk looked at while there is none. */
#define RETRY_NS (100 * INT64_C(1000000))
/* How long what nobody waits for (releases) may wait for company. */
#define LAZY_NS (50 * INT64_C(1000000))

enum choice { ALL_JOBS, NO_APPENDS };

struct group {
    struct job_list writes;
    struct job_list reads;
    size_t n_bytes;            /* that are appended */
    size_t n_log_bytes;        /* that appends add to the log at most */
    bool is_lazy;              /* a power cut may undo it: all of it would only be done again */
    struct store_job *culprit; /* for which nothing may be committed; NULL: another reason */
};

static bool is_lazy_act(enum store_act act)
{
    return act == STORE_TRIM || act == STORE_DELETE_REJECTED;
}

/* ---- Jobs that are done ---- */

static void finish(struct store_job *job, int status)
{
    job->status = status;
    port_finish(job);
}

static void finish_all(struct job_list *list, int status)
{
    struct store_job *job;

    while ((job = job_list_take(list)) != NULL)
        finish(job, status);
}

/* Of an endpoint that is forgotten, its messages. Else (NULL) of ports that close: what can be done
 * without and may wait for room, or all. */
static bool is_cancelled(const struct store_job *job, const uint64_t *forgotten, bool is_all)
{
    if (forgotten != NULL)
        return job->act == STORE_APPEND && job->append.endpoint == *forgotten;
    return job->port->is_cancelled &&
           (is_all || job->act == STORE_APPEND || job->act == STORE_PUT_REJECTED);
}

static void cancel(struct job_list *list, const uint64_t *forgotten, bool is_all)
{
    struct job_list kept;
    struct store_job *job;

    job_list_init(&kept);
    while ((job = job_list_take(list)) != NULL) {
        if (is_cancelled(job, forgotten, is_all))
            finish(job, -ECANCELED);
        else
            job_list_append(&kept, job);
    }
    job_list_prepend_all(list, &kept);
}

/* What waits and will not be carried out: its port closes, or its endpoint is forgotten. */
static void cancel_before(struct store *s, struct job_list *kept, const struct store_job *because)
{
    const uint64_t *forgotten = because->act == STORE_FORGET ? &because->forget : NULL;

    if (because->act == STORE_CANCEL)
        because->port->is_cancelled = true;
    cancel(&s->waiting, forgotten, false);
    cancel(kept, forgotten, false);
}

/* ---- Waiting ---- */

static bool has_only_lazy_jobs(const struct store *s)
{
    for (const struct store_job *job = s->queue.first; job != NULL; job = job->next)
        if (!is_lazy_act(job->act))
            return false;
    return true;
}

/* Nanoseconds until there is something to do; 0: now; -1: when something is posted. */
static int64_t time_left(struct store *s)
{
    int64_t now = monotonic_ns(), left = -1;

    if (!job_list_is_empty(&s->queue)) {
        if (s->was_refused || s->is_hurried || s->has_unfinished || !has_only_lazy_jobs(s))
            return 0;
        if (s->lazy_ns == 0)
            s->lazy_ns = now;
        left = s->lazy_ns + LAZY_NS - now;
        if (left <= 0)
            return 0;
    }
    if (atomic_load(&s->state) == STORE_FULL) {
        int64_t again = s->refused_ns + RETRY_NS - now;

        if (again <= 0)
            return 0;
        left = left < 0 || again < left ? again : left;
    }
    return left;
}

/* Takes over what has been posted, waiting for it as long as there is nothing else to do. False:
 * the store is to end, and nothing was left to take. */
static bool gather(struct store *s)
{
    bool goes_on;

    uv_mutex_lock(&s->lock);
    for (;;) {
        struct job_list posted;
        int64_t left;

        job_list_init(&posted);
        job_list_prepend_all(&posted, &s->posted);
        job_list_prepend_all(&posted, &s->queue);
        job_list_prepend_all(&s->queue, &posted);
        s->is_hurried = s->is_stopping;
        left = time_left(s);
        if (left == 0 || s->is_stopping)
            break;
        if (left < 0)
            uv_cond_wait(&s->has_posted, &s->lock);
        else
            (void)uv_cond_timedwait(&s->has_posted, &s->lock, (uint64_t)left);
    }
    goes_on = !s->is_stopping || !job_list_is_empty(&s->queue);
    uv_mutex_unlock(&s->lock);
    s->lazy_ns = 0;
    return goes_on;
}

/* ---- Choosing ---- */

static void refuse(struct store *s, int error)
{
    s->was_refused = true;
    s->refusal = error;
    s->refused_ns = monotonic_ns();
}

/* True: the append is part of the group. False: there is no room for it. */
static bool admit(struct store *s, const struct store_append *a, struct group *g)
{
    size_t bytes = a->n_bytes + a->n_ids;

    if (s->was_refused || s->reserve.error < 0 || !room_is_for(s, g->n_bytes + bytes))
        return false;
    g->n_bytes += bytes;
    /* Beside them a page of each index that it falls in. */
    g->n_log_bytes += bytes + (a->n_ids > 0 ? 2 : 1) * (size_t)DATABASE_PAGE_BYTES;
    return true;
}

static void choose_job(struct store *s, struct store_job *job, struct group *g)
{
    switch (job->act) {
    case STORE_CANCEL:
        finish(job, 0);
        return;
    case STORE_READ:
        job_list_append(&g->reads, job);
        return;
    case STORE_APPEND:
        if (!admit(s, &job->append, g)) {
            if (!s->was_refused)
                refuse(s, s->reserve.error);
            job_list_append(&s->waiting, job);
            return;
        }
        break;
    default:
        break;
    }
    g->is_lazy = g->is_lazy && is_lazy_act(job->act);
    job_list_append(&g->writes, job);
}

/* Takes from the queue what the next transaction is to do; appends that are not chosen stay. */
static void choose(struct store *s, enum choice choice, struct group *g)
{
    struct job_list kept;
    struct store_job *job;

    *g = (struct group){.is_lazy = true};
    job_list_init(&g->writes);
    job_list_init(&g->reads);
    job_list_init(&kept);
    while (g->n_log_bytes < s->database.log_bytes && (job = job_list_take(&s->queue)) != NULL) {
        if (job->act == STORE_FORGET || job->act == STORE_CANCEL)
            cancel_before(s, &kept, job);
        if (choice == NO_APPENDS && job->act == STORE_APPEND)
            job_list_append(&kept, job);
        else
            choose_job(s, job, g);
    }
    job_list_prepend_all(&s->queue, &kept);
}

/* ---- One transaction ---- */

static bool is_deletion(enum store_act act)
{
    return act == STORE_TRIM || act == STORE_FORGET || act == STORE_DROP_OLDEST;
}

/* Does one job, a deletion as far as the log allows. 1: it has more to do. */
static int apply(struct store *s, struct store_job *job)
{
    int r;

    if (is_deletion(job->act) && s->spendable <= 0)
        return 1;
    do
        r = rows_apply(s, job);
    while (r > 0 && s->spendable > 0);
    return r;
}

/* Does the jobs; *again gets those that want another turn, *done the others. 0, or why none of it
 * may be committed: then all of them are back in g->writes. */
static int apply_all(struct store *s, struct group *g, struct job_list *done,
                     struct job_list *again)
{
    struct store_job *job;

    s->spendable = s->database.log_bytes / 4;
    g->culprit = NULL;
    while ((job = job_list_take(&g->writes)) != NULL) {
        uint64_t cursor = job->cursor;
        int r = apply(s, job);

        job->status = r < 0 ? r : 0;
        job_list_append(r > 0 ? again : done, job);
        if (r < 0 && r != -EINVAL) {
            job->cursor = cursor;
            g->culprit = job;
            return r;
        }
    }
    return rows_forget_old(s);
}

static int transact(struct store *s, struct group *g, struct job_list *done, struct job_list *again)
{
    int r = database_begin(&s->database, g->is_lazy);

    if (r == 0)
        r = apply_all(s, g, done, again);
    CRASH_POINT("store.before_commit");
    if (r == 0)
        r = database_commit(&s->database);
    CRASH_POINT("store.after_commit");
    if (r < 0)
        database_roll_back(&s->database);
    return r;
}

/* What was done is told; what has more to do comes first again. */
static void settle(struct store *s, struct job_list *done, struct job_list *again)
{
    struct store_job *job;

    atomic_fetch_add(&s->n_commits, 1);
    CRASH_POINT("store.before_done");
    while ((job = job_list_take(done)) != NULL)
        finish(job, job->status);
    CRASH_POINT("store.after_done");
    s->has_unfinished = !job_list_is_empty(again);
    job_list_prepend_all(&s->queue, again);
}

/* Nothing of the group was committed: it is as it was. */
static void put_back(struct group *g, struct job_list *done, struct job_list *again)
{
    job_list_prepend_all(&g->writes, again);
    job_list_prepend_all(&g->writes, done);
    for (struct store_job *job = g->writes.first; job != NULL; job = job->next)
        job->cursor = 0;
}

/*
 * Damage was in the way, and nothing was committed: after an error of that kind SQLite writes
 * nothing more in a transaction. True: it may go better now, for what was damaged is made anew or
 * passed over, or its job has ended alone.
 */
static bool get_over_damage(struct store *s, struct group *g, unsigned n_stuck)
{
    struct store_job *culprit = g->culprit, *job;
    struct job_list others;

    if (s->n_stuck > n_stuck || store_mend(s) > 0)
        return true;
    if (culprit == NULL || culprit->act == STORE_APPEND)
        return false;
    job_list_init(&others);
    while ((job = job_list_take(&g->writes)) != NULL)
        if (job != culprit)
            job_list_append(&others, job);
    job_list_prepend_all(&g->writes, &others);
    finish(culprit, -EUCLEAN);
    return true;
}

/* What may succeed later waits, in its old order. */
static void give_up(struct store *s, struct group *g, int error)
{
    if (!database_error_passes(error)) {
        store_fail(s, error, "writing");
        finish_all(&g->writes, -EIO);
        return;
    }
    refuse(s, error);
    job_list_prepend_all(&s->waiting, &g->writes);
    /* They have been tried once more, and whoever closes a port wants to end. */
    cancel(&s->waiting, NULL, true);
}

static void checkpoint(struct store *s)
{
    int r = database_checkpoint(&s->database);

    if (r == 0 && s->database.n_log_pages == 0)
        room_reserve(s);
    if (r == 0 || r == -EBUSY)
        return;
    if (database_error_passes(r))
        refuse(s, r);
    else
        store_fail(s, r, "moving the log into the database");
}

/* 0, or why nothing was committed. */
static int run_writes(struct store *s, struct group *g)
{
    struct job_list done, again;
    unsigned n_stuck;
    int r;

    if (job_list_is_empty(&g->writes))
        return 0;
    if (atomic_load(&s->state) == STORE_FAILED) {
        finish_all(&g->writes, -EIO);
        return -EIO;
    }
    job_list_init(&done);
    job_list_init(&again);
    do {
        n_stuck = s->n_stuck;
        r = transact(s, g, &done, &again);
        if (r < 0)
            put_back(g, &done, &again);
    } while (r == -EUCLEAN && get_over_damage(s, g, n_stuck));
    if (r < 0) {
        give_up(s, g, r);
    } else {
        if (job_list_is_empty(&s->waiting))
            s->was_refused = false;
        settle(s, &done, &again);
        checkpoint(s);
    }
    room_look(s);
    return r;
}

static void run_reads(struct store *s, struct job_list *reads)
{
    struct store_job *job;

    while ((job = job_list_take(reads)) != NULL)
        finish(job, chunks_read(s, &job->read));
}

/* ---- Turns ---- */

static void retry_appends(struct store *s)
{
    struct group g;

    job_list_prepend_all(&s->queue, &s->waiting);
    s->was_refused = false;
    choose(s, ALL_JOBS, &g);
    (void)run_writes(s, &g);
    run_reads(s, &g.reads);
}

/* While there is no room: releases first, by themselves, then what waits once more. */
static void turn_when_refused(struct store *s)
{
    bool is_due = monotonic_ns() - s->refused_ns >= RETRY_NS || s->is_hurried;
    struct group g;

    if (is_due)
        job_list_prepend_all(&s->queue, &s->waiting);
    choose(s, NO_APPENDS, &g);
    if (run_writes(s, &g) < 0)
        job_list_append_all(&s->waiting, &s->queue);
    else
        retry_appends(s);
    run_reads(s, &g.reads);
    if (job_list_is_empty(&s->waiting))
        s->was_refused = false;
    room_look(s);
}

static void turn(struct store *s)
{
    struct group g;

    if (s->was_refused) {
        turn_when_refused(s);
        return;
    }
    choose(s, ALL_JOBS, &g);
    (void)run_writes(s, &g);
    run_reads(s, &g.reads);
    if (job_list_is_empty(&s->queue) && atomic_load(&s->state) == STORE_FULL) {
        s->refused_ns = monotonic_ns();
        room_look(s);
    }
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

    if (fd >= 0)
        close(fd);
    return r;
}

/* What is to be on disk before anything is acknowledged: the log of a predecessor, and a new file's
 * name. Nobody waits for it: msgd reads its sockets meanwhile. */
static void begin(struct store *s)
{
    int r = sync_directory(s->directory);

    if (r < 0)
        store_fail(s, r, "syncing its directory");
    r = database_begin_log(&s->database);
    if (r < 0)
        store_fail(s, r, "moving the log into the database");
    room_reserve(s);
    room_look(s);
}

void store_run(void *context)
{
    struct store *s = context;

    begin(s);
    while (gather(s))
        turn(s);
    finish_all(&s->waiting, -ECANCELED);
}
