/* SPDX-License-Identifier: MIT */
/* One Varlink call, from its frame to its last reply. */
#include "daemon/control/call.h"

#include "daemon/control/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call *call_new(struct control *control, struct connection *connection,
                      struct varlink_call *in)
{
    struct call *call = calloc(1, sizeof(*call));

    if (!call) {
        varlink_call_deinit(in);
        return NULL;
    }
    call->control = control;
    call->connection = connection;
    call->in = *in;
    *in = (struct varlink_call){0};
    json_writer_init(&call->writer);
    list_append(&connection->calls, &call->link);
    if (!call->in.oneway)
        connection->active = call;
    return call;
}

static void leave_connection(struct call *call)
{
    struct connection *c = call->connection;

    if (!c)
        return;
    list_remove(&call->link);
    outgoing_forget_call(&c->outgoing, call);
    if (c->active == call) {
        c->active = NULL;
        connection_schedule(c);
    }
    call->connection = NULL;
}

bool call_is_live(const struct call *call)
{
    return call->connection && call->connection->state == CONNECTION_OPEN;
}

void call_end(struct call *call)
{
    leave_connection(call);
    list_remove(&call->parked);
    json_writer_deinit(&call->writer);
    varlink_call_deinit(&call->in);
    free(call);
}

struct json_writer *call_begin_reply(struct call *call)
{
    json_writer_reset(&call->writer);
    varlink_begin_reply(&call->writer, false);
    return &call->writer;
}

struct json_writer *call_begin_continued(struct call *call)
{
    json_writer_reset(&call->writer);
    varlink_begin_reply(&call->writer, true);
    return &call->writer;
}

struct json_writer *call_begin_error(struct call *call, const char *name)
{
    json_writer_reset(&call->writer);
    varlink_begin_error(&call->writer, name);
    return &call->writer;
}

/* item: its descriptors, which are taken where it gives them. */
static void send_item(struct call *call, struct outgoing_item *item)
{
    bool is_sent = call->connection && !call->in.oneway;

    item->text = &call->writer;
    item->call = call;
    if (is_sent) {
        varlink_end(&call->writer);
        is_sent = call->writer.error == 0;
        if (!is_sent)
            connection_fail(call->connection, "no memory for an answer");
    }
    if (is_sent)
        connection_send(call->connection, item);
    else
        outgoing_drop(item);
}

static void send_frame(struct call *call, const int *descriptors, size_t n)
{
    send_item(call, &(struct outgoing_item){.descriptors = descriptors, .n_descriptors = n});
}

void call_send(struct call *call)
{
    send_frame(call, NULL, 0);
}

void call_finish(struct call *call)
{
    send_frame(call, NULL, 0);
    call_end(call);
}

void call_finish_with_descriptors(struct call *call, const int *descriptors, size_t n)
{
    send_frame(call, descriptors, n);
    call_end(call);
}

void call_finish_with_gift(struct call *call, int descriptor)
{
    send_item(call, &(struct outgoing_item){
                        .descriptors = &descriptor, .n_descriptors = 1, .gives_descriptors = true});
    call_end(call);
}

/* ---- Errors ---- */

void call_invalid_parameter(struct call *call, const char *parameter)
{
    json_put_string(call_begin_error(call, "org.varlink.service.InvalidParameter"), "parameter",
                    parameter);
    call_finish(call);
}

void call_not_permitted(struct call *call, const char *rule)
{
    json_put_string(call_begin_error(call, "io.msgd.NotPermitted"), "rule", rule);
    call_finish(call);
}

void call_no_such_endpoint(struct call *call, const char *name)
{
    json_put_string(call_begin_error(call, "io.msgd.NoSuchEndpoint"), "name", name);
    call_finish(call);
}

void call_try_again(struct call *call, const char *reason)
{
    json_put_string(call_begin_error(call, "io.msgd.TryAgain"), "reason", reason);
    call_finish(call);
}

void call_system_error(struct call *call, int error, const char *what)
{
    bool is_descriptors = error == -EMFILE || error == -ENFILE;
    char reason[256];

    snprintf(reason, sizeof(reason), "%s: %s%s", what, strerrordesc_np(-error),
             is_descriptors ? " (no descriptor is left)" : "");
    call_try_again(call, reason);
}
