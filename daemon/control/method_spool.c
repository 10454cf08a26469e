/* SPDX-License-Identifier: MIT */
/* SpoolRead, SpoolReplay, SpoolPurge: what is on disk of an endpoint's messages. */
#include "daemon/control/access.h"
#include "daemon/control/batch_memory.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/methods.h"
#include "daemon/control/params.h"
#include "daemon/control/replay.h"
#include "daemon/control/state.h"
#include "daemon/store/store.h"
#include "proto/envelope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reply ends with the message that reaches one of these. */
#define REPLY_MESSAGES 1000
#define REPLY_BYTES    (256 * 1024)

/* ---- Reading ---- */

/* One SpoolRead, while the database is read for it. */
struct spool_reading {
    struct store_job job;
    struct call *call;
    struct batch batch;
    char name[NAME_BYTES_MAX + 1]; /* the endpoint may be gone when the answer comes */
    uint64_t generation;
    uint64_t max;
};

static void reading_free(struct spool_reading *reading)
{
    batch_memory_free(&reading->batch);
    free(reading);
}

/* Those that are not released, as many as go into one reply. Returns where to go on. */
static uint64_t put_messages(struct json_writer *w, const struct spool_reading *reading)
{
    const struct store_read *read = &reading->job.read;
    struct envelope envelope = {.name = reading->name, .generation = reading->generation};
    size_t begin = w->length;
    uint64_t n = 0;

    for (size_t at = 0, next; at < read->n_bytes; at = next) {
        envelope.record = batch_record(&reading->batch, at, &next);
        if (envelope.record->seq <= read->released)
            continue;
        if (n == reading->max || w->length - begin >= REPLY_BYTES)
            return envelope.record->seq;
        json_begin_object(w, NULL);
        envelope_write(w, &envelope, "payload");
        json_end_object(w);
        n++;
    }
    return read->last_seq + 1;
}

static void answer(struct spool_reading *reading)
{
    struct call *call = reading->call;
    bool is_end = reading->job.status == -ENOENT;
    struct json_writer *w = call_begin_reply(call);
    uint64_t next = 0;

    json_begin_array(w, "messages");
    if (!is_end)
        next = put_messages(w, reading);
    json_end_array(w);
    if (is_end)
        json_put_null(w, "next");
    else
        json_put_uint(w, "next", next);
    json_put_uint(w, "lost", is_end ? 0 : reading->job.read.n_lost);
    call_finish(call);
}

static void on_read(struct store_job *job)
{
    struct spool_reading *reading = list_member(job, struct spool_reading, job);
    struct call *call = reading->call;

    if (!call_is_live(call))
        call_end(call);
    else if (job->status < 0 && job->status != -ENOENT)
        call_system_error(call, job->status, "reading the database");
    else
        answer(reading);
    reading_free(reading);
}

static struct spool_reading *reading_new(struct call *call, const struct desk *desk, uint64_t from,
                                         uint64_t max)
{
    struct spool_reading *reading = calloc(1, sizeof(*reading));

    if (!reading || batch_memory_new(&reading->batch) < 0) {
        free(reading);
        return NULL;
    }
    reading->call = call;
    reading->generation = desk->entry->generation;
    reading->max = max < REPLY_MESSAGES ? max : REPLY_MESSAGES;
    memcpy(reading->name, desk->name, sizeof(reading->name));
    reading->job = (struct store_job){.act = STORE_READ, .done = on_read};
    reading->job.read = (struct store_read){.endpoint = desk->number,
                                            .from_seq = from,
                                            .bytes = reading->batch.bytes,
                                            .capacity = reading->batch.capacity};
    return reading;
}

void method_spool_read(struct call *call)
{
    const char *name = NULL;
    int64_t from = 0, max = REPLY_MESSAGES;
    const struct param params[] = {{"name", PARAM_STRING, true, &name},
                                   {"from_seq", PARAM_INT, false, &from},
                                   {"max", PARAM_INT, false, &max}};
    const struct desk *desk;
    struct spool_reading *reading;

    if (!PARAMS_PARSE(call, params))
        return;
    if (max == 0) {
        call_invalid_parameter(call, "max");
        return;
    }
    desk = access_owned(call, name);
    if (!desk)
        return;
    reading = reading_new(call, desk, (uint64_t)from, (uint64_t)max);
    if (!reading)
        call_try_again(call, "no memory");
    else
        store_post(call->control->port, &reading->job);
}

/* ---- Giving to another endpoint ---- */

/* One SpoolReplay of what was on disk when it began. */
struct spool_replay {
    struct replay replay;
    struct store_job job; /* reads into the batch */
    uint64_t from_seq;
    uint64_t to_seq;
    uint64_t n_lost;
    char to[NAME_BYTES_MAX + 1];
};

static void spool_replay_free(struct spool_replay *sr)
{
    replay_deinit(&sr->replay);
    free(sr);
}

static void finish(struct spool_replay *sr)
{
    struct json_writer *w = replay_begin_reply(&sr->replay);

    if (w) {
        json_put_uint(w, "lost", sr->n_lost);
        call_finish(sr->replay.call);
    }
    spool_replay_free(sr);
}

/* The batch ends where what is asked for does. */
static void cut(struct spool_replay *sr)
{
    struct batch *batch = &sr->replay.batch;

    batch->n_bytes = sr->job.read.n_bytes;
    for (size_t at = 0, next; at < batch->n_bytes; at = next)
        if (batch_record(batch, at, &next)->seq > sr->to_seq)
            batch->n_bytes = at;
}

static void read_on(struct replay *replay);

static void give(struct spool_replay *sr)
{
    const struct store_read *read = &sr->job.read;
    struct replay *replay = &sr->replay;

    if (sr->to_seq > read->newest_seq)
        sr->to_seq = read->newest_seq;
    if (sr->from_seq <= read->released) {
        sr->from_seq = read->released + 1; /* what is finished may still be there */
        read_on(replay);
        return;
    }
    cut(sr);
    sr->from_seq = read->last_seq + 1;
    sr->n_lost += read->n_lost;
    if (replay->batch.n_bytes == 0) {
        read_on(replay);
    } else if (!replay_give(replay, sr->to)) {
        size_t next;

        replay->next = batch_record(&replay->batch, 0, &next)->seq;
        finish(sr);
    }
}

static void on_read_for_replay(struct store_job *job)
{
    struct spool_replay *sr = list_member(job, struct spool_replay, job);

    if (job->status == 0) {
        give(sr);
    } else if (job->status == -ENOENT || !call_is_live(sr->replay.call)) {
        finish(sr);
    } else {
        call_system_error(sr->replay.call, job->status, "reading the database");
        spool_replay_free(sr);
    }
}

static void read_on(struct replay *replay)
{
    struct spool_replay *sr = list_member(replay, struct spool_replay, replay);
    struct store_port *port = replay->call->control->port;

    if (!port || !call_is_live(replay->call) || replay->next > 0 || sr->from_seq > sr->to_seq) {
        finish(sr);
        return;
    }
    sr->job.read.from_seq = sr->from_seq;
    store_post(port, &sr->job);
}

static struct spool_replay *spool_replay_new(struct call *call, uint64_t number, const char *to)
{
    struct spool_replay *sr = calloc(1, sizeof(*sr));

    if (!sr || replay_init(&sr->replay) < 0) {
        free(sr);
        return NULL;
    }
    sr->replay.call = call;
    sr->replay.go_on = read_on;
    snprintf(sr->to, sizeof(sr->to), "%s", to);
    sr->job = (struct store_job){.act = STORE_READ, .done = on_read_for_replay};
    sr->job.read = (struct store_read){
        .endpoint = number, .bytes = sr->replay.batch.bytes, .capacity = sr->replay.batch.capacity};
    return sr;
}

void method_spool_replay(struct call *call)
{
    const char *name = NULL, *to = NULL;
    int64_t from_seq = 1, to_seq = INT64_MAX;
    const struct param params[] = {{"name", PARAM_STRING, true, &name},
                                   {"to", PARAM_STRING, true, &to},
                                   {"from_seq", PARAM_INT, false, &from_seq},
                                   {"to_seq", PARAM_INT, false, &to_seq}};
    const struct desk *desk;
    struct spool_replay *sr;

    if (!PARAMS_PARSE(call, params))
        return;
    if (strcmp(name, to) == 0) {
        call_invalid_parameter(call, "to");
        return;
    }
    desk = access_owned(call, name);
    if (!desk || !access_owned(call, to))
        return;
    sr = spool_replay_new(call, desk->number, to);
    if (!sr) {
        call_try_again(call, "no memory");
        return;
    }
    sr->from_seq = (uint64_t)from_seq;
    sr->to_seq = (uint64_t)to_seq;
    read_on(&sr->replay);
}

/* ---- Throwing away ---- */

static void on_purged(void *context, uint64_t n)
{
    struct call *call = context;

    if (!call_is_live(call)) {
        call_end(call);
        return;
    }
    json_put_uint(call_begin_reply(call), "purged", n);
    call_finish(call);
}

void method_spool_purge(struct call *call)
{
    struct desk *desk = access_owned_by_name(call);

    if (!desk)
        return;
    if (!desk_endpoint(desk))
        call_try_again(call, "the endpoint is not bound yet");
    else if (worker_purge_spool(desk_worker(desk), desk_endpoint(desk), on_purged, call) < 0)
        call_try_again(call, "no memory");
}
