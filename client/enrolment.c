/* SPDX-License-Identifier: MIT */
/* The pipeline of Register and Attach. */
#include "client/enrolment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No more calls are written while this much is waiting to be sent. */
#define MAX_UNSENT_BYTES (64u * 1024u)

void enrolment_begin(struct enrolment *e, struct registration **todo, size_t n_todo, bool is_again)
{
    e->todo = todo;
    e->n_todo = n_todo;
    e->next = 0;
    e->is_again = is_again;
    e->is_suspect = e->has_asked = false;
    e->refused = 0;
    e->first_expected = e->n_expected = 0;
}

static void enrolment_end(struct enrolment *e)
{
    free(e->todo);
    e->todo = NULL;
    e->n_todo = e->next = 0;
    e->n_expected = 0;
}

void enrolment_cancel(struct enrolment *e, struct registrations *all)
{
    for (size_t i = 0; i < e->n_todo; i++)
        registration_refuse(all, e->todo[i], false);
    enrolment_end(e);
}

static void expect(struct enrolment *e, struct registration *r, enum enrolment_step step)
{
    size_t at = (e->first_expected + e->n_expected++) % ENROLMENT_WINDOW;

    e->expected[at] = (struct expected_reply){.registration = r, .step = step};
}

static void put_attach(struct enrolment *e, const struct enrolment_tools *t, struct registration *r)
{
    registration_put_attach(r, &t->connection->out);
    expect(e, r, ENROLMENT_ATTACH);
}

/* Asks who answers, once a connection. False: nothing more is to be asked before it is known. */
static bool put_identify(struct enrolment *e, const struct enrolment_tools *t)
{
    if (!t->daemon->is_current && !e->has_asked && e->n_todo > 0) {
        varlink_begin_call(&t->connection->out, "io.msgd.GetInfo", false, false);
        varlink_end(&t->connection->out);
        expect(e, NULL, ENROLMENT_IDENTIFY);
        e->has_asked = true;
    }
    return t->daemon->is_current || !e->is_suspect;
}

static void put_calls(struct enrolment *e, const struct enrolment_tools *t)
{
    if (!put_identify(e, t))
        return;
    while (e->next < e->n_todo && e->n_expected < ENROLMENT_WINDOW &&
           t->connection->out.length - t->connection->sent < MAX_UNSENT_BYTES) {
        struct registration *r = e->todo[e->next++];
        if (!registration_wants_register(r)) {
            put_attach(e, t, r);
            continue;
        }
        registration_put_register(r, &t->connection->out);
        expect(e, r, ENROLMENT_REGISTER);
    }
}

/* ---- Replies ---- */

/* Who answers. 0, or ENROLMENT_DETACHED: who closed our connection is still there. */
static int identify(const struct enrolment *e, const struct enrolment_tools *t,
                    const struct varlink_reply *reply)
{
    const char *since = json_string_value(json_object_get(reply->parameters, "since"));
    struct daemon_identity found = {
        .pid = json_integer_value(json_object_get(reply->parameters, "pid")), .is_current = true};
    struct daemon_identity former = *t->daemon;

    if (reply->error == NULL && since != NULL)
        snprintf(found.since, sizeof(found.since), "%s", since);
    *t->daemon = found;
    bool is_same =
        found.since[0] != '\0' && found.pid == former.pid && strcmp(found.since, former.since) == 0;
    return is_same && e->is_suspect ? ENROLMENT_DETACHED : 0;
}

/* Notes a refusal; the first one's sentence stays. 0, or -EAGAIN where all is to be tried later. */
static int refuse(struct enrolment *e, const struct enrolment_tools *t, struct registration *r,
                  const struct expected_reply *expected, const struct varlink_reply *reply)
{
    const char *method =
        expected->step == ENROLMENT_REGISTER ? "io.msgd.Register" : "io.msgd.Attach";
    struct failure failure = {0};
    int error = failure_from_reply(&failure, method, r->name, reply);

    if (e->refused == 0 || error == -EAGAIN) {
        failure_deinit(t->failure);
        *t->failure = failure;
    } else {
        failure_deinit(&failure);
    }
    if (error == -EAGAIN && e->is_again)
        return error;
    if (e->refused == 0)
        e->refused = error;
    registration_refuse(t->registrations, r, e->is_again);
    return 0;
}

static size_t place_of(const json_t *link, const char *key)
{
    const json_t *value = json_object_get(link, key);

    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (size_t)json_integer_value(value)
               : SIZE_MAX;
}

static int adopt_link(const struct enrolment_tools *t, uint32_t lane, const json_t *json)
{
    const struct link_place place = {
        .lane = lane,
        .arena = place_of(json, "arena"),
        .page = place_of(json, "page"),
        .outgoing = place_of(json, "outgoing"),
        .wake = place_of(json, "wake"),
        .doorbell = place_of(json, "doorbell"),
    };
    struct descriptor_set set;
    struct link *link;
    int error = connection_take_set(t->connection, &set);

    if (error != 0)
        return error;
    error = link_open(&link, &place, &set);
    descriptor_set_close(&set);
    if (error != 0)
        return error;
    error = link_watch(link, t->epoll);
    if (error == 0)
        error = inbox_add_link(t->inbox, link);
    if (error != 0) {
        link_end(link);
        link_free(link);
    }
    return error;
}

/* Attach's reply: a slot, and a link if it is the first of its lane. */
static int note_attached(const struct enrolment_tools *t, struct registration *r,
                         const json_t *reply)
{
    const json_t *slot = json_object_get(reply, "slot");
    const json_t *lane = json_object_get(reply, "lane");
    const json_t *generation = json_object_get(reply, "generation");
    const json_t *link = json_object_get(reply, "link");
    int error = 0;

    if (!json_is_integer(slot) || json_integer_value(slot) < 0 || !json_is_integer(lane) ||
        json_integer_value(lane) < 0 || json_integer_value(lane) > UINT32_MAX)
        return -EPROTO;
    if (json_is_integer(generation) && json_integer_value(generation) > 0)
        r->generation = (uint64_t)json_integer_value(generation);
    if (json_is_object(link))
        error = adopt_link(t, (uint32_t)json_integer_value(lane), link);
    struct link *of_lane = inbox_link_of_lane(t->inbox, (uint32_t)json_integer_value(lane));
    if (error == 0 && of_lane == NULL)
        error = -EPROTO;
    if (error == 0)
        error = link_set_slot(of_lane, (uint64_t)json_integer_value(slot), r);
    return error;
}

static int accept_register(struct enrolment *e, const struct enrolment_tools *t,
                           const struct expected_reply *expected, const struct varlink_reply *reply)
{
    struct registration *r = expected->registration;

    if (reply->error != NULL)
        return refuse(e, t, r, expected, reply);
    int error = registration_note_registered(t->registrations, r, reply->parameters);
    if (error == 0)
        put_attach(e, t, r);
    return error;
}

static int accept_attach(struct enrolment *e, const struct enrolment_tools *t,
                         const struct expected_reply *expected, const struct varlink_reply *reply)
{
    struct registration *r = expected->registration;

    /* Registered anew with other fields: it is attached already, to us. */
    if (reply->error != NULL && !e->is_again && r->state == REGISTRATION_ACTIVE &&
        registration_wants_register(r) && strcmp(reply->error, "io.msgd.AlreadyAttached") == 0) {
        registration_accept(t->registrations, r);
        return 0;
    }
    if (reply->error == NULL) {
        int error = note_attached(t, r, reply->parameters);
        if (error == 0)
            registration_accept(t->registrations, r);
        return error;
    }
    bool is_ours_alone = registration_wants_register(r) && r->is_new;
    int error = refuse(e, t, r, expected, reply);
    /* Nobody would read what it keeps, and the name would stay taken. */
    if (error == 0 && is_ours_alone) {
        registration_put_release(r, &t->connection->out);
        expect(e, r, ENROLMENT_UNDO);
    }
    return error;
}

static int accept_reply(struct enrolment *e, const struct enrolment_tools *t,
                        const struct varlink_reply *reply)
{
    if (e->n_expected == 0)
        return -EPROTO;
    struct expected_reply expected = e->expected[e->first_expected];
    e->first_expected = (e->first_expected + 1) % ENROLMENT_WINDOW;
    e->n_expected--;
    switch (expected.step) {
    case ENROLMENT_IDENTIFY:
        return identify(e, t, reply);
    case ENROLMENT_REGISTER:
        return accept_register(e, t, &expected, reply);
    case ENROLMENT_ATTACH:
        return accept_attach(e, t, &expected, reply);
    default:
        return 0;
    }
}

/* All whole replies that are in hand. 0, ENROLMENT_DETACHED, or a negative errno. */
static int accept_replies(struct enrolment *e, const struct enrolment_tools *t)
{
    struct varlink_reply reply;
    int rc;

    while ((rc = connection_next(t->connection, &reply)) == 1) {
        rc = accept_reply(e, t, &reply);
        varlink_reply_deinit(&reply);
        if (rc != 0)
            break;
    }
    return rc;
}

static int explain(const struct enrolment_tools *t, int error)
{
    switch (error) {
    case -EPROTO:
        return failure_set(
            t->failure, error,
            "msgd answered what this libmsgd does not know; are both of one version?");
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -ENOSPC:
        return failure_set(t->failure, error, "cannot share memory with msgd: %s; see ulimit -a",
                           strerror(-error));
    default:
        return error;
    }
}

int enrolment_advance(struct enrolment *e, const struct enrolment_tools *t)
{
    for (;;) {
        put_calls(e, t);
        int error = connection_send(t->connection);
        if (error != 0 && error != -EAGAIN)
            return explain(t, error);
        if (e->n_expected == 0 && e->next == e->n_todo) {
            enrolment_end(e);
            return ENROLMENT_DONE;
        }
        error = connection_read(t->connection);
        if (error == -EAGAIN)
            return ENROLMENT_WAITS;
        if (error == 0)
            error = accept_replies(e, t);
        if (error == ENROLMENT_DETACHED)
            enrolment_end(e);
        if (error != 0)
            return error == -EAGAIN ? error : explain(t, error);
    }
}
