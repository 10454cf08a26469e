/* SPDX-License-Identifier: MIT */
/* An endpoint goes on where its predecessor was stopped. */
#include "daemon/data/recovery.h"

#include "daemon/data/framed.h"
#include "daemon/data/intake.h"
#include "daemon/data/spooling.h"
#include "daemon/data/vault.h"

/* How long the consumers of a predecessor are awaited; as long as a lease lasts at least after a
 * restart. */
#define RETURN_MS 10000

/* What comes again under an id that is still here is no other message. */
static void remember_ids(struct endpoint *e, const struct remainder *r)
{
    struct duplicates *d = &e->worker->duplicates;
    const struct spool *spool = e->mailbox.spool;
    uint64_t now_ms = r->n > 0 ? boot_clock_ms() : 0;

    for (size_t i = 0; i < r->n; i++) {
        struct message_tag tag;
        struct frame_id id;
        record_tag(r->all[i].record, &tag);
        if (tag.n_id == 0 || tag.type == MESSAGE_REPLY)
            continue;
        frame_id_read(tag.id, tag.n_id, &id);
        struct message_key key = {.endpoint = e->number, .id = &id};
        if (duplicates_look(d, &key, now_ms) != DUPLICATE_NOT)
            continue;
        if (spool != NULL && spool->is_durable && r->all[i].seq > spool->remains.last_seq)
            duplicates_pend(d, &key, now_ms);
        else
            duplicates_keep(d, &key, now_ms);
    }
}

static void on_awaited(uv_timer_t *timer)
{
    struct worker *w = CONTAINER_OF(timer, struct worker, return_timer);

    list_for_each(at, next, &w->awaiting)
    {
        struct endpoint *e = list_member(at, struct endpoint, awaiting);

        list_remove(&e->awaiting);
        mailbox_end_await(&e->mailbox);
        endpoint_move(e);
    }
    worker_flush(w);
}

int recovery_init(struct worker *w)
{
    list_init(&w->awaiting);
    return uv_timer_init(&w->loop, &w->return_timer);
}

static void await_consumers(struct endpoint *e)
{
    struct worker *w = e->worker;

    if (!mailbox_await(&e->mailbox))
        return;
    list_join(&w->awaiting, &e->awaiting);
    uv_timer_start(&w->return_timer, on_awaited, RETURN_MS, 0);
}

void endpoint_recover(struct endpoint *e)
{
    struct remainder r = {0};
    struct receive_batch *batch = NULL;

    const struct spool_remains none = {0};

    if (e->is_recoverable)
        vault_remainder(e->worker->options.vault, e->number, &r, &batch);
    uint64_t n_done = remainder_settle(
        &r, e->state, e->mailbox.spool != NULL ? &e->mailbox.spool->remains : &none);
    remainder_file(&r, &e->mailbox);
    remember_ids(e, &r);
    if (batch != NULL)
        intake_resume(batch, e, n_done);
    while (e->is_recoverable &&
           (batch = vault_batch_away(e->worker->options.vault, e->number)) != NULL)
        intake_resume_all(batch, e);
    remainder_end(&r, &e->mailbox);
    spooling_begin(e);
    await_consumers(e);
    worker_flush(e->worker);
}
