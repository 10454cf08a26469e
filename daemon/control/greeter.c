/* SPDX-License-Identifier: MIT */
/* Who hears of an endpoint's sessions, and Listen calls. */
#include "daemon/control/greeter.h"

#include "daemon/control/access.h"
#include "daemon/control/bridge.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/holders.h"
#include "daemon/control/methods.h"
#include "daemon/control/visit.h"

#include <stdlib.h>

/* ---- Coming and going ---- */

void greeter_join(struct greeter *g, struct desk *desk, struct call *call, bool takes_messages)
{
    *g = (struct greeter){.desk = desk, .call = call, .takes_messages = takes_messages};
    list_init(&g->visits);
    list_init(&g->waiting);
    list_append(&desk->greeters, &g->of_desk);
}

static void lose(struct visit *visit)
{
    list_remove(&visit->of_greeter);
    visit->greeter = NULL;
    if (visit->state == VISIT_OFFERED) {
        visit_refuse(visit, "no_listener");
        return;
    }
    /* Whoever was given the stream socket has the session, whatever becomes of this call. */
    if (visit->stream >= 0 || visit->bridge)
        visit_abort(visit, "server ended");
    if (visit->bridge)
        bridge_close(visit->bridge);
}

void greeter_leave(struct greeter *g)
{
    if (!list_is_linked(&g->of_desk))
        return;
    list_remove(&g->of_desk);
    g->call = NULL;
    while (!list_is_empty(&g->visits))
        lose(list_member(g->visits.next, struct visit, of_greeter));
}

/* One that does not read its events gets no more of them. */
static bool can_hear(const struct greeter *g)
{
    return call_is_live(g->call) && g->call->connection->outgoing.n_bytes < CONNECTION_QUEUE_MAX;
}

struct greeter *greeter_pick(struct desk *desk)
{
    struct greeter *picked = NULL;

    list_for_each(at, next, &desk->greeters)
    {
        struct greeter *g = list_member(at, struct greeter, of_desk);

        if (can_hear(g) && (!picked || (picked->takes_messages && !g->takes_messages)))
            picked = g;
    }
    if (picked) {
        list_remove(&picked->of_desk);
        list_append(&desk->greeters, &picked->of_desk);
    }
    return picked;
}

void greeter_drained(struct greeter *g)
{
    while (g->call && call_is_live(g->call) && connection_is_drained(g->call->connection) &&
           !list_is_empty(&g->waiting)) {
        struct list *first = g->waiting.next;

        list_remove(first);
        bridge_resume(bridge_of_waiting(first));
    }
}

/* ---- Events ---- */

static void put_event(const struct greeter *g, const char *session, struct json_writer *w,
                      const char *event)
{
    json_put_string(w, "name", g->desk->name);
    json_put_uint(w, "generation", g->desk->entry ? g->desk->entry->generation : 0);
    json_put_string(w, "session", session);
    json_put_string(w, "event", event);
}

static struct json_writer *begin(struct greeter *g, const struct visit *visit, const char *event)
{
    struct json_writer *w;

    if (!g->call || !call_is_live(g->call))
        return NULL;
    w = call_begin_continued(g->call);
    put_event(g, visit->id, w, event);
    return w;
}

static void put_client(struct json_writer *w, const struct visit *visit)
{
    char text[ADDRESS_TEXT_MAX];

    json_put_string(w, "peer", address_print(&visit->claim.client, text));
    json_put_string(w, "address", address_print(&visit->claim.server, text));
    json_put_string(w, "identity", visit->identity);
}

void greeter_tell_connect(struct greeter *g, struct visit *visit)
{
    struct json_writer *w = begin(g, visit, "connect");

    if (!w)
        return;
    put_client(w, visit);
    call_send(g->call);
    visit->is_announced = true;
}

void greeter_tell_open(struct greeter *g, struct visit *visit)
{
    struct json_writer *w = begin(g, visit, "open");

    if (!w)
        return;
    put_client(w, visit);
    if (visit->port)
        json_put_uint(w, "port", visit->port);
    else
        json_put_null(w, "port");
    call_send(g->call);
    visit->is_announced = true;
}

void greeter_tell_finish(struct greeter *g, const struct visit *visit)
{
    if (begin(g, visit, "finish"))
        call_send(g->call);
}

void greeter_tell_close(struct greeter *g, const struct visit *visit)
{
    struct json_writer *w = visit->is_announced ? begin(g, visit, "close") : NULL;

    if (!w)
        return;
    json_put_string(w, "reason", visit->reason);
    call_send(g->call);
}

void greeter_write_message(const struct greeter *g, const struct visit *visit,
                           struct json_writer *w, const void *text, size_t n)
{
    varlink_begin_reply(w, true);
    put_event(g, visit->id, w, "message");
    json_put_string_n(w, "payload", text, n);
    varlink_end(w);
}

/* ---- Listen ---- */

struct listen {
    struct greeter greeter;
    struct list link; /* desk->listens */
    struct call *call;
};

static struct call *listen_free(struct listen *l)
{
    struct call *call = l->call;

    greeter_leave(&l->greeter);
    list_remove(&l->link);
    free(l);
    call->state = NULL;
    call->cancel = NULL;
    call->drained = NULL;
    return call;
}

static void on_cancelled(struct call *call)
{
    call_end(listen_free(call->state));
}

void listens_end(struct desk *desk, const struct ending *ending)
{
    while (!list_is_empty(&desk->listens)) {
        struct listen *l = list_member(desk->listens.next, struct listen, link);

        ending_answer(listen_free(l), desk->name, ending);
    }
}

/* Who is in the way, as with consumers: one that is dead is not. NULL: nobody. */
static const struct peer *find_other(struct desk *desk)
{
    if (desk->entry->settings.mode != MODE_EXCLUSIVE)
        return NULL;
    list_for_each(at, next, &desk->listens)
    {
        const struct listen *l = list_member(at, struct listen, link);

        if (call_is_live(l->call) && connection_probe(l->call->connection))
            return &l->call->connection->peer;
    }
    return NULL;
}

static void refuse(struct call *call, const struct desk *desk, const struct peer *other)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.AlreadyAttached");

    json_put_string(w, "name", desk->name);
    json_put_int(w, "pid", other->pid);
    json_put_int(w, "uid", other->who.uid);
    call_finish(call);
}

/* From now on it hears of every session. */
static void tell_listening(struct listen *l)
{
    struct json_writer *w = call_begin_continued(l->call);

    put_event(&l->greeter, "", w, "listening");
    call_send(l->call);
}

void method_listen(struct call *call)
{
    struct desk *desk = access_owned_by_name(call);
    const struct peer *other;
    struct listen *l;

    if (!desk)
        return;
    other = find_other(desk);
    if (other) {
        refuse(call, desk, other);
        return;
    }
    l = calloc(1, sizeof(*l));
    if (!l) {
        call_try_again(call, "no memory");
        return;
    }
    l->call = call;
    list_append(&desk->listens, &l->link);
    call->state = l;
    call->cancel = on_cancelled;
    call->is_stream = call->is_unbounded = true;
    greeter_join(&l->greeter, desk, call, false);
    tell_listening(l);
    visits_offer(&l->greeter);
}
