/* SPDX-License-Identifier: MIT */
/* Rejected datagrams: into the quarantine, from there to the database, and back at start. */
#include "daemon/control/rejects.h"

#include "daemon/control/desk.h"
#include "daemon/control/keeping.h"
#include "daemon/control/state.h"
#include "daemon/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Jobs at a time. */
#define MAX_POSTED 1024
/* So many bytes of datagrams and their rows are written in one go, at most one in PAUSE_MS. */
#define GO_BYTES  (256 * 1024)
#define ROW_BYTES 256 /* what a row takes besides the datagram, at most */
#define PAUSE_MS  100
/* How often a full database is looked at again. */
#define FULL_MS 1000

/* ---- From workers, and from the last msgd ---- */

void rejects_take(void *context, struct endpoint *endpoint, enum drop_reason reason,
                  int64_t time_ns, const struct address *from, const struct address *to,
                  const uint8_t *bytes, size_t n_bytes)
{
    struct control *control = context;
    const struct desk *desk = endpoint_context(endpoint);
    struct rejected rejected = {.uid = desk->entry ? desk->entry->owner.uid : desk->uid,
                                .reason = reason,
                                .time_ns = time_ns,
                                .from = *from,
                                .to = *to,
                                .bytes = bytes,
                                .n_bytes = n_bytes};

    snprintf(rejected.name, sizeof(rejected.name), "%s", desk->name);
    (void)quarantine_add(control->quarantine, &rejected);
}

int rejects_load(void *context, const struct store_rejected *r)
{
    const struct control *control = context;
    struct rejected rejected = {.id = r->id,
                                .uid = r->uid,
                                .reason = drop_reason_find(r->reason),
                                .time_ns = r->time_ns,
                                .from = r->from,
                                .to = r->to,
                                .bytes = r->bytes,
                                .n_bytes = r->n_bytes};

    if (rejected.reason == N_DROP_REASONS || strlen(r->name) > NAME_BYTES_MAX) {
        log_warning("entry %llu of the quarantine in the database cannot be read; it is left there",
                    (unsigned long long)r->id);
        return 0;
    }
    memcpy(rejected.name, r->name, strlen(r->name) + 1);
    return quarantine_load(control->quarantine, &rejected);
}

/* ---- Jobs ---- */

/* A job with the texts and bytes that it points to: the quarantine may let go of its own. */
struct reject_job {
    struct store_job job;
    char name[NAME_BYTES_MAX + 1];
    uint8_t bytes[];
};

static void close_when_done(struct control *control);

static void finish(struct store_job *job)
{
    struct control *control = job->context;

    control->rejects.n_posted--;
    free(list_member(job, struct reject_job, job));
    if (control->rejects.is_closing) {
        rejects_run(control);
        close_when_done(control);
    }
}

static void on_deleted(struct store_job *job)
{
    if (job->status < 0)
        control_complain(job->context,
                         "what has left the quarantine is still in the database: %s; it is there "
                         "again after a restart",
                         strerrordesc_np(-job->status));
    finish(job);
}

static void on_put(struct store_job *job)
{
    const struct control *control = job->context;

    quarantine_end_write(control->quarantine, job->rejected.id, job->status == 0);
    if (job->status < 0 && job->status != -ECANCELED)
        control_complain(job->context,
                         "a datagram in quarantine is in memory alone: the database does not take "
                         "it: %s",
                         strerrordesc_np(-job->status));
    finish(job);
}

static struct reject_job *new_job(struct control *control, size_t n_bytes)
{
    struct reject_job *r = calloc(1, sizeof(*r) + n_bytes);

    if (r)
        r->job.context = control;
    return r;
}

static void post(struct control *control, struct reject_job *r)
{
    control->rejects.n_posted++;
    store_post(control->port, &r->job);
}

/* False: no memory. */
static bool post_put(struct control *control, const struct rejected *from)
{
    struct reject_job *r = new_job(control, from->n_bytes);

    if (!r || quarantine_begin_write(control->quarantine, from->id) < 0) {
        free(r);
        return false;
    }
    memcpy(r->name, from->name, sizeof(r->name));
    if (from->n_bytes > 0)
        memcpy(r->bytes, from->bytes, from->n_bytes);
    r->job.act = STORE_PUT_REJECTED;
    r->job.done = on_put;
    r->job.rejected = (struct store_rejected){.id = from->id,
                                              .uid = from->uid,
                                              .name = r->name,
                                              .reason = drop_reason_key(from->reason),
                                              .time_ns = from->time_ns,
                                              .from = from->from,
                                              .to = from->to,
                                              .bytes = r->bytes,
                                              .n_bytes = from->n_bytes};
    post(control, r);
    return true;
}

/* ---- Going on ---- */

static void on_timer(uv_timer_t *timer)
{
    struct control *control = timer->data;

    control->rejects.is_pausing = false;
    if (!control->rejects.is_closing)
        return;
    rejects_run(control);
    close_when_done(control);
}

static void pause_for(struct rejects *r, uint64_t ms)
{
    r->is_pausing = true;
    (void)uv_timer_start(&r->timer, on_timer, ms, 0);
}

static void delete_some(struct control *control)
{
    while (control->rejects.n_posted < MAX_POSTED) {
        struct reject_job *r = new_job(control, 0);
        uint64_t id = r ? quarantine_take_deletion(control->quarantine) : 0;

        if (id == 0) {
            free(r);
            return;
        }
        r->job.act = STORE_DELETE_REJECTED;
        r->job.done = on_deleted;
        r->job.rejected.id = id;
        post(control, r);
    }
}

static void put_some(struct control *control)
{
    struct rejects *rejects = &control->rejects;
    const struct rejected *r;
    size_t n_bytes = 0;

    while ((r = quarantine_unwritten(control->quarantine)) && n_bytes < GO_BYTES &&
           rejects->n_posted < MAX_POSTED) {
        n_bytes += ROW_BYTES + r->n_bytes;
        if (!post_put(control, r))
            break;
    }
    pause_for(rejects, PAUSE_MS);
}

void rejects_run(struct control *control)
{
    struct rejects *rejects = &control->rejects;
    const struct store *store = control->options.store;

    if (!control->port || store_state(store) == STORE_FAILED)
        return;
    delete_some(control);
    if (!quarantine_unwritten(control->quarantine) || (rejects->is_pausing && !rejects->is_closing))
        return;
    if (store_has_room(store))
        put_some(control);
    else
        pause_for(rejects, FULL_MS);
}

/* ---- Life ---- */

int rejects_open(struct control *control)
{
    struct rejects *rejects = &control->rejects;
    int r = uv_timer_init(control->loop, &rejects->timer);

    if (r < 0)
        return error_trace(r, "cannot make a timer");
    rejects->timer.data = control;
    rejects->has_timer = true;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;

    control->n_handles--;
    control_check_closed(control);
}

static bool is_writing(const struct control *control)
{
    return store_has_room(control->options.store) &&
           (control->rejects.n_posted > 0 || quarantine_unwritten(control->quarantine));
}

/* Comes with each job that is done, and every PAUSE_MS: without room none may be done any more. */
static void close_when_done(struct control *control)
{
    struct rejects *rejects = &control->rejects;
    size_t n_left;

    if (!rejects->has_timer)
        return;
    if (is_writing(control)) {
        pause_for(rejects, PAUSE_MS);
        return;
    }
    n_left = quarantine_count_unwritten(control->quarantine);
    if (n_left > 0)
        log_warning("%zu datagrams of the quarantine are lost: the database does not take them",
                    n_left);
    rejects->has_timer = false;
    uv_close((uv_handle_t *)&rejects->timer, on_timer_closed);
    keeping_close(control);
}

void rejects_close(struct control *control)
{
    control->rejects.is_closing = true;
    if (!control->rejects.has_timer) {
        keeping_close(control);
        return;
    }
    control->n_handles++;
    rejects_run(control);
    close_when_done(control);
}
