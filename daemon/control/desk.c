/* SPDX-License-Identifier: MIT */
/* What control keeps for a registered name. */
#include "daemon/control/desk.h"

#include "daemon/control/call.h"
#include "daemon/control/deadlines.h"
#include "daemon/control/greeter.h"
#include "daemon/control/holders.h"
#include "daemon/control/keeping.h"
#include "daemon/control/listing.h"
#include "daemon/control/registration.h"
#include "daemon/control/restore.h"
#include "daemon/control/state.h"
#include "daemon/control/survey.h"
#include "daemon/control/tap.h"
#include "daemon/control/visit.h"
#include "daemon/control/watchers.h"
#include "daemon/data/vault.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int desk_new(struct desk **out, struct control *control, struct entry *entry, uid_t uid,
             struct account *account)
{
    struct desk *desk = calloc(1, sizeof(*desk));

    *out = desk;
    if (!desk)
        return -ENOMEM;
    desk->control = control;
    desk->entry = entry;
    memcpy(desk->name, entry->settings.name, sizeof(desk->name));
    desk->uid = uid;
    desk->account = account;
    desk->lane = control->next_worker++ % control->n_workers;
    desk->number = store_next_number(control->options.store);
    list_init(&desk->holders);
    list_init(&desk->taps);
    list_init(&desk->greeters);
    list_init(&desk->listens);
    list_init(&desk->visits);
    entry->control = desk;
    desk_changed(desk);
    return 0;
}

void desk_free(struct desk *desk)
{
    quota_give_endpoint(desk->control->quota, desk->uid);
    list_remove(&desk->by_change);
    list_remove(&desk->vacated);
    restore_end_past(desk);
    free(desk);
}

void desk_discard(struct desk *desk)
{
    registry_remove(desk->control->registry, desk->entry);
    desk_free(desk);
}

struct worker *desk_worker(const struct desk *desk)
{
    return desk->control->workers[desk->lane];
}

void desk_changed(struct desk *desk)
{
    struct control *control = desk->control;

    desk->changed = ++control->change;
    list_remove(&desk->by_change);
    list_append(&control->desks, &desk->by_change);
}

/* ---- Opening ---- */

/* An opening under way. */
struct opening {
    struct settings settings; /* shallow: endpoint_open keeps nothing of it; address: where */
    uint64_t number;
    struct kept_socket taken[ENDPOINT_SOCKETS_MAX]; /* sockets of a predecessor */
    struct endpoint *endpoint;
    struct open_failure *why;
};

static bool is_any_taken(const struct kept_socket *taken, unsigned n)
{
    while (n > 0)
        if (taken[--n].descriptor >= 0)
            return true;
    return false;
}

static int open_here(struct desk *desk, struct opening *o)
{
    struct endpoint_options options = {.settings = &o->settings,
                                       .account = desk->account,
                                       .context = desk,
                                       .number = o->number,
                                       .n_shards = o->settings.shards,
                                       .inherited = o->taken,
                                       .n_inherited = 2 * o->settings.shards,
                                       .vault = desk->control->vault,
                                       .journals = &desk->control->journals};
    if (desk->past && desk->past->number == o->number) {
        options.spooled = &desk->past->spooled;
        options.ids = desk->past->ids;
    }

    keeping_take_sockets(desk->control, o->number, o->taken, options.n_inherited);
    int r = endpoint_open(&o->endpoint, &options, o->why);
    /* They are closed: while the stash has them nobody could have their port. */
    if (r < 0 && is_any_taken(o->taken, options.n_inherited))
        keeping_drop_sockets(desk->control, o->number, options.n_inherited);
    return r;
}

static int open_in_range(struct desk *desk, struct opening *o)
{
    struct address *at = &o->settings.address;
    struct port_walk walk = {0};

    *o->why = (struct open_failure){.address = *at, .what = "bind"};
    while ((at->port = registry_port_candidate(desk->control->registry, at, &walk)) != 0) {
        int r = open_here(desk, o);

        if (r != -EADDRINUSE)
            return r;
    }
    return -ENOSPC;
}

static int open_sockets(struct desk *desk, struct opening *o)
{
    return o->settings.address.port ? open_here(desk, o) : open_in_range(desk, o);
}

/* Its own, and the next ones for its shards; if there were more workers when it was registered,
 * some have several. */
static void give_to_workers(const struct desk *desk, struct endpoint *endpoint)
{
    const struct control *control = desk->control;

    worker_add(desk_worker(desk), endpoint);
    for (unsigned k = 1; k < endpoint_shards(endpoint); k++)
        worker_add_shard(control->workers[(desk->lane + k) % control->n_workers], endpoint, k - 1);
}

static void take_endpoint(struct desk *desk, const struct opening *o)
{
    bool is_saved = desk->is_saved && desk->number == o->number &&
                    address_equal(&desk->entry->address, &o->settings.address);

    desk->is_saved = false;
    desk->entry->endpoint = o->endpoint;
    desk->number = o->number;
    if (desk->past && desk->past->number == o->number)
        desk->past->ids = NULL; /* it has them */
    keeping_hold_sockets(desk, o->endpoint, o->taken, 2 * o->settings.shards);
    registry_bound(desk->control->registry, desk->entry, &o->settings.address);
    /* Posted before the first message can be. */
    if (!is_saved)
        keeping_save(desk);
    give_to_workers(desk, o->endpoint);
    restore_end_past(desk);
    desk_changed(desk);
    holders_connect(desk);
}

/* The number of the interface that the configuration named, which may have come only now. */
static int find_interface(struct opening *o)
{
    if (o->settings.zone[0] == '\0')
        return 0;
    o->settings.address.scope = if_nametoindex(o->settings.zone);
    if (o->settings.address.scope != 0)
        return 0;
    *o->why =
        (struct open_failure){.address = o->settings.address, .what = "find its interface for"};
    return -ENODEV;
}

int desk_open(struct desk *desk, const struct address *where, struct open_failure *why)
{
    struct opening o = {.settings = desk->entry->settings, .number = desk->number, .why = why};
    int r;

    o.settings.address = *where;
    r = find_interface(&o);
    if (r == 0)
        r = open_sockets(desk, &o);
    if (r == 0)
        take_endpoint(desk, &o);
    return r;
}

void desk_open_or_wait(struct desk *desk, const struct address *where)
{
    struct control *control = desk->control;
    struct open_failure why = {0};
    char text[ADDRESS_TEXT_MAX];
    int r = desk_open(desk, where, &why);

    if (r == 0)
        return;
    registry_bind_failed(control->registry, desk->entry, r, control_now_ms());
    desk_changed(desk);
    if (r == -EADDRINUSE && desk_find_leaving(control, where))
        control->is_port_awaited = true;
    else
        log_warning("%s: cannot %s %s: %s; it is tried again", desk->name, why.what,
                    address_print(&why.address, text), strerrordesc_np(-r));
}

/* ---- Changing ---- */

int desk_leave(struct desk *desk, const struct connection *but)
{
    int r;

    visits_end(desk, "moved");
    r = desk_close(desk, DROP_RELEASED, NULL);
    if (r < 0)
        return r;
    holders_end_attached(desk, but, "has moved to another address");
    taps_end(desk, &(struct ending){.error = "io.msgd.TryAgain", .reason = "has moved"});
    return 0;
}

/* An old address can be in the way of the new one, such as 127.0.0.1:7000 of *:7000. */
static int make_way(struct desk *desk, const struct connection *but, uint16_t port)
{
    if (!desk->entry->endpoint || desk->entry->address.port != port)
        return -EADDRINUSE;
    if (desk_leave(desk, but) < 0)
        return -ENOMEM;
    registry_bind_failed(desk->control->registry, desk->entry, -EADDRINUSE, control_now_ms());
    desk_changed(desk);
    return -EADDRINUSE;
}

static int move(struct desk *desk, const struct settings *settings,
                const struct desk_change *change, struct open_failure *why)
{
    struct opening o = {.settings = *settings, .number = desk->number, .why = why};
    int r;

    if (desk->entry->endpoint)
        o.number = store_next_number(desk->control->options.store);
    o.settings.address = *change->where;
    r = open_sockets(desk, &o);
    if (r == -EADDRINUSE)
        return make_way(desk, change->but, o.settings.address.port);
    if (r < 0)
        return r;
    if (desk->entry->endpoint && desk_leave(desk, change->but) < 0) {
        endpoint_discard(o.endpoint);
        return -ENOMEM;
    }
    take_endpoint(desk, &o);
    return 0;
}

int desk_reconfigure(struct desk *desk, const struct desk_change *change, struct open_failure *why)
{
    struct entry *entry = desk->entry;
    struct settings merged;
    int r = settings_merge(&entry->settings, change->settings, change->changes, &merged);

    if (r < 0)
        return r;
    if (change->where)
        r = move(desk, &merged, change, why);
    else if (entry->endpoint && change->changes)
        r = worker_configure(desk_worker(desk), entry->endpoint, &merged);
    if (r < 0) {
        settings_deinit(&merged);
        return r;
    }
    if (change->changes)
        desk_changed(desk);
    registry_configure(desk->control->registry, entry, &merged);
    if (change->changes || change->where)
        keeping_save(desk);
    return 0;
}

/* ---- Closing ---- */

static void answer_release(struct call *call, const struct ledger *ledger)
{
    struct json_writer *w = call_begin_reply(call);

    listing_write_ledger(w, ledger);
    call_finish(call);
}

static void on_removed(void *context, const struct ledger *final)
{
    struct leaving *leaving = context;
    struct desk *desk = leaving->desk;

    list_remove(&leaving->link);
    while (!list_is_empty(&leaving->releases)) {
        struct call *call = list_member(leaving->releases.next, struct call, parked);

        list_remove(&call->parked);
        answer_release(call, final);
    }
    keeping_forget_messages(desk->control, leaving->number);
    registrations_unpark(desk->control, &leaving->parked);
    if (desk->control->is_port_awaited)
        deadlines_retry_port(desk->control, leaving->address.port);
    free(leaving);
    if (--desk->n_leaving == 0 && !desk->entry)
        desk_free(desk);
}

int desk_close(struct desk *desk, enum drop_reason reason, struct leaving **out)
{
    struct leaving *leaving = calloc(1, sizeof(*leaving));

    if (!leaving)
        return -ENOMEM;
    list_init(&leaving->parked);
    list_init(&leaving->releases);
    leaving->desk = desk;
    leaving->address = desk->entry->address;
    leaving->number = desk->number;
    keeping_end(desk->control, desk->number, 2 * desk->entry->settings.shards);
    desk->is_saved = false;
    desk->number = store_next_number(desk->control->options.store);
    visits_end(desk, drop_reason_key(reason));
    worker_remove(desk_endpoint(desk), reason, on_removed, leaving);
    list_append(&desk->control->leaving, &leaving->link);
    desk->n_leaving++;
    desk->entry->endpoint = NULL;
    if (out)
        *out = leaving;
    return 0;
}

static void answer_when_removed(struct call *call, struct leaving *leaving)
{
    struct ledger none = {.since_ns = control_wall_ns(), .is_kernel_dropped_exact = true};

    if (call && leaving)
        list_append(&leaving->releases, &call->parked);
    else if (call)
        answer_release(call, &none);
}

int desk_remove(struct desk *desk, enum drop_reason reason, struct call *call)
{
    struct control *control = desk->control;
    struct entry *entry = desk->entry;
    struct ending ending = {.error = "io.msgd.NoSuchEndpoint", .reason = "was released"};
    struct leaving *leaving = NULL;

    if (entry->endpoint && desk_close(desk, reason, &leaving) < 0)
        return -ENOMEM;
    if (!leaving) {
        vault_forget(control->vault, desk->number);
        keeping_end(control, desk->number, 2 * entry->settings.shards);
        keeping_forget_messages(control, desk->number);
    }
    holders_end(desk, call ? call->connection : NULL, &ending);
    taps_end(desk, &ending);
    listens_end(desk, &ending);
    while (!list_is_empty(&desk->holders))
        holder_leave(list_member(desk->holders.next, struct holder, of_desk));
    registrations_rehome(control, entry);
    watchers_note_removed(control, desk->name);
    desk->entry = NULL;
    list_remove(&desk->by_change);
    list_remove(&desk->vacated);
    registry_remove(control->registry, entry);
    answer_when_removed(call, leaving);
    if (desk->n_leaving == 0)
        desk_free(desk);
    return 0;
}

int desk_empty(struct desk *desk)
{
    int r = desk->entry->endpoint ? desk_close(desk, DROP_EXPIRED, NULL) : 0;

    if (r < 0)
        return r;
    desk->control->is_port_awaited = true;
    registry_bind_failed(desk->control->registry, desk->entry, -EADDRINUSE, control_now_ms());
    desk_changed(desk);
    return 0;
}

/* ---- The ledger of one that stays ---- */

struct ledger_answer {
    struct call *call;
    struct ledger ledger;
};

static bool on_ledger(void *context, const struct desk *desk, const struct snapshot *snapshot)
{
    struct ledger_answer *answer = context;

    (void)desk;
    if (snapshot)
        answer->ledger = snapshot->ledger;
    return true;
}

static void on_surveyed(void *context, int status)
{
    struct ledger_answer *answer = context;

    if (status == 0)
        answer_release(answer->call, &answer->ledger);
    else
        call_try_again(answer->call, "no memory");
    free(answer);
}

void desk_answer_ledger(struct desk *desk, struct call *call)
{
    struct survey_order order = {.row = on_ledger, .done = on_surveyed};
    struct ledger_answer *answer = calloc(1, sizeof(*answer));

    if (!answer || name_list_add(&order.names, desk->name) < 0) {
        free(answer);
        call_try_again(call, "no memory");
        return;
    }
    answer->call = call;
    answer->ledger =
        (struct ledger){.since_ns = control_wall_ns(), .is_kernel_dropped_exact = true};
    order.context = answer;
    survey_begin(desk->control, &order);
}

struct leaving *desk_find_leaving(struct control *control, const struct address *address)
{
    list_for_each(at, next, &control->leaving)
    {
        struct leaving *leaving = list_member(at, struct leaving, link);

        if (leaving->address.port == address->port)
            return leaving;
    }
    return NULL;
}
