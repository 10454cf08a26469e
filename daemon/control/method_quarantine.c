/* SPDX-License-Identifier: MIT */
/* Quarantine, QuarantineReplay, QuarantinePurge. */
#include "daemon/control/access.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/methods.h"
#include "daemon/control/params.h"
#include "daemon/control/state.h"
#include "proto/text.h"

#include <errno.h>
#include <stdlib.h>

/* Entries that are under way to workers at a time. */
#define REPLAYS_AT_ONCE 256

/* What a call is about: all, those of a name, or one. */
struct selection {
    const char *name; /* NULL: any */
    int64_t id;       /* -1: any */
    bool is_own_only; /* the caller's uid is the only right that it has to it */
};

static bool is_selected(const struct call *call, const struct selection *s,
                        const struct rejected *r)
{
    if (s->id >= 0 && r->id != (uint64_t)s->id)
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

    *s = (struct selection){.id = -1};
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
    struct selection s = {.id = -1};
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
struct replay {
    struct call *call;
    struct selection selection;
    uint64_t last_id; /* walked so far */
    uint64_t end_id;  /* the last one; what comes later is not looked at */
    uint64_t accepted;
    uint64_t refused;
    uint32_t n_pending;
    bool is_walking;
};

struct injection {
    struct replay *replay;
    uint64_t id;
};

static void walk(struct replay *replay);

static void count(struct replay *replay, uint64_t id, bool is_accepted)
{
    if (is_accepted) {
        replay->accepted++;
        (void)quarantine_remove(replay->call->control->quarantine, id);
    } else {
        replay->refused++;
    }
}

static void on_injected(void *context, int outcome)
{
    struct injection *injection = context;
    struct replay *replay = injection->replay;

    count(replay, injection->id, outcome < 0);
    free(injection);
    replay->n_pending--;
    if (!replay->is_walking)
        walk(replay);
}

static int post(struct replay *replay, const struct rejected *r, const struct desk *desk)
{
    struct injection *injection = calloc(1, sizeof(*injection));
    int status;

    if (!injection)
        return -ENOMEM;
    injection->replay = replay;
    injection->id = r->id;
    status = worker_inject(desk_worker(desk), desk_endpoint(desk), &r->from, &r->to, r->bytes,
                           r->n_bytes, on_injected, injection);
    if (status < 0)
        free(injection);
    return status;
}

static void give(struct replay *replay, const struct rejected *r)
{
    struct entry *entry = registry_find(replay->call->control->registry, r->name);

    if (!entry || !entry->endpoint || post(replay, r, desk_of(entry)) < 0)
        count(replay, r->id, false);
    else
        replay->n_pending++;
}

static void finish(struct replay *replay)
{
    struct json_writer *w = call_begin_reply(replay->call);

    json_put_uint(w, "accepted", replay->accepted);
    json_put_uint(w, "refused", replay->refused);
    call_finish(replay->call);
    free(replay);
}

static void walk(struct replay *replay)
{
    const struct selection *s = &replay->selection;
    struct quarantine *q = replay->call->control->quarantine;
    const struct rejected *r = NULL;

    replay->is_walking = true;
    while (replay->n_pending < REPLAYS_AT_ONCE && call_is_live(replay->call)) {
        r = quarantine_after(q, replay->last_id, s->name);
        if (!r || r->id > replay->end_id)
            break;
        replay->last_id = r->id;
        if (is_selected(replay->call, s, r))
            give(replay, r);
    }
    replay->is_walking = false;
    if (replay->n_pending == 0)
        finish(replay);
}

static uint64_t last_id(const struct quarantine *q)
{
    uint64_t id = 0;

    for (const struct rejected *r = quarantine_first(q, NULL); r; r = quarantine_next(q, r, NULL))
        id = r->id;
    return id;
}

void method_quarantine_replay(struct call *call)
{
    struct replay *replay;
    struct selection s;

    if (!parse(call, &s))
        return;
    replay = calloc(1, sizeof(*replay));
    if (!replay) {
        call_try_again(call, "no memory");
        return;
    }
    replay->call = call;
    replay->selection = s;
    replay->end_id = last_id(call->control->quarantine);
    walk(replay);
}
