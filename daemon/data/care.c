/* SPDX-License-Identifier: MIT */
/* Looking after messages that grow too old, and after consumers that stall. */
#include "daemon/data/care.h"

#include "daemon/core/stall.h"
#include "daemon/data/evidence.h"

#include <string.h>

/* An endpoint is looked at so often while its shortest time passes, within these bounds. */
#define LOOKS        4
#define MIN_LOOK_MS  250
#define MAX_LOOK_MS  15000
#define DROPS_A_LOOK 4096

/* ---- How often ---- */

static uint64_t look_ms(const struct settings *s)
{
    uint64_t least_s = s->ttl_s;

    if (least_s == 0 || (s->stall_s != 0 && s->stall_s < least_s))
        least_s = s->stall_s;
    uint64_t ms = least_s * 1000 / LOOKS;
    if (ms > MAX_LOOK_MS)
        return MAX_LOOK_MS;
    return ms < MIN_LOOK_MS ? MIN_LOOK_MS : ms;
}

/* ---- Looking ---- */

/* Control. */
static void stalled_done(struct command *c)
{
    struct endpoint *e = CONTAINER_OF(c, struct endpoint, stalled);
    const struct worker_events *events = &e->worker->options.events;

    atomic_store(&e->is_stall_told, false);
    events->consumers_stalled(events->context, e);
}

static void tell(struct endpoint *e)
{
    if (atomic_exchange(&e->is_stall_told, true))
        return;
    e->stalled.done = stalled_done;
    command_finish(e->worker, &e->stalled);
}

/* How soon to look at it again; 0: there is nothing to look for. */
static uint64_t look(struct endpoint *e)
{
    const struct settings *s = &e->settings;
    int64_t now_ms = (int64_t)uv_now(&e->worker->loop);

    mailbox_collect(&e->mailbox);
    bool is_more = e->mailbox.ttl_ns > 0 &&
                   mailbox_expire(&e->mailbox, wall_clock_ns() - e->mailbox.ttl_ns, DROPS_A_LOOK);
    if (stall_watch(&e->mailbox, now_ms, s->stall_s * INT64_C(1000)) && s->on_stall == STALL_AWAY)
        tell(e);
    if (e->ledger->queued == 0)
        return 0;
    return is_more ? 1 : look_ms(s);
}

static void on_look(uv_timer_t *timer)
{
    struct worker *w = CONTAINER_OF(timer, struct worker, care);
    uint64_t next_ms = 0;

    list_for_each(at, next, &w->cared)
    {
        struct endpoint *e = list_member(at, struct endpoint, of_care);
        uint64_t ms = look(e);
        if (ms > 0 && (next_ms == 0 || ms < next_ms))
            next_ms = ms;
    }
    worker_flush(w); /* which may have set the timer */
    if (next_ms > 0)
        uv_timer_start(timer, on_look, next_ms, 0);
    else
        uv_timer_stop(timer);
}

/* ---- From outside ---- */

int care_init(struct worker *w)
{
    list_init(&w->cared);
    w->care_ms = MAX_LOOK_MS;
    return uv_timer_init(&w->loop, &w->care);
}

void care_configure(struct endpoint *e)
{
    struct worker *w = e->worker;

    if (e->is_removed)
        return;
    if (e->settings.ttl_s == 0 && e->settings.stall_s == 0) {
        care_leave(e);
        stall_watch(&e->mailbox, 0, 0);
        return;
    }
    list_join(&w->cared, &e->of_care);
    if (look_ms(&e->settings) < w->care_ms)
        w->care_ms = look_ms(&e->settings);
    care_soon(w);
}

void care_leave(struct endpoint *e)
{
    list_remove(&e->of_care);
    if (list_is_empty(&e->worker->cared))
        e->worker->care_ms = MAX_LOOK_MS;
}

void care_soon(struct worker *w)
{
    if (!list_is_empty(&w->cared) &&
        (!uv_is_active((uv_handle_t *)&w->care) || uv_timer_get_due_in(&w->care) > w->care_ms))
        uv_timer_start(&w->care, on_look, w->care_ms, 0);
}

/* ---- Setting aside ---- */

bool care_has_room_aside(void *endpoint, const struct record *r)
{
    const struct endpoint *e = endpoint;

    return evidence_has_room(e->worker, record_length_of(record_word_of(r)));
}

void care_put_aside(void *endpoint, const struct record *r)
{
    struct arrival a = {.bytes = (const uint8_t *)(r + 1),
                        .n_bytes = record_length_of(record_word_of(r))};

    memcpy(&a.meta, r, sizeof(a.meta));
    evidence_put(endpoint, DROP_MAX_DELIVER, &a);
}
