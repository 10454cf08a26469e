/* SPDX-License-Identifier: MIT */
/* Quarantine, QuarantineReplay, QuarantinePurge. */
#include "daemon/control/access.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/methods.h"
#include "daemon/control/params.h"
#include "daemon/control/replay.h"
#include "daemon/control/state.h"
#include "proto/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a call is about: all, those of a name, some of these, or one. */
struct selection {
    const char *name; /* NULL: any */
    int64_t id;       /* -1: any */
    int64_t last_id;  /* from `id` to this one; -1: that one alone */
    bool is_own_only; /* the caller's uid is the only right that it has to it */
};

static bool is_selected(const struct call *call, const struct selection *s,
                        const struct rejected *r)
{
    if (s->id >= 0 &&
        (r->id < (uint64_t)s->id || r->id > (uint64_t)(s->last_id >= 0 ? s->last_id : s->id)))
        return false;
    return !s->is_own_only || r->uid == call->connection->peer.who.uid;
}

/* Whether the caller may; else it has been answered. */
static bool authorize(struct call *call, struct selection *s)
{
    const struct quarantine *q = call->control->quarantine;
    const struct rejected *one = s->id >= 0 ? quarantine_find(q, (uint64_t)s->id) : NULL;
    const char *name = s->name ? s->name : one ? one->name : NULL;

    if (s->name && !registry_find(call->control->registry, name) && !quarantine_first(q, name)) {
        call_no_such_endpoint(call, name);
        return false;
    }
    if (access_is_administrator(call))
        return true;
    if (name && registry_find(call->control->registry, name))
        return access_owned(call, name) != NULL;
    /* The endpoint is gone; what is left of it belongs to the uid that it counted for. */
    s->is_own_only = true;
    return name || s->id >= 0 || access_administrate(call, "see the whole quarantine");
}

static bool parse(struct call *call, struct selection *s)
{
    const struct param params[] = {{"name", PARAM_STRING, false, &s->name},
                                   {"id", PARAM_INT, false, &s->id}};

    *s = (struct selection){.id = -1, .last_id = -1};
    return PARAMS_PARSE(call, params) && authorize(call, s);
}

/* ---- Looking ---- */

static void put_rejected(struct json_writer *w, const struct rejected *r, bool with_payload)
{
    char time[TIME_TEXT_MAX], address[ADDRESS_TEXT_MAX];

    json_begin_object(w, NULL);
    json_put_uint(w, "id", r->id);
    json_put_string(w, "name", r->name);
    json_put_string(w, "time", time_print(r->time_ns, time));
    json_put_string(w, "from", address_print(&r->from, address));
    json_put_string(w, "to", address_print(&r->to, address));
    json_put_string(w, "reason", drop_reason_key(r->reason));
    json_put_uint(w, "bytes", r->n_bytes);
    if (with_payload)
        json_put_base64(w, "payload_base64", r->bytes, r->n_bytes);
    else
        json_put_null(w, "payload_base64");
    json_end_object(w);
}

static uint64_t discarded(const struct call *call)
{
    const struct quarantine *q = call->control->quarantine;

    return access_is_administrator(call) ? quarantine_discarded_all(q)
                                         : quarantine_discarded(q, call->connection->peer.who.uid);
}

void method_quarantine(struct call *call)
{
    struct selection s = {.id = -1, .last_id = -1};
    bool with_payload = false;
    const struct param params[] = {{"name", PARAM_STRING, false, &s.name},
                                   {"id", PARAM_INT, false, &s.id},
                                   {"payload", PARAM_BOOL, false, &with_payload}};
    const struct quarantine *q = call->control->quarantine;
    struct json_writer *w;

    if (!PARAMS_PARSE(call, params) || !authorize(call, &s))
        return;
    w = call_begin_reply(call);
    json_begin_array(w, "entries");
    for (const struct rejected *r = quarantine_first(q, s.name); r;
         r = quarantine_next(q, r, s.name))
        if (is_selected(call, &s, r))
            put_rejected(w, r, with_payload);
    json_end_array(w);
    json_put_uint(w, "discarded", discarded(call));
    call_finish(call);
}

/* ---- Forgetting ---- */

void method_quarantine_purge(struct call *call)
{
    struct quarantine *q = call->control->quarantine;
    const struct rejected *r, *next;
    struct selection s;
    uint64_t n = 0;

    if (!parse(call, &s))
        return;
    for (r = quarantine_first(q, s.name); r; r = next) {
        next = quarantine_next(q, r, s.name);
        if (is_selected(call, &s, r) && quarantine_remove(q, r->id))
            n++;
    }
    json_put_uint(call_begin_reply(call), "purged", n);
    call_finish(call);
}

/* ---- Giving again ---- */

/* One QuarantineReplay: a walk through the quarantine as it was when it began. */
struct quarantine_replay {
    struct replay replay;
    struct selection selection;
    char to[NAME_BYTES_MAX + 1];   /* "": each to its own endpoint */
    char name[NAME_BYTES_MAX + 1]; /* of the endpoint that the batch is for */
    uint64_t last_id;              /* walked so far */
    uint64_t end_id;               /* what comes later is not looked at */
};

static void on_accepted(struct replay *replay, uint64_t id)
{
    (void)quarantine_remove(replay->call->control->quarantine, id);
}

static bool add(struct quarantine_replay *qr, const struct rejected *r)
{
    struct record meta = {.seq = r->id, .from_port = r->from.port, .to_port = r->to.port};

    memcpy(meta.from_ip, r->from.ip, sizeof(meta.from_ip));
    memcpy(meta.to_ip, r->to.ip, sizeof(meta.to_ip));
    meta.scope = r->from.scope != 0 ? r->from.scope : r->to.scope;
    return replay_add(&qr->replay, &meta, r->bytes, (uint32_t)r->n_bytes);
}

/* The next ones that go to one endpoint, as many as a batch holds. */
static void fill(struct quarantine_replay *qr)
{
    struct call *call = qr->replay.call;
    const struct quarantine *q = call->control->quarantine;
    const struct selection *s = &qr->selection;
    const struct rejected *r;

    while ((r = quarantine_after(q, qr->last_id, s->name)) && r->id <= qr->end_id) {
        const char *name = qr->to[0] != '\0' ? qr->to : r->name;

        if (is_selected(call, s, r)) {
            bool is_first = qr->replay.batch.n_bytes == 0;

            if ((!is_first && strcmp(name, qr->name) != 0) || !add(qr, r))
                return;
            snprintf(qr->name, sizeof(qr->name), "%s", name);
        }
        qr->last_id = r->id;
    }
}

static void finish(struct quarantine_replay *qr)
{
    if (replay_begin_reply(&qr->replay))
        call_finish(qr->replay.call);
    replay_deinit(&qr->replay);
    free(qr);
}

static void go_on(struct replay *replay)
{
    struct quarantine_replay *qr = list_member(replay, struct quarantine_replay, replay);

    while (replay->next == 0 && call_is_live(replay->call)) {
        fill(qr);
        if (replay->batch.n_bytes == 0)
            break;
        if (replay_give(replay, qr->name))
            return;
        replay_refuse(replay);
    }
    finish(qr);
}

static uint64_t last_id(const struct quarantine *q)
{
    uint64_t id = 0;

    for (const struct rejected *r = quarantine_first(q, NULL); r; r = quarantine_next(q, r, NULL))
        id = r->id;
    return id;
}

static void begin(struct call *call, const struct selection *s, const char *to)
{
    struct quarantine_replay *qr = calloc(1, sizeof(*qr));

    if (!qr || replay_init(&qr->replay) < 0) {
        free(qr);
        call_try_again(call, "no memory");
        return;
    }
    qr->replay.call = call;
    qr->replay.is_datagrams = true;
    qr->replay.accepted_one = on_accepted;
    qr->replay.go_on = go_on;
    qr->selection = *s;
    snprintf(qr->to, sizeof(qr->to), "%s", to ? to : "");
    qr->end_id = last_id(call->control->quarantine);
    go_on(&qr->replay);
}

void method_quarantine_replay(struct call *call)
{
    struct selection s = {.id = -1, .last_id = -1};
    const char *to = NULL;
    const struct param params[] = {{"name", PARAM_STRING, false, &s.name},
                                   {"id", PARAM_INT, false, &s.id},
                                   {"last_id", PARAM_INT, false, &s.last_id},
                                   {"to", PARAM_STRING, false, &to}};

    if (!PARAMS_PARSE(call, params))
        return;
    /* Who may have one of them may not have its neighbours of another name. */
    if (s.last_id >= 0 && (s.id < 0 || !s.name))
        call_invalid_parameter(call, "last_id");
    else if (authorize(call, &s) && (!to || access_owned(call, to)))
        begin(call, &s, to);
}
