/* SPDX-License-Identifier: MIT */
/* Calls that wait for their replies; msgd_call and msgd_call_more. */
#include "client/call.h"

#include "client/deadline.h"
#include "client/reconnect.h"
#include "proto/json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECONNECT_WAIT_MS 2000
#define REPLY_WAIT_MS     30000

int call_prepare(struct msgd *m)
{
    if (m->state == CLIENT_STREAMING)
        return failure_set(&m->failure, -EBUSY,
                           "a call with \"more\" has this connection; open another");
    if (m->state == CLIENT_UP) {
        int gone = connection_probe(&m->connection);
        if (gone == 0)
            return 0;
        reconnect_lose(m, gone == -ECONNRESET ? LOST_BY_MSGD : LOST_BY_US);
    }
    failure_deinit(&m->failure);
    return reconnect_wait(m, deadline_after_ms(RECONNECT_WAIT_MS));
}

int call_lost(struct msgd *m, const char *method, int error)
{
    if (m->state != CLIENT_STREAMING)
        reconnect_lose(m, error == -EPIPE || error == -ECONNRESET ? LOST_BY_MSGD : LOST_BY_US);
    switch (error) {
    case -EPIPE:
    case -ECONNRESET:
        return failure_set(
            &m->failure, -ECONNRESET,
            "msgd at %s closed the connection before it answered %s; its log says why, "
            "unless it is not running",
            m->path, method);
    case -ETIMEDOUT:
        return failure_set(&m->failure, error, "msgd at %s does not answer %s", m->path, method);
    case -EPROTO:
        return failure_set(&m->failure, error,
                           "what answers at %s to %s does not speak as msgd does", m->path, method);
    default:
        return failure_set(&m->failure, error, "%s at %s: %s", method, m->path, strerror(-error));
    }
}

/* Waits for one reply. EINTR ends it only if asked for. 0, or what the connection failed with. */
static int await_reply(struct connection *c, int timeout_ms, bool is_interruptible,
                       struct varlink_reply *reply)
{
    int64_t deadline = deadline_after_ms(timeout_ms);

    for (;;) {
        /* msgd may refuse a call before it has read it whole: its reply is still to be read. */
        int unsent = connection_send(c);
        int rc = connection_next(c, reply);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        int error = connection_read(c);
        if (error == -EAGAIN && unsent != 0 && unsent != -EAGAIN)
            return unsent;
        if (error == -EAGAIN)
            error = connection_wait(c, deadline);
        if (error != 0 && (error != -EINTR || is_interruptible))
            return error;
    }
}

int call_finish(struct msgd *m, const char *method, const char *subject,
                struct varlink_reply *reply)
{
    int error = await_reply(&m->connection, REPLY_WAIT_MS, false, reply);

    if (error == 0 && reply->continues) {
        varlink_reply_deinit(reply);
        error = -EPROTO;
    }
    if (error != 0)
        return call_lost(m, method, error);
    if (reply->error == NULL)
        return 0;
    error = failure_from_reply(&m->failure, method, subject, reply);
    varlink_reply_deinit(reply);
    return error;
}

int call_about(struct msgd *m, const char *method, const char *name, struct varlink_reply *reply)
{
    int error = call_prepare(m);

    if (error != 0)
        return error;
    varlink_begin_call(&m->connection.out, method, false, false);
    json_put_string(&m->connection.out, "name", name);
    varlink_end(&m->connection.out);
    return call_finish(m, method, name, reply);
}

/* ---- Any call ---- */

static bool is_object(const char *parameters)
{
    return parameters[strspn(parameters, " \t\r\n")] == '{' &&
           json_text_is_valid((const uint8_t *)parameters, strlen(parameters));
}

/* Writes the call with its parameters as they are. */
static void put_call(struct msgd *m, const char *method, const char *parameters, bool more)
{
    struct json_writer *w = &m->connection.out;

    json_begin_object(w, NULL);
    json_put_string(w, "method", method);
    json_put_raw(w, "parameters", parameters, strlen(parameters));
    if (more)
        json_put_bool(w, "more", true);
    json_end_object(w);
    json_put_raw_bytes(w, "", 1);
}

static int begin_call(struct msgd *m, const char *method, const char *parameters, bool more)
{
    if (parameters == NULL)
        parameters = "{}";
    if (method == NULL || !is_object(parameters))
        return failure_set(&m->failure, -EINVAL, "the parameters of %s are not a JSON object",
                           method != NULL ? method : "(no method)");
    int error = call_prepare(m);
    if (error == 0)
        put_call(m, method, parameters, more);
    return error;
}

static char *text_of(const struct varlink_reply *reply)
{
    return json_dumps(reply->parameters, JSON_COMPACT);
}

int msgd_call(struct msgd *m, const char *method, const char *parameters, char **reply)
{
    struct varlink_reply answer;
    int error = begin_call(m, method, parameters, false);

    if (error == 0)
        error = call_finish(m, method, NULL, &answer);
    if (error != 0)
        return error;
    if (reply != NULL) {
        *reply = text_of(&answer);
        if (*reply == NULL)
            error = failure_set(&m->failure, -ENOMEM, "%s: no memory for the reply", method);
    }
    varlink_reply_deinit(&answer);
    return error;
}

/* One reply of a stream. 0, what `each` returned, or a negative errno. */
static int pass_on(struct msgd *m, const char *method, const struct varlink_reply *reply,
                   int (*each)(void *context, const char *reply), void *context)
{
    if (reply->error != NULL)
        return failure_from_reply(&m->failure, method, NULL, reply);
    char *text = text_of(reply);
    if (text == NULL)
        return failure_set(&m->failure, -ENOMEM, "%s: no memory for a reply", method);
    int rc = each(context, text);
    free(text);
    return rc;
}

int msgd_call_more(struct msgd *m, const char *method, const char *parameters, int timeout_ms,
                   int (*each)(void *context, const char *reply), void *context)
{
    int rc = begin_call(m, method, parameters, true);

    if (rc != 0)
        return rc;
    m->state = CLIENT_STREAMING;
    for (bool is_last = false; !is_last && rc == 0;) {
        struct varlink_reply reply;
        rc = await_reply(&m->connection, timeout_ms, true, &reply);
        if (rc != 0)
            return call_lost(m, method, rc);
        is_last = !reply.continues;
        rc = pass_on(m, method, &reply, each, context);
        varlink_reply_deinit(&reply);
        if (is_last)
            m->state = CLIENT_UP;
    }
    return rc;
}
