/* SPDX-License-Identifier: MIT */
/* Registering, attaching and unregistering. */
#include "client/call.h"
#include "client/deadline.h"
#include "client/reconnect.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_WAIT_MS 30000

/* Runs an enrolment to its end. 0, or the errno of the first name that was refused. */
static int enrol(struct msgd *m, const char *method, bool may_queue)
{
    const struct enrolment_tools tools = client_tools(m);

    for (;;) {
        int rc = enrolment_advance(&m->enrolment, &tools);
        if (rc == ENROLMENT_DONE)
            return m->enrolment.refused;
        if (rc == ENROLMENT_WAITS)
            rc = connection_wait(&m->connection,
                                 deadline_after_ms(may_queue ? -1 : PROGRESS_WAIT_MS));
        if (rc == 0 || (rc == -EINTR && !may_queue))
            continue;
        if (rc == -EPIPE || rc == -ECONNRESET || rc == -ETIMEDOUT || m->failure.sentence[0] == '\0')
            return call_lost(m, method, rc);
        reconnect_lose(m, LOST_BY_US);
        return rc;
    }
}

/* Tells msgd about names that want something. Keeps todo. */
static int enrol_all(struct msgd *m, struct registration **todo, size_t n, bool may_queue)
{
    bool is_register = n > 0 && registration_wants_register(todo[0]);

    enrolment_begin(&m->enrolment, todo, n, false);
    int error = enrol(m, is_register ? "io.msgd.Register" : "io.msgd.Attach", may_queue);
    if (m->registrations.n_active > 0)
        m->detached_name = NULL;
    return error;
}

static int no_memory(struct msgd *m)
{
    return failure_set(&m->failure, -ENOMEM, "no memory for a registration");
}

/* The entry of a name, with what is wanted of it noted. from NULL: to attach. */
static int note_wanted(struct msgd *m, const char *name, const struct msgd_registration *from,
                       struct registration **out)
{
    const char *field = NULL;

    if (!name_is_valid(name))
        return failure_set(&m->failure, -EINVAL,
                           "\"%.80s\" is not a name: use 1 to 63 of a-z 0-9 . _ -, the first of "
                           "a-z 0-9",
                           name != NULL ? name : "");
    if (registrations_get(&m->registrations, name, out) != 0)
        return no_memory(m);
    if (registration_wants_register(*out))
        return failure_set(&m->failure, -EINVAL, "\"%s\" is to be registered twice at once", name);
    int error = registration_want(*out, from, &field);
    if (error == -EINVAL)
        return failure_set(&m->failure, error, "the %s of \"%s\" is not one that msgd knows", field,
                           name);
    return error == 0 ? 0 : no_memory(m);
}

/* Calls that are left behind would be made again after a reconnection. */
static void forget_wanted(struct msgd *m, struct registration **todo, size_t n)
{
    for (size_t i = 0; i < n; i++)
        registration_refuse(&m->registrations, todo[i], false);
    free(todo);
}

int msgd_register_many(struct msgd *m, const struct msgd_registration *registrations, size_t n)
{
    int error = call_prepare(m);
    bool may_queue = false;

    if (error != 0 || n == 0)
        return error;
    struct registration **todo = calloc(n, sizeof(struct registration *));
    if (todo == NULL)
        return no_memory(m);
    for (size_t i = 0; i < n; i++) {
        error = note_wanted(m, registrations[i].name, &registrations[i], &todo[i]);
        if (error != 0) {
            forget_wanted(m, todo, i);
            return error;
        }
        may_queue |= registrations[i].on_conflict == MSGD_QUEUE;
    }
    failure_deinit(&m->failure);
    return enrol_all(m, todo, n, may_queue);
}

int msgd_register(struct msgd *m, const struct msgd_registration *registration,
                  struct msgd_endpoint *out)
{
    int error = msgd_register_many(m, registration, 1);

    if (error == 0 && out != NULL)
        error = msgd_registered(m, registration->name, out);
    return error;
}

int msgd_registered(struct msgd *m, const char *name, struct msgd_endpoint *out)
{
    const struct registration *r = registrations_find(&m->registrations, name);

    if (r == NULL || r->state != REGISTRATION_ACTIVE)
        return failure_set(&m->failure, -ENOENT, "\"%.80s\" is not registered on this connection",
                           name != NULL ? name : "");
    registration_describe(r, out);
    return 0;
}

/* ---- Attaching ---- */

/* Attach does not say where the endpoint is; Resolve does. */
static int resolve_attached(struct msgd *m, struct registration *r)
{
    struct varlink_reply reply;
    int error = call_about(m, "io.msgd.Resolve", r->name, &reply);

    if (error != 0)
        return error;
    error = registration_note_registered(&m->registrations, r, reply.parameters);
    r->port = r->wanted_port;
    varlink_reply_deinit(&reply);
    return error;
}

int msgd_attach(struct msgd *m, const char *name, struct msgd_endpoint *out)
{
    struct registration **todo;
    struct registration *r;
    int error = call_prepare(m);

    if (error == 0)
        error = note_wanted(m, name, NULL, &r);
    if (error != 0)
        return error;
    todo = malloc(sizeof(struct registration *));
    if (todo == NULL)
        return no_memory(m);
    todo[0] = r;
    failure_deinit(&m->failure);
    error = enrol_all(m, todo, 1, false);
    if (error != 0 || out == NULL)
        return error;
    error = resolve_attached(m, r);
    if (error == 0)
        registration_describe(r, out);
    return error;
}

int msgd_unregister(struct msgd *m, const char *name)
{
    struct registration *r = registrations_find(&m->registrations, name);
    struct varlink_reply reply;
    int error = call_about(m, "io.msgd.Release", name, &reply);

    if (error == 0)
        varlink_reply_deinit(&reply);
    if (r != NULL && (error == 0 || error == -ENOENT))
        registration_end(&m->registrations, r);
    return error;
}
