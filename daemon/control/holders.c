/* SPDX-License-Identifier: MIT */
/* Which connection is a consumer of which endpoint. */
#include "daemon/control/holders.h"

#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/receive.h"
#include "daemon/control/state.h"
#include "proto/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct holder *holder_find(const struct desk *desk, const struct connection *c)
{
    list_for_each(at, next, &desk->holders)
    {
        struct holder *holder = list_member(at, struct holder, of_desk);

        if (holder->connection == c)
            return holder;
    }
    return NULL;
}

const void *holder_key(const struct holder *holder)
{
    const struct connection *c = holder->connection;

    if (holder->kind == HOLDER_ATTACHED)
        return c->lanes[holder->desk->lane].link;
    return holder->kind == HOLDER_RECEIVING ? receive_key(holder->receive) : NULL;
}

int holder_join(struct holder **out, struct desk *desk, struct connection *c)
{
    struct holder *holder = calloc(1, sizeof(*holder));

    *out = holder;
    if (!holder)
        return -ENOMEM;
    holder->connection = c;
    holder->desk = desk;
    list_append(&c->holders, &holder->of_connection);
    list_append(&desk->holders, &holder->of_desk);
    registry_consumer_joined(c->control->registry, desk->entry);
    desk_changed(desk);
    return 0;
}

void holder_leave(struct holder *holder)
{
    struct desk *desk = holder->desk;
    struct control *control = desk->control;

    if (holder->receive)
        receive_lose_holder(holder->receive);
    list_remove(&holder->of_connection);
    list_remove(&holder->of_desk);
    free(holder);
    if (!desk->entry)
        return;
    registry_consumer_left(control->registry, desk->entry, control_now_ms(), control_wall_ns());
    desk_changed(desk);
    if (desk->entry->n_waiters > 0 && !list_is_linked(&desk->vacated))
        list_append(&control->vacated, &desk->vacated);
}

/* ---- Attaching ---- */

static int lane_of(struct connection *c, uint32_t index, struct connection_lane **out)
{
    if (!c->lanes)
        c->lanes = calloc(c->control->n_workers, sizeof(*c->lanes));
    if (!c->lanes)
        return -ENOMEM;
    *out = &c->lanes[index];
    return 0;
}

static int tell_worker(struct holder *holder, struct connection_lane *lane)
{
    struct desk *desk = holder->desk;
    int r = 0;

    holder->is_waiting = !desk_endpoint(desk);
    if (!holder->is_waiting)
        r = worker_attach(desk_worker(desk), lane->link, desk_endpoint(desk), holder->slot);
    return r;
}

int holder_attach(struct holder *holder, bool *is_new_link)
{
    struct connection_lane *lane;
    int r = lane_of(holder->connection, holder->desk->lane, &lane);

    if (r < 0)
        return r;
    *is_new_link = !lane->link;
    if (!lane->link) {
        r = link_open(&lane->link, desk_worker(holder->desk), holder->connection);
        if (r < 0)
            return r;
    }
    holder->slot = lane->next_slot;
    r = tell_worker(holder, lane);
    if (r < 0)
        return r;
    lane->next_slot++;
    holder->kind = HOLDER_ATTACHED;
    desk_changed(holder->desk);
    return 0;
}

int holder_detach(struct holder *holder)
{
    struct connection_lane *lane = &holder->connection->lanes[holder->desk->lane];
    struct endpoint *endpoint = desk_endpoint(holder->desk);
    int r = 0;

    if (!holder->is_waiting && endpoint)
        r = worker_detach(desk_worker(holder->desk), lane->link, endpoint);
    if (r == 0)
        holder->kind = HOLDER_IDLE;
    return r;
}

static void connect_attached(struct holder *holder)
{
    struct connection *c = holder->connection;

    if (!holder->is_waiting)
        return;
    if (tell_worker(holder, &c->lanes[holder->desk->lane]) < 0)
        connection_fail(c, "no memory to attach it to %s", holder->desk->name);
}

void holders_connect(struct desk *desk)
{
    list_for_each(at, next, &desk->holders)
    {
        struct holder *holder = list_member(at, struct holder, of_desk);

        if (holder->kind == HOLDER_ATTACHED)
            connect_attached(holder);
        else if (holder->kind == HOLDER_RECEIVING)
            receive_connect(holder->receive);
    }
}

/* ---- Leaving ---- */

static void close_links(struct connection *c)
{
    if (!c->lanes)
        return;
    for (uint32_t i = 0; i < c->control->n_workers; i++) {
        if (c->lanes[i].link)
            worker_close_link(c->control->workers[i], c->lanes[i].link);
        c->lanes[i].link = NULL;
    }
}

void holders_leave(struct connection *c)
{
    close_links(c);
    while (!list_is_empty(&c->holders))
        holder_leave(list_member(c->holders.next, struct holder, of_connection));
}

void ending_answer(struct call *call, const char *name, const struct ending *ending)
{
    struct json_writer *w = call_begin_error(call, ending->error);
    char text[NAME_BYTES_MAX + 64];

    if (strcmp(ending->error, "io.msgd.TryAgain") == 0) {
        snprintf(text, sizeof(text), "%s %s", name, ending->reason);
        json_put_string(w, "reason", text);
    } else {
        json_put_string(w, "name", name);
    }
    if (ending->by) {
        json_put_int(w, "pid", ending->by->pid);
        json_put_int(w, "uid", ending->by->uid);
        json_put_string(w, "since", time_print(control_wall_ns(), text));
    }
    call_finish(call);
}

static void end_connection(struct holder *holder, const char *reason)
{
    struct connection *c = holder->connection;

    connection_fail(c, "%s %s", holder->desk->name, reason);
    holders_leave(c);
}

void holder_end(struct holder *holder, const struct ending *ending)
{
    if (holder->kind == HOLDER_RECEIVING)
        receive_end(holder->receive, ending);
    else
        end_connection(holder, ending->reason);
}

static struct holder *first_to_end(struct desk *desk, const struct connection *but)
{
    list_for_each(at, next, &desk->holders)
    {
        struct holder *holder = list_member(at, struct holder, of_desk);

        if (holder->connection != but || holder->kind == HOLDER_RECEIVING)
            return holder;
    }
    return NULL;
}

void holders_end(struct desk *desk, const struct connection *but, const struct ending *ending)
{
    struct holder *holder;

    /* One that is closed may take others of the list along, so each time from the start. */
    while ((holder = first_to_end(desk, but)) != NULL)
        holder_end(holder, ending);
}

bool holders_probe(struct desk *desk)
{
    bool is_any_dead = false;

    list_for_each(at, next, &desk->holders)
    {
        struct holder *holder = list_member(at, struct holder, of_desk);

        if (connection_probe(holder->connection))
            continue;
        is_any_dead = true;
        /* It has left everything that it held, maybe also what `next` was. */
        next = desk->holders.next;
    }
    return is_any_dead;
}

static struct holder *first_attached(struct desk *desk, const struct connection *but)
{
    list_for_each(at, next, &desk->holders)
    {
        struct holder *holder = list_member(at, struct holder, of_desk);

        if (holder->kind == HOLDER_RECEIVING)
            receive_disconnect(holder->receive);
        if (holder->kind != HOLDER_ATTACHED || holder->is_waiting)
            continue;
        if (holder->connection != but)
            return holder;
        holder->kind = HOLDER_IDLE;
    }
    return NULL;
}

void holders_end_attached(struct desk *desk, const struct connection *but, const char *reason)
{
    struct holder *holder;

    while ((holder = first_attached(desk, but)) != NULL)
        end_connection(holder, reason);
}
