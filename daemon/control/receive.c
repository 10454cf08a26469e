/* SPDX-License-Identifier: MIT */
/* A Receive call. */
#include "daemon/control/receive.h"

#include "daemon/control/batch_memory.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/greeter.h"
#include "daemon/control/holders.h"
#include "daemon/control/methods.h"
#include "daemon/control/registration.h"
#include "daemon/control/state.h"
#include "proto/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_DEFAULT 512
#define WINDOW_MAX     65536
/* Handed over at a time, so that what lies in the socket stays small. */
#define FETCH_MESSAGES 64

struct receive {
    struct call *call;     /* NULL: has ended */
    struct holder *holder; /* NULL: has left */
    struct receiver *receiver;
    struct greeter greeter; /* its sessions */
    struct batch batch;
    bool is_fetching; /* batch is the worker's */
    bool is_manual;
    uint32_t window;
    struct origins origins;
    struct unreleased unreleased;
    uint64_t n_handed;        /* to the connection, ever */
    uint64_t n_handed_before; /* of those, by former receivers */
};

/* ---- Life ---- */

static void free_if_unused(struct receive *receive)
{
    if (receive->call || receive->holder || receive->is_fetching)
        return;
    batch_memory_free(&receive->batch);
    origins_deinit(&receive->origins);
    unreleased_deinit(&receive->unreleased);
    free(receive);
}

static void close_receiver(struct receive *receive)
{
    if (receive->receiver)
        receiver_close(receive->receiver);
    receive->receiver = NULL;
}

void receive_lose_holder(struct receive *receive)
{
    greeter_leave(&receive->greeter);
    close_receiver(receive);
    receive->holder->receive = NULL;
    receive->holder = NULL;
    free_if_unused(receive);
}

/* Forgets the call, which the caller answers or ends. */
static struct call *let_go_of_call(struct receive *receive)
{
    struct call *call = receive->call;
    struct holder *holder = receive->holder;

    greeter_leave(&receive->greeter);
    receive->call = NULL;
    call->state = NULL;
    call->cancel = NULL;
    call->drained = NULL;
    call->written = NULL;
    if (holder)
        holder_leave(holder);
    else
        free_if_unused(receive);
    return call;
}

static void on_cancelled(struct call *call)
{
    call_end(let_go_of_call(call->state));
}

void receive_end(struct receive *receive, const struct ending *ending)
{
    char name[NAME_BYTES_MAX + 1];

    memcpy(name, receive->holder->desk->name, sizeof(name));
    ending_answer(let_go_of_call(receive), name, ending);
}

static void fail(struct receive *receive, int error)
{
    call_system_error(let_go_of_call(receive), error, "receiving");
}

/* ---- Handing over ---- */

static void pump(struct receive *receive);

struct handing {
    struct json_writer text;
    struct mark *marks;
    size_t n_marks;
};

static int note(struct receive *receive, const struct record *record)
{
    struct origin origin = {.seq = record->seq};
    struct message_tag tag;
    int r;

    record_tag(record, &tag);
    origin.type = tag.type;
    origin.n_id = (uint8_t)tag.n_id;
    if (tag.n_id > 0)
        memcpy(origin.id, tag.id, tag.n_id);
    record_from(record, &origin.from);
    record_to(record, &origin.to);
    r = origins_add(&receive->origins, &origin);
    if (r == 0 && receive->is_manual)
        r = unreleased_add(&receive->unreleased, record->seq);
    return r;
}

static int write_message(struct receive *receive, const struct record *record, struct handing *h)
{
    const struct desk *desk = receive->holder->desk;
    struct envelope envelope = {
        .name = desk->name, .generation = desk->entry->generation, .record = record};

    varlink_begin_reply(&h->text, true);
    envelope_write(&h->text, &envelope, "payload");
    varlink_end(&h->text);
    h->marks[h->n_marks++] = (struct mark){.end = h->text.length, .value = ++receive->n_handed};
    return h->text.error ? h->text.error : note(receive, record);
}

static int write_batch(struct receive *receive, struct handing *h)
{
    json_writer_init(&h->text);
    h->n_marks = 0;
    h->marks = calloc(receive->batch.n_messages, sizeof(*h->marks));
    if (!h->marks)
        return -ENOMEM;
    for (size_t at = 0, next; at < receive->batch.n_bytes; at = next) {
        int r = write_message(receive, batch_record(&receive->batch, at, &next), h);

        if (r < 0)
            return r;
    }
    return 0;
}

static void hand_over(struct receive *receive)
{
    struct handing h;
    int r = write_batch(receive, &h);

    if (r < 0) {
        json_writer_deinit(&h.text);
        free(h.marks);
        fail(receive, r);
        return;
    }
    connection_send(receive->call->connection, &(struct outgoing_item){.text = &h.text,
                                                                       .marks = h.marks,
                                                                       .n_marks = h.n_marks,
                                                                       .call = receive->call});
}

static void on_fetched(void *context, int status, struct batch *batch)
{
    struct receive *receive = context;

    (void)batch;
    receive->is_fetching = false;
    if (!receive->call || !receive->holder) {
        free_if_unused(receive);
    } else if (status == 0 && call_is_live(receive->call)) {
        hand_over(receive);
    } else if (receive->receiver) {
        /* A receiver that was closed for a new one: the new one has not fetched yet. */
        pump(receive);
    }
}

static size_t room_in_window(const struct receive *receive)
{
    size_t n = unreleased_count(&receive->unreleased);

    if (!receive->is_manual)
        return FETCH_MESSAGES;
    if (n >= receive->window)
        return 0;
    return receive->window - n < FETCH_MESSAGES ? receive->window - n : FETCH_MESSAGES;
}

static void pump(struct receive *receive)
{
    size_t room = room_in_window(receive);

    if (!receive->receiver || receive->is_fetching || room == 0 || !call_is_live(receive->call) ||
        !connection_is_drained(receive->call->connection))
        return;
    receive->is_fetching = true;
    receiver_fetch(receive->receiver, &receive->batch, room, on_fetched, receive);
}

static void on_drained(struct call *call)
{
    struct receive *receive = call->state;

    pump(receive);
    greeter_drained(&receive->greeter);
}

/* n: how many messages have been written since the call began. */
static void on_written(struct call *call, uint64_t n)
{
    struct receive *receive = call->state;

    if (!receive->is_manual && receive->receiver && n > receive->n_handed_before)
        receiver_release(receive->receiver, n - receive->n_handed_before);
}

/* ---- From outside ---- */

void receive_connect(struct receive *receive)
{
    struct desk *desk = receive->holder->desk;
    int r;

    close_receiver(receive);
    /* What the former receiver handed over and nobody released comes again. */
    unreleased_deinit(&receive->unreleased);
    receive->n_handed_before = receive->n_handed;
    if (!desk_endpoint(desk))
        return;
    r = receiver_open(&receive->receiver, desk_worker(desk), desk_endpoint(desk));
    if (r < 0)
        fail(receive, r);
    else
        pump(receive);
}

const void *receive_key(const struct receive *receive)
{
    return receive->receiver;
}

bool receive_holds(const struct receive *receive, uint64_t seq)
{
    return unreleased_has(&receive->unreleased, seq);
}

void receive_release(struct receive *receive, uint64_t seq)
{
    unreleased_release(&receive->unreleased, seq);
    if (receive->receiver && receive->is_manual)
        receiver_release(receive->receiver, receive->unreleased.first);
    if (receive->call)
        pump(receive);
}

struct origin *receive_find_origin(struct receive *receive, uint64_t seq)
{
    return origins_find(&receive->origins, seq);
}

void receive_disconnect(struct receive *receive)
{
    close_receiver(receive);
}

/* ---- The method ---- */

struct wish {
    bool is_manual;
    uint32_t window;
};

/* The name of the parameter that cannot be, or NULL. */
static const char *read_wish(const json_t *parameters, struct wish *out)
{
    const json_t *ack = json_object_get(parameters, "ack");
    const json_t *window = json_object_get(parameters, "window");
    json_int_t n = window && !json_is_null(window) ? json_integer_value(window) : WINDOW_DEFAULT;
    const char *word = ack && !json_is_null(ack) ? json_string_value(ack) : "auto";

    if (!word || (strcmp(word, "auto") != 0 && strcmp(word, "manual") != 0))
        return "ack";
    if (n < 1 || n > WINDOW_MAX)
        return "window";
    out->is_manual = strcmp(word, "manual") == 0;
    out->window = (uint32_t)n;
    return NULL;
}

static struct receive *receive_new(const json_t *parameters)
{
    struct receive *receive = calloc(1, sizeof(*receive));
    struct wish wish = {.window = WINDOW_DEFAULT};

    if (!receive)
        return NULL;
    (void)read_wish(parameters, &wish); /* was checked before */
    receive->is_manual = wish.is_manual;
    receive->window = wish.window;
    if (batch_memory_new(&receive->batch) == 0)
        return receive;
    free(receive);
    return NULL;
}

static void begin_stream(struct receive *receive, struct call *call, struct holder *holder)
{
    receive->call = call;
    receive->holder = holder;
    holder->kind = HOLDER_RECEIVING;
    holder->receive = receive;
    call->state = receive;
    call->cancel = on_cancelled;
    call->drained = on_drained;
    call->written = on_written;
    call->is_stream = call->is_unbounded = true;
    greeter_join(&receive->greeter, holder->desk, call, true);
    visits_offer(&receive->greeter);
    desk_changed(holder->desk);
    receive_connect(receive);
}

static void start(struct call *call, struct holder *holder, bool is_resumed)
{
    struct receive *receive;

    (void)is_resumed;
    if (holder->kind != HOLDER_IDLE) {
        answer_already_attached(call, holder->desk);
        return;
    }
    receive = receive_new(call->in.parameters);
    if (receive)
        begin_stream(receive, call, holder);
    else
        call_try_again(call, "no memory");
}

void method_receive(struct call *call)
{
    struct wish wish;
    const char *bad = read_wish(call->in.parameters, &wish);
    json_t *fields = json_copy(call->in.parameters);

    if (bad) {
        call_invalid_parameter(call, bad);
    } else if (!fields) {
        call_try_again(call, "no memory");
    } else {
        json_object_del(fields, "ack");
        json_object_del(fields, "window");
        register_from_json(call, fields, start);
    }
    json_decref(fields);
}
