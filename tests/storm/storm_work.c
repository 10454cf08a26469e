/* SPDX-License-Identifier: MIT */
/* Work by chance for a store. */
#include "tests/storm/storm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t ids[1024];

/* What a batch has touched already: one job each, so that their order does not matter. */
struct touched {
    bool registrations[STORM_REGISTRATIONS + 1];
    bool is_forgotten;
};

/* ---- Life ---- */

static void on_done(struct store_user *u, struct store_job *job);

void storm_work_init(struct storm_work *w, uint64_t seed)
{
    w->random = (struct sim_random){seed};
    w->user.done = on_done;
    w->user.context = w;
    w->row = store_user_row();
    for (unsigned i = 0; i < STORM_BATCH; i++)
        w->jobs[i].bytes = store_user_row();
}

void storm_work_deinit(struct storm_work *w)
{
    free(w->row);
    for (unsigned i = 0; i < STORM_BATCH; i++)
        free(w->jobs[i].bytes);
}

void storm_work_resume(struct storm_work *w, const struct storm_promises *p,
                       const struct storm_findings *f)
{
    for (unsigned i = 1; i <= STORM_ENDPOINTS; i++) {
        const struct storm_promise *e = &p->endpoints[i];
        uint64_t last = f->endpoints[i].last;

        last = last > e->acked ? last : e->acked;
        w->posted[i] = last > e->released ? last : e->released;
        w->acked[i] = e->acked;
    }
}

/* ---- Jobs ---- */

static void tell(struct storm_work *w, enum storm_event event, uint64_t which, uint64_t seq)
{
    w->tell(w->context, event, (uint32_t)which, seq);
}

static uint64_t any_endpoint(struct storm_work *w, const struct touched *t)
{
    return sim_between(&w->random, 1, t->is_forgotten ? STORM_ENDPOINTS - 1 : STORM_ENDPOINTS);
}

static void make_append(struct storm_work *w, struct storm_job *j, const struct touched *t)
{
    uint64_t endpoint = any_endpoint(w, t), first = w->posted[endpoint] + 1;
    uint64_t n = sim_chance(&w->random, 0.3) ? 1 : sim_between(&w->random, 1, 60);
    uint32_t n_payload =
        sim_chance(&w->random, 0.1) ? 3000 : (uint32_t)sim_below(&w->random, 40) * 8;

    if (w->posted[endpoint] + n > STORM_MAX_SEQ)
        n = 0;
    j->job.act = STORE_APPEND;
    j->last = w->posted[endpoint] += n;
    j->job.append.endpoint = endpoint;
    j->job.append.bytes = j->bytes;
    j->job.append.n_bytes = store_user_write(j->bytes, endpoint, first, j->last, n_payload);
    if (sim_chance(&w->random, 0.2)) {
        j->job.append.ids = ids;
        j->job.append.n_ids = 16 * n;
    }
    w->n_messages += n;
}

static void make_trim(struct storm_work *w, struct storm_job *j, const struct touched *t)
{
    uint64_t endpoint = any_endpoint(w, t), acked = w->acked[endpoint];

    j->job.act = STORE_TRIM;
    j->job.trim.endpoint = endpoint;
    j->job.trim.up_to =
        sim_between(&w->random, acked > 800 ? acked - 800 : 0, acked); /* some is always left */
    tell(w, STORM_RELEASING, endpoint, j->job.trim.up_to);
}

static void make_drop(struct storm_work *w, struct storm_job *j, const struct touched *t)
{
    uint64_t endpoint = any_endpoint(w, t), acked = w->acked[endpoint];
    uint64_t first = acked > 900 ? acked - 900 : 0;

    j->job.act = STORE_DROP_OLDEST;
    j->job.drop_oldest.endpoint = endpoint;
    j->job.drop_oldest.older_than_ns = (int64_t)first * 1000;
    tell(w, STORM_RELEASING, endpoint, first);
}

static void make_forget(struct storm_work *w, struct storm_job *j, struct touched *t)
{
    if (t->is_forgotten) {
        make_append(w, j, t);
        return;
    }
    t->is_forgotten = true;
    j->job.act = STORE_FORGET;
    j->job.forget = STORM_ENDPOINTS;
    j->last = w->posted[STORM_ENDPOINTS];
    tell(w, STORM_FORGETTING, STORM_ENDPOINTS, j->last);
}

static void make_read(struct storm_work *w, struct storm_job *j, const struct touched *t)
{
    j->job.act = STORE_READ;
    j->job.read.endpoint = any_endpoint(w, t);
    j->job.read.from_seq = sim_between(&w->random, 1, w->acked[j->job.read.endpoint] + 1);
    j->job.read.bytes = j->bytes;
    j->job.read.capacity = STORE_ROW_BYTES;
}

static void make_registration(struct storm_work *w, struct storm_job *j, struct touched *t)
{
    uint64_t number = sim_between(&w->random, 1, STORM_REGISTRATIONS);

    if (t->registrations[number]) {
        make_read(w, j, t);
        return;
    }
    t->registrations[number] = true;
    tell(w, STORM_CHANGING, number, 0);
    j->job.registration.number = number;
    if (sim_chance(&w->random, 0.3)) {
        j->job.act = STORE_DELETE_REGISTRATION;
        return;
    }
    j->last = ++w->n_texts;
    snprintf(j->text, sizeof(j->text), "%llu", (unsigned long long)j->last);
    j->job.act = STORE_PUT_REGISTRATION;
    j->job.registration.name = "storm";
    j->job.registration.bytes = j->text;
    j->job.registration.n_bytes = strlen(j->text) + 1;
}

static void make_rejected(struct storm_work *w, struct storm_job *j)
{
    j->job.rejected.id = ++w->n_rejected;
    if (w->n_rejected % 3 == 0) {
        j->job.act = STORE_DELETE_REJECTED;
        j->job.rejected.id -= 2;
        return;
    }
    j->job.act = STORE_PUT_REJECTED;
    j->job.rejected.name = "storm";
    j->job.rejected.reason = "invalid_json";
    j->job.rejected.bytes = ids;
    j->job.rejected.n_bytes = sim_below(&w->random, sizeof(ids));
}

static void make(struct storm_work *w, struct storm_job *j, struct touched *t, uint64_t chance)
{
    if (chance < 60)
        make_append(w, j, t);
    else if (chance < 75)
        make_trim(w, j, t);
    else if (chance < 80)
        make_drop(w, j, t);
    else if (chance < 85)
        make_read(w, j, t);
    else if (chance < 92)
        make_registration(w, j, t);
    else if (chance < 97)
        make_rejected(w, j);
    else
        make_forget(w, j, t);
}

/* ---- What became of them ---- */

static void on_done(struct store_user *u, struct store_job *job)
{
    struct storm_work *w = u->context;
    const struct storm_job *j = (const struct storm_job *)(const void *)job;

    if (job->act == STORE_READ)
        return;
    if (job->status != 0) {
        w->n_refused++;
        return;
    }
    if (job->act == STORE_APPEND) {
        if (w->acked[job->append.endpoint] < j->last)
            w->acked[job->append.endpoint] = j->last;
        tell(w, STORM_ACKED, job->append.endpoint, j->last);
    } else if (job->act == STORE_FORGET) {
        tell(w, STORM_FORGOTTEN, STORM_ENDPOINTS, j->last);
    } else if (job->act == STORE_PUT_REGISTRATION) {
        tell(w, STORM_REGISTERED, job->registration.number, j->last);
    } else if (job->act == STORE_DELETE_REGISTRATION) {
        tell(w, STORM_UNREGISTERED, job->registration.number, 0);
    }
}

void storm_work_batch(struct storm_work *w)
{
    struct store_job *jobs[STORM_BATCH];
    struct touched touched = {0};
    uint64_t n = sim_between(&w->random, 1, STORM_BATCH);

    for (uint64_t i = 0; i < n; i++) {
        uint64_t chance = sim_below(&w->random, 100);

        /* Nothing waits for company where one is in a hurry. */
        w->jobs[i] = (struct storm_job){.bytes = w->jobs[i].bytes};
        make(w, &w->jobs[i], &touched, i == 0 ? chance % 60 : chance);
        jobs[i] = &w->jobs[i].job;
    }
    store_user_post_all(&w->user, jobs, n);
    store_user_wait(&w->user, 0);
}
