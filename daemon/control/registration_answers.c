/* SPDX-License-Identifier: MIT */
/* Why a registration failed, as Varlink errors. */
#include "daemon/control/registration.h"

#include "daemon/control/access.h"
#include "daemon/control/call.h"
#include "daemon/control/connection.h"
#include "daemon/control/sock_diag.h"
#include "daemon/control/state.h"
#include "proto/text.h"

#include <errno.h>
#include <stdio.h>

static void put_pid(struct json_writer *w, pid_t pid)
{
    if (pid > 0)
        json_put_int(w, "pid", pid);
    else
        json_put_null(w, "pid");
}

void answer_name_taken(struct call *call, const struct entry *entry)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.NameTaken");
    char since[TIME_TEXT_MAX];

    json_put_string(w, "name", entry->settings.name);
    put_pid(w, access_may_own(call, entry) ? entry->owner.pid : 0);
    json_put_int(w, "uid", entry->owner.uid);
    json_put_string(w, "since", time_print(entry->since_wall_ns, since));
    call_finish(call);
}

void answer_already_attached(struct call *call, const struct desk *desk)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.AlreadyAttached");
    const struct peer *peer = NULL;

    if (!list_is_empty(&desk->holders))
        peer = &list_member(desk->holders.next, struct holder, of_desk)->connection->peer;
    json_put_string(w, "name", desk->name);
    put_pid(w, peer ? peer->pid : 0);
    json_put_int(w, "uid", peer ? peer->who.uid : desk->entry->owner.uid);
    call_finish(call);
}

static struct json_writer *begin_port_taken(struct call *call, const struct address *address)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.PortTaken");
    char text[ADDRESS_TEXT_MAX];

    json_put_string(w, "address", address_print_ip(address, text));
    json_put_int(w, "port", address->port);
    return w;
}

void answer_port_taken_by(struct call *call, const struct entry *entry)
{
    struct json_writer *w = begin_port_taken(call, &entry->address);

    json_put_string(w, "name", entry->settings.name);
    json_put_int(w, "uid", entry->owner.uid);
    call_finish(call);
}

static void answer_port_taken_by_another_program(struct call *call, const struct address *address)
{
    struct json_writer *w = begin_port_taken(call, address);
    uid_t uid;

    json_put_null(w, "name");
    if (sock_diag_holder(address, &uid) == 1)
        json_put_int(w, "uid", uid);
    else
        json_put_null(w, "uid");
    call_finish(call);
}

void answer_quota(struct call *call, const struct quota_refusal *refusal)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.QuotaExceeded");

    json_put_string(w, "quota", refusal->quota);
    json_put_uint(w, "limit", refusal->limit);
    json_put_uint(w, "used", refusal->used);
    call_finish(call);
}

static void answer_bad_address(struct call *call, int error, const struct open_failure *why)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.BadAddress");
    char text[ADDRESS_TEXT_MAX], reason[160];

    snprintf(reason, sizeof(reason), "%s: %s", why->what, strerrordesc_np(-error));
    json_put_string(w, "address", address_print_ip(&why->address, text));
    json_put_string(w, "reason", reason);
    call_finish(call);
}

static void answer_not_allowed_to_bind(struct call *call, const struct open_failure *why)
{
    char rule[160], text[ADDRESS_TEXT_MAX];

    snprintf(rule, sizeof(rule), "the system does not let msgd bind %s%s",
             address_print(&why->address, text),
             why->address.port < 1024 ? ": it runs without CAP_NET_BIND_SERVICE" : "");
    call_not_permitted(call, rule);
}

void answer_open_failure(struct call *call, int error, const struct open_failure *why)
{
    const struct port_span *range = &call->control->config.port_range;
    char text[ADDRESS_TEXT_MAX], what[160];

    switch (error) {
    case -EADDRINUSE:
        answer_port_taken_by_another_program(call, &why->address);
        return;
    case -ENOSPC:
        snprintf(what, sizeof(what), "every port of port_range (%u-%u) is in use", range->first,
                 range->last);
        call_try_again(call, what);
        return;
    case -EACCES:
    case -EPERM:
        answer_not_allowed_to_bind(call, why);
        return;
    case -EADDRNOTAVAIL:
    case -EAFNOSUPPORT:
    case -EINVAL:
    case -ENODEV:
        answer_bad_address(call, error, why);
        return;
    default:
        snprintf(what, sizeof(what), "%s %s", why->what, address_print(&why->address, text));
        call_system_error(call, error, what);
    }
}
