/* SPDX-License-Identifier: MIT */
/* Messages that are given to an endpoint again. */
#include "daemon/control/replay.h"

#include "daemon/control/batch_memory.h"
#include "daemon/control/desk.h"
#include "daemon/control/state.h"

#include <string.h>

int replay_init(struct replay *replay)
{
    return batch_memory_new(&replay->batch);
}

void replay_deinit(struct replay *replay)
{
    batch_memory_free(&replay->batch);
}

bool replay_add(struct replay *replay, const struct record *meta, const void *bytes, uint32_t n)
{
    struct batch *batch = &replay->batch;
    struct record *r = (void *)(batch->bytes + batch->n_bytes);

    if (record_bytes(n) > batch->capacity - batch->n_bytes)
        return false;
    memcpy(r, meta, sizeof(*r));
    atomic_store_explicit(&r->word, record_word(RECORD_MESSAGE, n, 0), memory_order_relaxed);
    if (n > 0)
        memcpy(record_payload(r), bytes, n);
    batch->n_bytes += record_bytes(n);
    return true;
}

/* One that is through. */
static void settle(struct replay *replay, const struct record *r)
{
    if (r->slot == 0) {
        replay->refused++;
        return;
    }
    replay->accepted++;
    if (replay->accepted_one)
        replay->accepted_one(replay, r->seq);
}

static void on_given(void *context, size_t n_through)
{
    struct replay *replay = context;

    for (size_t at = 0, next; at < replay->batch.n_bytes; at = next) {
        const struct record *r = batch_record(&replay->batch, at, &next);

        if (n_through == 0) {
            replay->refused++;
            replay->next = r->seq;
            break;
        }
        n_through--;
        settle(replay, r);
    }
    replay->batch.n_bytes = 0;
    replay->go_on(replay);
}

bool replay_give(struct replay *replay, const char *name)
{
    const struct entry *entry = registry_find(replay->call->control->registry, name);
    struct injection injection = {.batch = &replay->batch,
                                  .is_datagrams = replay->is_datagrams,
                                  .done = on_given,
                                  .context = replay};

    if (!entry || !entry->endpoint)
        return false;
    injection.endpoint = entry->endpoint;
    return worker_inject(desk_worker(desk_of(entry)), &injection) == 0;
}

void replay_refuse(struct replay *replay)
{
    for (size_t at = 0; at < replay->batch.n_bytes; replay->refused++)
        (void)batch_record(&replay->batch, at, &at);
    replay->batch.n_bytes = 0;
}

struct json_writer *replay_begin_reply(struct replay *replay)
{
    struct json_writer *w;

    if (!call_is_live(replay->call)) {
        call_end(replay->call);
        return NULL;
    }
    w = call_begin_reply(replay->call);
    json_put_uint(w, "accepted", replay->accepted);
    json_put_uint(w, "refused", replay->refused);
    if (replay->next > 0)
        json_put_uint(w, "next", replay->next);
    else
        json_put_null(w, "next");
    return w;
}
