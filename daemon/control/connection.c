/* SPDX-License-Identifier: MIT */
/* One client of the control socket. */
#include "daemon/control/connection.h"

#include "daemon/control/connection_input.h"
#include "daemon/control/holders.h"
#include "daemon/control/methods.h"
#include "daemon/control/state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_now(struct connection *c);

void connection_schedule(struct connection *c)
{
    if (!c->is_reading && c->state != CONNECTION_CLOSED && !list_is_linked(&c->ready))
        list_append(&c->control->ready, &c->ready);
}

void connection_fail(struct connection *c, const char *format, ...)
{
    va_list arguments;

    if (c->state != CONNECTION_OPEN)
        return;
    c->state = CONNECTION_FAILED;
    va_start(arguments, format);
    vsnprintf(c->reason, sizeof(c->reason), format, arguments);
    va_end(arguments);
    connection_schedule(c);
}

bool connection_is_drained(const struct connection *c)
{
    return c->outgoing.first == NULL;
}

/* ---- Output ---- */

void connection_await_writes(struct connection *c)
{
    c->awaited_write = c->control->n_writes;
}

static bool is_awaiting(const struct connection *c)
{
    return c->awaited_write > c->control->n_written;
}

static bool is_streaming(const struct connection *c)
{
    return c->active && c->active->is_stream;
}

void connection_send(struct connection *c, struct outgoing_item *item)
{
    /* What a stream has in hand is bounded by the stream itself. */
    if (c->outgoing.n_bytes > CONNECTION_QUEUE_MAX && !is_streaming(c) && !is_awaiting(c))
        connection_fail(c, "it does not read its answers: %zu bytes are queued",
                        c->outgoing.n_bytes);
    if (outgoing_add(&c->outgoing, item) < 0)
        connection_fail(c, "no memory for an answer");
    connection_schedule(c);
}

static void on_passed(struct call *call, uint64_t mark)
{
    if (call->written)
        call->written(call, mark);
}

static void flush(struct connection *c)
{
    bool had_any = !connection_is_drained(c);
    size_t n_written;
    int r = outgoing_flush(&c->outgoing, c->fd, on_passed, &n_written);

    if (r < 0) {
        /* What it sent before it went still counts. */
        connection_input_last(c);
        connection_fail(c, "hung up: %s", strerrordesc_np(-r));
        return;
    }
    c->is_blocked = r == 1;
    if (!c->is_blocked)
        c->progress_deadline_ms = 0;
    else if (n_written > 0 || c->progress_deadline_ms == 0)
        c->progress_deadline_ms = uv_now(c->control->loop) + CONNECTION_PATIENCE_MS;
    if (had_any && r == 0 && c->active && c->active->drained)
        c->active->drained(c->active);
}

static void flush_or_wait(struct connection *c)
{
    if (!is_awaiting(c))
        flush(c);
    else if (!list_is_linked(&c->unwritten))
        list_append(&c->control->unwritten, &c->unwritten);
}

/* ---- Watching ---- */

static void on_event(uv_poll_t *poll, int status, int events);

static int wanted_events(const struct connection *c)
{
    int events = 0;

    if (!c->has_ended && !c->has_held)
        events |= UV_READABLE;
    /* Behind something that may never end, only a hang-up counts. */
    if (!c->has_ended && c->has_held && c->active && c->active->is_unbounded)
        events |= UV_DISCONNECT;
    if (c->is_blocked)
        events |= UV_WRITABLE;
    return events;
}

static void watch(struct connection *c)
{
    int events = wanted_events(c);
    int r = 0;

    if (events == c->watched)
        return;
    if (events == 0)
        uv_poll_stop(&c->poll);
    else
        r = uv_poll_start(&c->poll, events, on_event);
    c->watched = events;
    if (r < 0)
        connection_fail(c, "cannot be watched: %s", uv_strerror(r));
}

static void on_deadline(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    uint64_t now = uv_now(c->control->loop);

    if (c->frame_deadline_ms && c->frame_deadline_ms <= now)
        connection_fail(c, "it began a frame and did not end it in time (limits.frame_timeout_s)");
    if (c->progress_deadline_ms && c->progress_deadline_ms <= now && !is_streaming(c))
        connection_fail(c, "it does not read its answers");
    connection_schedule(c);
}

static void set_timer(struct connection *c)
{
    uint64_t now = uv_now(c->control->loop);
    uint64_t deadline = c->frame_deadline_ms;

    if (c->progress_deadline_ms && !is_streaming(c) &&
        (deadline == 0 || c->progress_deadline_ms < deadline))
        deadline = c->progress_deadline_ms;
    if (deadline == 0)
        uv_timer_stop(&c->timer);
    else if (!uv_is_active((uv_handle_t *)&c->timer) ||
             uv_timer_get_due_in(&c->timer) != deadline - now)
        uv_timer_start(&c->timer, on_deadline, deadline > now ? deadline - now : 0, 0);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct connection *c = poll->data;

    if (status < 0) {
        /* libuv has stopped watching; what was sent before still counts. */
        c->watched = 0;
        connection_input_last(c);
        connection_fail(c, "hung up");
    } else if ((events & UV_DISCONNECT) && c->has_held) {
        connection_fail(c, "hung up");
    } else if (events & UV_READABLE) {
        connection_input(c);
    }
    connection_schedule(c);
}

void connection_run(struct connection *c)
{
    if (c->state == CONNECTION_OPEN)
        connection_input_resume(c);
    if (!connection_is_drained(c) && c->state != CONNECTION_CLOSED)
        flush_or_wait(c);
    if (c->state == CONNECTION_OPEN && c->has_ended && !c->active && connection_is_drained(c))
        connection_fail(c, "hung up");
    if (c->state == CONNECTION_OPEN)
        watch(c);
    if (c->state == CONNECTION_OPEN)
        set_timer(c);
    if (c->state == CONNECTION_FAILED)
        close_now(c);
}

/* ---- Life ---- */

static void connection_free(struct connection *c)
{
    struct control *control = c->control;

    list_remove(&c->link);
    control->n_connections--;
    varlink_frames_deinit(&c->frames);
    if (c->has_held)
        varlink_call_deinit(&c->held);
    outgoing_deinit(&c->outgoing);
    peer_deinit(&c->peer);
    free(c->lanes);
    free(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct control *control = c->control;

    if (--c->n_handles == 0) {
        connection_free(c);
        control_check_closed(control);
    }
}

static void end_calls(struct connection *c)
{
    c->active = NULL;
    while (!list_is_empty(&c->calls)) {
        struct call *call = list_member(c->calls.next, struct call, link);

        list_remove(&call->link);
        outgoing_forget_call(&c->outgoing, call);
        call->connection = NULL;
        if (call->cancel)
            call->cancel(call);
    }
}

static void close_now(struct connection *c)
{
    c->state = CONNECTION_CLOSED;
    list_remove(&c->ready);
    list_remove(&c->unwritten);
    if (strncmp(c->reason, "hung up", 7) == 0)
        log_debug("connection of uid %u, pid %d: %s", c->peer.who.uid, c->peer.pid, c->reason);
    else
        control_complain(c->control, "closed the connection of uid %u, pid %d: %s", c->peer.who.uid,
                         c->peer.pid, c->reason);
    holders_leave(c);
    end_calls(c);
    outgoing_deinit(&c->outgoing);
    if (c->gives_quota_back)
        quota_give_connection(c->control->quota, c->peer.who.uid);
    uv_close((uv_handle_t *)&c->poll, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    close(c->fd);
    c->fd = -1;
}

static void refuse(struct connection *c, const struct quota_refusal *refusal)
{
    struct json_writer w;

    json_writer_init(&w);
    varlink_begin_error(&w, "io.msgd.QuotaExceeded");
    json_put_string(&w, "quota", refusal->quota);
    json_put_uint(&w, "limit", refusal->limit);
    json_put_uint(&w, "used", refusal->used);
    varlink_end(&w);
    if (w.error == 0)
        (void)send(c->fd, w.bytes, w.length, MSG_NOSIGNAL | MSG_DONTWAIT);
    json_writer_deinit(&w);
    connection_fail(c, "%s is %llu", refusal->quota, (unsigned long long)refusal->limit);
}

/*
 * Those of the same uid that have hung up, but were not looked at yet: do they make room? (Closing
 * frees no memory yet, so the walk is safe.)
 */
static bool close_hung_up(const struct connection *c)
{
    bool is_any = false;

    list_for_each(at, next, &c->control->connections)
    {
        struct connection *other = list_member(at, struct connection, link);

        if (other == c || other->state != CONNECTION_OPEN ||
            other->peer.who.uid != c->peer.who.uid || !peer_has_hung_up(other->fd))
            continue;
        connection_input(other);
        connection_run(other);
        is_any = is_any || other->state == CONNECTION_CLOSED;
    }
    return is_any;
}

static void take_quota(struct connection *c)
{
    struct quota_refusal refusal;
    int r = quota_take_connection(c->control->quota, c->peer.who.uid, &refusal);

    if (r == QUOTA_EXCEEDED && close_hung_up(c))
        r = quota_take_connection(c->control->quota, c->peer.who.uid, &refusal);
    if (r == QUOTA_EXCEEDED)
        refuse(c, &refusal);
    else if (r < 0)
        connection_fail(c, "no memory");
    else
        c->gives_quota_back = true;
}

static int start_handles(struct connection *c)
{
    int r = uv_poll_init(c->control->loop, &c->poll, c->fd);

    if (r < 0)
        return r;
    (void)uv_timer_init(c->control->loop, &c->timer);
    c->poll.data = c->timer.data = c;
    c->n_handles = 2;
    return 0;
}

static struct connection *connection_new(struct control *control, int fd)
{
    struct connection *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->control = control;
    c->fd = fd;
    c->peer.pidfd = -1;
    list_init(&c->calls);
    list_init(&c->holders);
    varlink_frames_init(&c->frames, control->config.limits.frame_bytes);
    if (peer_init(&c->peer, fd) < 0 || start_handles(c) < 0) {
        peer_deinit(&c->peer);
        free(c);
        return NULL;
    }
    list_append(&control->connections, &c->link);
    control->n_connections++;
    return c;
}

void connection_accept(struct control *control, int fd)
{
    struct connection *c = connection_new(control, fd);

    if (!c) {
        control_complain(control, "a connection was turned away: no memory or descriptors");
        close(fd);
        return;
    }
    take_quota(c);
    connection_schedule(c);
}

bool connection_probe(struct connection *c)
{
    if (c->is_reading)
        return true;
    if (c->state != CONNECTION_OPEN) {
        holders_leave(c);
        return false;
    }
    if (!peer_has_hung_up(c->fd) && peer_is_running(&c->peer, c->fd))
        return true;
    connection_input_last(c);
    connection_fail(c, "hung up: found dead when its name was asked for");
    holders_leave(c);
    return false;
}
