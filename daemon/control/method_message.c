/* SPDX-License-Identifier: MIT */
/* Ack, Reply, Send. */
#include "daemon/control/access.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/holders.h"
#include "daemon/control/methods.h"
#include "daemon/control/params.h"
#include "daemon/control/receive.h"
#include "daemon/control/state.h"

#include <errno.h>
#include <stdlib.h>

/* ---- Ack ---- */

/* A stale holder's number is not this endpoint's. */
static bool is_generation(struct call *call, const struct desk *desk, int64_t generation)
{
    if (desk->entry->generation == (uint64_t)generation)
        return true;
    call_invalid_parameter(call, "generation");
    return false;
}

static bool does_any_hold(const struct desk *desk, uint64_t seq)
{
    list_for_each(at, next, &desk->holders)
    {
        const struct holder *holder = list_member(at, struct holder, of_desk);

        if (holder->receive && receive_holds(holder->receive, seq))
            return true;
    }
    return false;
}

/* The connection's own Receive, or else who holds the message, or else every one of the endpoint.
 */
static void release(const struct desk *desk, const struct connection *c, uint64_t seq)
{
    const struct holder *own = holder_find(desk, c);

    if (own && own->receive) {
        receive_release(own->receive, seq);
        return;
    }
    bool is_held = does_any_hold(desk, seq);
    list_for_each(at, next, &desk->holders)
    {
        struct holder *holder = list_member(at, struct holder, of_desk);

        if (holder->receive && (!is_held || receive_holds(holder->receive, seq)))
            receive_release(holder->receive, seq);
    }
}

void method_ack(struct call *call)
{
    const char *name;
    int64_t generation, seq;
    const struct param params[] = {{"name", PARAM_STRING, true, &name},
                                   {"generation", PARAM_INT, true, &generation},
                                   {"seq", PARAM_INT, true, &seq}};
    struct desk *desk;

    if (!PARAMS_PARSE(call, params))
        return;
    desk = access_owned(call, name);
    if (!desk || !is_generation(call, desk, generation))
        return;
    release(desk, call->connection, (uint64_t)seq);
    call_begin_reply(call);
    call_finish(call);
}

/* ---- Sending ---- */

static void answer_too_long(struct call *call)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.TooLarge");

    const json_t *text = json_object_get(call->in.parameters, "payload");

    json_put_uint(w, "limit", 65507);
    json_put_uint(w, "bytes", json_string_length(text));
    call_finish(call);
}

static void answer_bad_destination(struct call *call, int error)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.BadAddress");

    json_put_string(w, "address", json_string_value(json_object_get(call->in.parameters, "to")));
    json_put_string(w, "reason", strerrordesc_np(-error));
    call_finish(call);
}

/* The end of Send and Reply. */
static void answer_sent(struct call *call, int status)
{
    bool has_destination = json_object_get(call->in.parameters, "to") != NULL;

    if (status == 0) {
        call_begin_reply(call);
        call_finish(call);
    } else if (status == -EACCES) {
        call_not_permitted(call,
                           "no replies to an endpoint of this msgd (but to a request of its), "
                           "a broadcast or multicast address, port 0, or a reply");
    } else if (status == -EMSGSIZE) {
        answer_too_long(call);
    } else if (status == -EAGAIN) {
        call_try_again(call, "too much is being sent there (limits.replies_per_source), or the "
                             "socket's buffer is full");
    } else if (has_destination) {
        answer_bad_destination(call, status);
    } else {
        call_system_error(call, status, "sending");
    }
}

/* A message that was handed over by one of the endpoint's Receive calls, the caller's own first. */
static struct origin *find_origin(const struct desk *desk, const struct connection *c, uint64_t seq)
{
    const struct holder *own = c ? holder_find(desk, c) : NULL;

    if (own && own->receive)
        return receive_find_origin(own->receive, seq);
    list_for_each(at, next, &desk->holders)
    {
        struct holder *holder = list_member(at, struct holder, of_desk);
        struct origin *origin = holder->receive ? receive_find_origin(holder->receive, seq) : NULL;

        if (origin)
            return origin;
    }
    return NULL;
}

/* It did not go out, so it may be answered again. */
static void take_back_answer(struct call *call)
{
    const json_t *parameters = call->in.parameters;
    const char *name = json_string_value(json_object_get(parameters, "name"));
    uint64_t seq = (uint64_t)json_integer_value(json_object_get(parameters, "seq"));
    struct entry *entry = registry_find(call->control->registry, name);
    struct origin *origin = entry ? find_origin(desk_of(entry), call->connection, seq) : NULL;

    if (origin)
        origin->is_answered = false;
}

static void on_sent(void *context, int status)
{
    struct call *call = context;

    if (call->method->run == method_reply && status != 0 && status != -EACCES)
        take_back_answer(call);
    answer_sent(call, status);
}

struct payload {
    json_t *text;
    json_t *base64;
};

/* Whether it is on its way; if not, the call has been answered. */
static bool send_datagram(struct call *call, const struct desk *desk, struct send_request *request,
                          const struct payload *payload)
{
    uint8_t *bytes;
    int r;

    if (!params_payload(call, payload->text, payload->base64, &bytes, &request->n_bytes))
        return false;
    request->endpoint = desk_endpoint(desk);
    request->bytes = bytes;
    request->done = on_sent;
    request->context = call;
    r = worker_send(desk_worker(desk), request);
    free(bytes);
    if (r < 0)
        answer_sent(call, r);
    return r == 0;
}

static void answer_not_bound(struct call *call)
{
    call_try_again(call, "the endpoint is not bound yet");
}

static void reply_to(struct call *call, const struct desk *desk, struct origin *origin,
                     const struct payload *payload)
{
    struct send_request request = {.is_reply = true};

    if (!origin || origin->is_answered) {
        call_invalid_parameter(call, "seq");
    } else if (!desk_endpoint(desk)) {
        answer_not_bound(call);
    } else {
        request.from = origin->to;
        request.to = origin->from;
        request.type = origin->type;
        frame_id_read(origin->id, origin->n_id, &request.id);
        origin->is_answered = send_datagram(call, desk, &request, payload);
    }
}

void method_reply(struct call *call)
{
    const char *name;
    int64_t generation, seq;
    struct payload payload = {0};
    const struct param params[] = {{"name", PARAM_STRING, true, &name},
                                   {"generation", PARAM_INT, true, &generation},
                                   {"seq", PARAM_INT, true, &seq},
                                   {"payload", PARAM_TEXT, false, &payload.text},
                                   {"payload_base64", PARAM_TEXT, false, &payload.base64}};
    struct desk *desk;

    if (!PARAMS_PARSE(call, params))
        return;
    desk = access_owned(call, name);
    if (desk && is_generation(call, desk, generation))
        reply_to(call, desk, find_origin(desk, call->connection, (uint64_t)seq), &payload);
}

static bool read_destination(struct call *call, const char *text, struct address *out)
{
    int r = address_parse(text, out);

    if (r == 0 && (out->port == 0 || out->family == ADDRESS_BOTH))
        r = -EINVAL;
    if (r < 0)
        answer_bad_destination(call, r);
    return r == 0;
}

void method_send(struct call *call)
{
    const char *name, *to;
    struct payload payload = {0};
    const struct param params[] = {{"name", PARAM_STRING, true, &name},
                                   {"to", PARAM_STRING, true, &to},
                                   {"payload", PARAM_TEXT, false, &payload.text},
                                   {"payload_base64", PARAM_TEXT, false, &payload.base64}};
    struct send_request request = {0};
    struct desk *desk;

    if (!PARAMS_PARSE(call, params))
        return;
    desk = access_owned(call, name);
    if (!desk || !read_destination(call, to, &request.to))
        return;
    if (desk_endpoint(desk))
        (void)send_datagram(call, desk, &request, &payload);
    else
        answer_not_bound(call);
}
