/* SPDX-License-Identifier: MIT */
/* Sessions whose messages go through Receive, Write and Close. */
#include "daemon/control/bridge.h"

#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/greeter.h"
#include "daemon/control/state.h"
#include "daemon/control/visit.h"
#include "proto/text_sequence.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#define READ_BYTES  65536u
#define WRITE_BYTES 65536u
/* What oneway calls may leave to be written; who waits for its answers leaves one. */
#define QUEUED_MAX (32u * 1024u * 1024u)

struct bridge {
    struct visit *visit;
    struct control *control; /* once it is closed */
    struct list waiting;     /* greeter->waiting */
    int fd;
    uv_poll_t poll;
    int watched;
    bool has_read_all; /* the stream has ended, or is not to be read any more */
    bool has_finished; /* the server has said that it writes no more */
    bool has_mark;     /* and the stream socket has been told */
    bool is_closed;
    struct sequence_reader reader;
    uint64_t charged; /* to the account, for what the reader holds */
    struct list writings;
    size_t n_queued; /* bytes of the calls in it */
    uint8_t *out;    /* WRITE_BYTES on their way into the socket; NULL: none */
    size_t n_out;
    size_t n_out_sent;
};

/* A Write call. The text lies in it. */
struct writing {
    struct list link;
    struct call *call;
    struct sequence_writer text;
    size_t n;
};

struct list *bridge_waiting(struct bridge *b)
{
    return &b->waiting;
}

struct bridge *bridge_of_waiting(struct list *link)
{
    return list_member(link, struct bridge, waiting);
}

static void watch(struct bridge *b);

/* ---- Memory ---- */

/* A message that is not whole yet counts like one in a mailbox. False: there is no quota left. */
static bool charge(struct bridge *b)
{
    struct account *account = b->visit->desk->account;
    uint64_t used;

    used = atomic_fetch_add(&account->used, b->reader.capacity - b->charged) + b->reader.capacity -
           b->charged;
    b->charged = b->reader.capacity;
    return b->charged == 0 || used <= atomic_load(&account->limit);
}

/* ---- From the client ---- */

static void give_up(struct bridge *b, const char *reason)
{
    b->has_read_all = true;
    visit_abort(b->visit, reason);
}

static void take_end(struct bridge *b, int step)
{
    b->has_read_all = true;
    if (step == SEQUENCE_FINISHED && b->visit->greeter)
        greeter_tell_finish(b->visit->greeter, b->visit);
}

static const char *fault(int step)
{
    return step == -EBADMSG ? "invalid_json" : step == -EMSGSIZE ? "too_large" : "no_memory";
}

/* Writes a message for each text that is whole now; a mark, a fault or SEQUENCE_MORE. */
static int write_texts(struct bridge *b, const uint8_t *bytes, size_t n, struct json_writer *w)
{
    for (;;) {
        struct sequence_text text;
        size_t taken;
        int step = sequence_reader_take(&b->reader, bytes, n, &taken, &text);

        bytes += taken;
        n -= taken;
        if (step != SEQUENCE_TEXT)
            return step;
        if (b->visit->greeter)
            greeter_write_message(b->visit->greeter, b->visit, w, text.bytes, text.n);
    }
}

static void send_texts(struct bridge *b, struct json_writer *w)
{
    struct greeter *g = b->visit->greeter;

    if (w->error) {
        give_up(b, "no_memory");
    } else if (w->length > 0 && g && g->call && call_is_live(g->call)) {
        connection_send(g->call->connection, &(struct outgoing_item){.text = w, .call = g->call});
        return;
    }
    json_writer_deinit(w);
}

static void take_bytes(struct bridge *b, const uint8_t *bytes, size_t n)
{
    struct json_writer w;
    int step;

    json_writer_init(&w);
    step = write_texts(b, bytes, n, &w);
    send_texts(b, &w);
    if (step < 0)
        give_up(b, fault(step));
    else if (step != SEQUENCE_MORE)
        take_end(b, step);
    else if (!charge(b))
        give_up(b, "quota_exceeded");
}

static bool may_read(const struct bridge *b)
{
    const struct greeter *g = b->visit->greeter;

    return !b->has_read_all && g && g->call && call_is_live(g->call) &&
           connection_is_drained(g->call->connection);
}

static void read_some(struct bridge *b)
{
    uint8_t bytes[READ_BYTES];
    ssize_t n = recv(b->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n > 0)
        take_bytes(b, bytes, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        b->has_read_all = true;
}

/* ---- To the client ---- */

static void answer(struct writing *w, struct bridge *b, bool is_written)
{
    list_remove(&w->link);
    b->n_queued -= w->n;
    if (is_written)
        call_begin_reply(w->call);
    else
        json_put_string(call_begin_error(w->call, "io.msgd.NoSuchSession"), "session",
                        b->visit->id);
    call_finish(w->call);
    free(w);
}

/* Takes the next bytes of what waits. False: nothing is left. */
static bool fill(struct bridge *b)
{
    b->n_out = b->n_out_sent = 0;
    while (!list_is_empty(&b->writings) && b->n_out < WRITE_BYTES) {
        struct writing *w = list_member(b->writings.next, struct writing, link);

        b->n_out += sequence_writer_fill(&w->text, b->out + b->n_out, WRITE_BYTES - b->n_out);
        if (!sequence_writer_is_done(&w->text))
            break;
        answer(w, b, true);
    }
    if (b->n_out < WRITE_BYTES && b->has_finished && !b->has_mark) {
        b->out[b->n_out++] = SEQUENCE_FINISH;
        b->has_mark = true;
    }
    return b->n_out > 0;
}

static bool has_output(const struct bridge *b)
{
    return b->n_out_sent < b->n_out || !list_is_empty(&b->writings) ||
           (b->has_finished && !b->has_mark);
}

static bool need_buffer(struct bridge *b)
{
    if (!b->out)
        b->out = malloc(WRITE_BYTES);
    if (!b->out)
        visit_abort(b->visit, "no_memory");
    return b->out != NULL;
}

static void write_out(struct bridge *b)
{
    while (has_output(b) && need_buffer(b)) {
        ssize_t n;

        if (b->n_out_sent == b->n_out && !fill(b))
            break;
        n = send(b->fd, b->out + b->n_out_sent, b->n_out - b->n_out_sent,
                 MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return; /* full; or the session is over, which is told in its own way */
        b->n_out_sent += (size_t)n;
    }
    free(b->out);
    b->out = NULL;
    b->n_out = b->n_out_sent = 0;
    if (b->has_mark)
        shutdown(b->fd, SHUT_WR);
}

/* ---- Its turns ---- */

static void close_if_over(struct bridge *b)
{
    struct visit *visit = b->visit;

    if (visit->state != VISIT_ENDED || !b->has_read_all)
        return;
    if (visit->greeter)
        greeter_tell_close(visit->greeter, visit);
    bridge_close(b);
}

static void wait_for_drain(struct bridge *b)
{
    if (b->visit->greeter && !b->has_read_all && !list_is_linked(&b->waiting))
        list_append(&b->visit->greeter->waiting, &b->waiting);
}

static void run(struct bridge *b)
{
    write_out(b);
    if (may_read(b))
        read_some(b);
    watch(b);
    close_if_over(b);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct bridge *b = poll->data;

    (void)events;
    if (status < 0)
        b->watched = 0; /* libuv has stopped it; reading says what is the matter */
    run(b);
}

static void watch(struct bridge *b)
{
    int events = 0;

    if (!b->has_read_all && !list_is_linked(&b->waiting)) {
        if (may_read(b))
            events |= UV_READABLE;
        else
            wait_for_drain(b);
    }
    if (has_output(b) && b->visit->state == VISIT_OPEN)
        events |= UV_WRITABLE;
    if (events == b->watched)
        return;
    b->watched = events;
    if (events == 0)
        uv_poll_stop(&b->poll);
    else if (uv_poll_start(&b->poll, events, on_event) < 0)
        give_up(b, "no_memory");
}

void bridge_resume(struct bridge *b)
{
    run(b);
}

void bridge_session_ended(struct bridge *b)
{
    while (!list_is_empty(&b->writings))
        answer(list_member(b->writings.next, struct writing, link), b, false);
    run(b);
}

/* ---- Life ---- */

int bridge_open(struct visit *visit)
{
    struct control *control = visit->control;
    struct bridge *b = calloc(1, sizeof(*b));
    int r = b ? uv_poll_init(control->loop, &b->poll, visit->stream) : -ENOMEM;

    if (r < 0) {
        free(b);
        return r;
    }
    b->poll.data = b;
    control->n_handles++;
    b->visit = visit;
    b->fd = visit->stream;
    visit->stream = -1;
    list_init(&b->writings);
    sequence_reader_init(&b->reader, SEQUENCE_TEXT_MAX, true);
    visit->bridge = b;
    visit_taken(visit);
    watch(b);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct bridge *b = handle->data;
    struct control *control = b->control;

    free(b);
    control->n_handles--;
    control_check_closed(control);
}

void bridge_close(struct bridge *b)
{
    struct visit *visit = b->visit;

    if (b->is_closed)
        return;
    b->is_closed = true;
    b->control = visit->control;
    while (!list_is_empty(&b->writings))
        answer(list_member(b->writings.next, struct writing, link), b, false);
    list_remove(&b->waiting);
    sequence_reader_deinit(&b->reader);
    b->reader.capacity = 0;
    (void)charge(b);
    free(b->out);
    uv_poll_stop(&b->poll);
    uv_close((uv_handle_t *)&b->poll, on_closed);
    visit_lost_bridge(visit, b->fd);
}

/* ---- What the server says ---- */

void bridge_write(struct bridge *b, struct call *call)
{
    const json_t *payload = json_object_get(call->in.parameters, "payload");
    struct writing *w = calloc(1, sizeof(*w));

    if (!w) {
        call_try_again(call, "no memory");
        return;
    }
    w->call = call;
    w->n = json_string_length(payload);
    if (b->has_finished || sequence_writer_begin(&w->text, json_string_value(payload), w->n) != 0) {
        call_invalid_parameter(call, b->has_finished ? "session" : "payload");
        free(w);
        return;
    }
    list_append(&b->writings, &w->link);
    b->n_queued += w->n;
    if (b->n_queued > QUEUED_MAX)
        visit_abort(b->visit, "overrun");
    write_out(b);
    watch(b);
}

bool bridge_finish(struct bridge *b)
{
    if (b->has_finished)
        return false;
    b->has_finished = true;
    write_out(b);
    watch(b);
    return true;
}
