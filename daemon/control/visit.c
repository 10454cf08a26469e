/* SPDX-License-Identifier: MIT */
/* What control keeps of each session. */
#include "daemon/control/visit.h"

#include "daemon/control/bridge.h"
#include "daemon/control/desk.h"
#include "daemon/control/greeter.h"
#include "daemon/control/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* How much may be under way to a server that does not read, at most. */
#define RECEIVE_BYTES_MAX (1024u * 1024u)

/* ---- All of them ---- */

static void on_due(uv_timer_t *timer);

int visits_open(struct control *control)
{
    struct visits *v = &control->visits;
    uint32_t start;

    list_init(&v->untaken);
    if (getrandom(&v->seed, sizeof(v->seed), 0) != sizeof(v->seed) ||
        getrandom(&start, sizeof(start), 0) != sizeof(start))
        return error_trace(-EIO, "cannot get random numbers");
    if (table_init(&v->by_id) < 0)
        return -ENOMEM;
    port_pool_set(&v->ports, control->config.session_port_range, start);
    (void)uv_timer_init(control->loop, &v->timer);
    v->timer.data = control;
    control->n_handles++;
    return 0;
}

void visits_set_ports(struct control *control)
{
    struct port_pool *p = &control->visits.ports;

    port_pool_set(p, control->config.session_port_range, p->next);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;

    control->n_handles--;
    control_check_closed(control);
}

void visits_close(struct control *control)
{
    if (control->visits.timer.data)
        uv_close((uv_handle_t *)&control->visits.timer, on_timer_closed);
}

void visits_deinit(struct control *control)
{
    table_deinit(&control->visits.by_id);
}

struct visit *visit_find(const struct control *control, const char *id)
{
    const struct visits *v = &control->visits;
    struct table_link *at;

    if (strlen(id) != VISIT_ID_TEXT - 1)
        return NULL;
    for (at = table_first(&v->by_id, table_hash(v->seed, id, VISIT_ID_TEXT - 1)); at;
         at = table_next(at)) {
        struct visit *visit = list_member(at, struct visit, by_id);

        if (strcmp(visit->id, id) == 0)
            return visit;
    }
    return NULL;
}

/* ---- What nobody has taken ---- */

static void arm(struct control *control)
{
    struct visits *v = &control->visits;
    uint64_t now = uv_now(control->loop);

    if (list_is_empty(&v->untaken) || control->is_closing) {
        uv_timer_stop(&v->timer);
        return;
    }
    const struct visit *first = list_member(v->untaken.next, struct visit, untaken);
    uv_timer_start(&v->timer, on_due, first->deadline_ms > now ? first->deadline_ms - now : 0, 0);
}

void visit_await(struct visit *visit)
{
    struct control *control = visit->control;

    list_remove(&visit->untaken);
    visit->deadline_ms = uv_now(control->loop) + control->config.limits.accept_timeout_s * 1000;
    list_append(&control->visits.untaken, &visit->untaken);
    arm(control);
}

void visit_taken(struct visit *visit)
{
    list_remove(&visit->untaken);
    arm(visit->control);
}

static void on_due(uv_timer_t *timer)
{
    struct control *control = timer->data;
    struct visits *v = &control->visits;

    while (!list_is_empty(&v->untaken)) {
        struct visit *visit = list_member(v->untaken.next, struct visit, untaken);

        if (visit->deadline_ms > uv_now(control->loop))
            break;
        list_remove(&visit->untaken);
        if (visit->state == VISIT_OFFERED)
            visit_refuse(visit, "timeout");
        else
            visit_abort(visit, "timeout");
    }
    arm(control);
}

/* ---- One ---- */

static void give_quota(struct visit *visit)
{
    if (visit->has_quota)
        quota_give_session(visit->control->quota, visit->desk->uid);
    visit->has_quota = false;
}

static void close_stream(struct visit *visit)
{
    if (visit->stream >= 0)
        close(visit->stream);
    visit->stream = -1;
}

static void visit_free(struct visit *visit)
{
    struct control *control = visit->control;

    give_quota(visit);
    close_stream(visit);
    list_remove(&visit->untaken);
    list_remove(&visit->of_greeter);
    list_remove(&visit->of_desk);
    table_remove(&control->visits.by_id, &visit->by_id);
    if (visit->desk->entry)
        desk_changed(visit->desk);
    free(visit->identity);
    free(visit);
}

static void make_id(struct visit *visit)
{
    for (size_t i = 0; i < sizeof(visit->raw_id); i++)
        snprintf(visit->id + 2 * i, 3, "%02x", visit->raw_id[i]);
}

void visit_join(struct visit *visit)
{
    struct visits *v = &visit->control->visits;

    make_id(visit);
    table_add(&v->by_id, &visit->by_id, table_hash(v->seed, visit->id, VISIT_ID_TEXT - 1));
    list_append(&visit->desk->visits, &visit->of_desk);
}

static struct visit *visit_new(struct desk *desk, const struct session_ask *ask)
{
    struct control *control = desk->control;
    struct visit *visit = calloc(1, sizeof(*visit));

    if (!visit)
        return NULL;
    if (ask->n_identity > 0)
        visit->identity = strndup(ask->identity, ask->n_identity);
    if (getrandom(visit->raw_id, sizeof(visit->raw_id), 0) != sizeof(visit->raw_id) ||
        (ask->n_identity > 0 && !visit->identity)) {
        free(visit->identity);
        free(visit);
        return NULL;
    }
    visit->control = control;
    visit->desk = desk;
    visit->claim = ask->claim;
    visit->peer = ask->claim.client;
    visit->window = ask->window;
    visit->stream = -1;
    visit->since_ms = uv_now(control->loop);
    visit->has_quota = true;
    visit_join(visit);
    return visit;
}

/* ---- Connecting ---- */

/* is_final: somebody has decided about this client; else it may try the same connect again. */
static void refuse(struct desk *desk, const struct cookie_claim *claim, const char *reason,
                   bool is_final)
{
    if (desk->entry && desk->entry->endpoint) /* without memory for it, the client times out */
        (void)!worker_refuse(desk->entry->endpoint, claim, reason, is_final);
}

static void accept_at_once(struct visit *visit)
{
    if (visit_accept(visit) < 0)
        return; /* the client has been told */
    if (visit->greeter->takes_messages && bridge_open(visit) < 0)
        visit_abort(visit, "no_memory");
}

static void offer(struct visit *visit, struct greeter *greeter)
{
    visit->greeter = greeter;
    list_append(&greeter->visits, &visit->of_greeter);
    desk_changed(visit->desk);
    if (visit->desk->entry->settings.sessions == SESSIONS_ASK) {
        visit_await(visit);
        greeter_tell_connect(greeter, visit);
    } else {
        accept_at_once(visit);
    }
}

void visits_offer(struct greeter *greeter)
{
    list_for_each(at, next, &greeter->desk->visits)
    {
        struct visit *visit = list_member(at, struct visit, of_desk);

        if (visit->state != VISIT_OPEN || visit->stream < 0 || visit->greeter || visit->is_aborted)
            continue;
        visit->greeter = greeter;
        list_append(&greeter->visits, &visit->of_greeter);
        greeter_tell_open(greeter, visit);
        if (greeter->takes_messages && bridge_open(visit) < 0)
            visit_abort(visit, "no_memory");
    }
}

void visit_asked(struct desk *desk, const struct session_ask *ask)
{
    struct greeter *greeter = greeter_pick(desk);
    struct visit *visit;

    if (!greeter) {
        refuse(desk, &ask->claim, "no_listener", false);
        return;
    }
    if (quota_take_session(desk->control->quota, desk->uid) != 0) {
        refuse(desk, &ask->claim, "full", false);
        return;
    }
    visit = visit_new(desk, ask);
    if (!visit) {
        quota_give_session(desk->control->quota, desk->uid);
        refuse(desk, &ask->claim, "full", false);
        return;
    }
    offer(visit, greeter);
}

void visit_refuse(struct visit *visit, const char *reason)
{
    snprintf(visit->reason, sizeof(visit->reason), "%s", reason);
    refuse(visit->desk, &visit->claim, reason, true);
    if (visit->greeter)
        greeter_tell_close(visit->greeter, visit);
    visit_free(visit);
}

/* ---- Accepting ---- */

/* A descriptor, or -errno; -ENOSPC: every port of the range is in use. */
static int open_port(struct visit *visit)
{
    struct port_pool *ports = &visit->control->visits.ports;
    struct address at = visit->claim.server;
    uint32_t n_tried = 0;

    while ((at.port = port_pool_candidate(ports, &n_tried)) != 0) {
        int fd = session_socket_open(&at);

        if (fd == -EADDRINUSE)
            continue;
        if (fd >= 0) {
            visit->port = at.port;
            port_pool_take(ports, at.port);
        }
        return fd;
    }
    return -ENOSPC;
}

static void give_port(struct visit *visit)
{
    if (visit->port != 0)
        port_pool_give(&visit->control->visits.ports, visit->port);
    visit->port = 0;
}

static int make_carrier(struct visit *visit, struct carrier_options *o)
{
    const struct settings *settings = &visit->desk->entry->settings;
    int pair[2];
    int r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    o->endpoint = visit->desk->entry->endpoint;
    o->claim = visit->claim;
    memcpy(o->id, visit->raw_id, sizeof(o->id));
    o->stream = pair[0];
    o->port = visit->port;
    o->window = visit->window;
    o->receive_bytes =
        settings->mailbox_bytes < RECEIVE_BYTES_MAX ? settings->mailbox_bytes : RECEIVE_BYTES_MAX;
    o->context = visit;
    r = carrier_new(&visit->carrier, o);
    if (r < 0) {
        close(pair[0]);
        close(pair[1]);
        return r;
    }
    visit->stream = pair[1];
    return 0;
}

static int open_session(struct visit *visit)
{
    bool is_single = visit->desk->entry->settings.session_ports == SESSION_PORTS_SINGLE;
    struct carrier_options options = {.udp = is_single ? -1 : open_port(visit)};
    int r;

    if (!is_single && options.udp < 0)
        return options.udp;
    r = make_carrier(visit, &options);
    if (r < 0 && options.udp >= 0)
        close(options.udp);
    return r;
}

int visit_accept(struct visit *visit)
{
    int r = visit->desk->entry->endpoint ? open_session(visit) : -ENOTCONN;

    if (r < 0) {
        control_complain(visit->control, "%s: a session was refused: %s", visit->desk->name,
                         r == -ENOSPC ? "every port of session_port_range is in use"
                                      : strerrordesc_np(-r));
        give_port(visit);
        visit_refuse(visit, "full");
        return r;
    }
    visit->state = VISIT_OPEN;
    visit_await(visit);
    desk_changed(visit->desk);
    if (visit->greeter)
        greeter_tell_open(visit->greeter, visit);
    return 0;
}

/* ---- Ending ---- */

void visit_abort(struct visit *visit, const char *reason)
{
    if (visit->state != VISIT_OPEN)
        return;
    visit->is_aborted = true;
    carrier_abort(visit->carrier, reason);
}

void visit_moved(struct visit *visit, const struct address *peer)
{
    visit->peer = *peer;
    if (visit->desk->entry)
        desk_changed(visit->desk);
}

void visit_ended(struct visit *visit, const char *reason)
{
    visit->state = VISIT_ENDED;
    snprintf(visit->reason, sizeof(visit->reason), "%s", reason);
    list_remove(&visit->untaken);
    close_stream(visit); /* which nobody reads */
    /* What only lingers is bounded by the ports. */
    if (reason[0] == '\0')
        give_quota(visit);
    if (visit->desk->entry)
        desk_changed(visit->desk);
    if (visit->bridge)
        bridge_session_ended(visit->bridge);
    else if (visit->greeter)
        greeter_tell_close(visit->greeter, visit);
}

void visit_gone(struct visit *visit)
{
    visit->carrier = NULL;
    give_port(visit);
    if (!visit->bridge)
        visit_free(visit);
}

void visit_lost_bridge(struct visit *visit, int stream)
{
    visit->bridge = NULL;
    /* The worker is to see why it ends before it sees that nobody is there. */
    visit->stream = stream;
    if (visit->state != VISIT_OPEN)
        close_stream(visit);
    if (!visit->carrier)
        visit_free(visit);
}

void visits_end(struct desk *desk, const char *reason)
{
    list_for_each(at, next, &desk->visits)
    {
        struct visit *visit = list_member(at, struct visit, of_desk);

        if (visit->state == VISIT_OFFERED)
            visit_refuse(visit, reason);
        else
            visit_abort(visit, reason);
    }
}

/* Has no bridge a part in it? */
static bool is_passable(const struct visit *visit)
{
    return visit->carrier && !visit->bridge && !visit->is_aborted;
}

void visits_pass(struct desk *desk, bool can_pass)
{
    list_for_each(at, next, &desk->visits)
    {
        struct visit *visit = list_member(at, struct visit, of_desk);

        if (visit->state == VISIT_OFFERED)
            visit_free(visit); /* its client asks again, and the next msgd answers */
        else if (can_pass && is_passable(visit))
            carrier_save(visit->carrier);
        else
            visit_abort(visit, "stopped");
    }
}
