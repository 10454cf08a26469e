/* SPDX-License-Identifier: MIT */
/* Tap calls. */
#include "daemon/control/tap.h"

#include "daemon/control/access.h"
#include "daemon/control/batch_memory.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/holders.h"
#include "daemon/control/methods.h"
#include "daemon/control/state.h"
#include "proto/envelope.h"

#include <stdlib.h>
#include <string.h>

struct tapping {
    struct list link; /* desk->taps */
    struct call *call;
    struct desk *desk;
    struct tap *tap;
    struct batch batch;
};

static struct call *tapping_free(struct tapping *t)
{
    struct call *call = t->call;

    list_remove(&t->link);
    if (t->tap)
        tap_close(t->tap);
    batch_memory_free(&t->batch);
    free(t);
    call->state = NULL;
    call->cancel = NULL;
    call->drained = NULL;
    return call;
}

static void on_cancelled(struct call *call)
{
    call_end(tapping_free(call->state));
}

static void write_messages(struct tapping *t, struct json_writer *text, uint64_t missed)
{
    struct envelope envelope = {.name = t->desk->name, .generation = t->desk->entry->generation};

    for (size_t at = 0, next; at < t->batch.n_bytes; at = next) {
        envelope.record = batch_record(&t->batch, at, &next);
        varlink_begin_reply(text, true);
        envelope_write(text, &envelope, "payload");
        json_put_uint(text, "missed", missed);
        varlink_end(text);
    }
}

/* What the client has not read yet waits in the tap, which is bounded. */
static void pump(struct tapping *t)
{
    struct outgoing_item item = {.call = t->call};
    struct json_writer text;
    uint64_t missed;

    if (!call_is_live(t->call) || !connection_is_drained(t->call->connection))
        return;
    missed = tap_read(t->tap, &t->batch);
    if (t->batch.n_messages == 0)
        return;
    json_writer_init(&text);
    write_messages(t, &text, missed);
    if (text.error) {
        json_writer_deinit(&text);
        call_try_again(tapping_free(t), "no memory");
        return;
    }
    item.text = &text;
    connection_send(t->call->connection, &item);
}

static void on_drained(struct call *call)
{
    pump(call->state);
}

void tap_has_news(struct tap *tap)
{
    pump(tap_context(tap));
}

void taps_end(struct desk *desk, const struct ending *ending)
{
    while (!list_is_empty(&desk->taps)) {
        struct tapping *t = list_member(desk->taps.next, struct tapping, link);

        ending_answer(tapping_free(t), desk->name, ending);
    }
}

static void start(struct tapping *t)
{
    struct call *call = t->call;

    list_append(&t->desk->taps, &t->link);
    call->state = t;
    call->cancel = on_cancelled;
    call->drained = on_drained;
    call->is_stream = call->is_unbounded = true;
}

static void tap_desk(struct call *call, struct desk *desk)
{
    struct tapping *t = calloc(1, sizeof(*t));
    int r;

    if (!t) {
        call_try_again(call, "no memory");
        return;
    }
    t->call = call;
    t->desk = desk;
    r = batch_memory_new(&t->batch);
    if (r == 0)
        r = tap_open(&t->tap, desk_worker(desk), desk_endpoint(desk), t);
    if (r == 0)
        start(t);
    else
        call_system_error(tapping_free(t), r, "tapping");
}

void method_tap(struct call *call)
{
    struct desk *desk = access_owned_by_name(call);

    if (!desk)
        return;
    if (desk_endpoint(desk))
        tap_desk(call, desk);
    else
        call_try_again(call, "the endpoint is not bound yet");
}
