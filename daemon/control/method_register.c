/* SPDX-License-Identifier: MIT */
/* Register, Release, Attach, Resolve. */
#include "daemon/config/settings_json.h"
#include "daemon/control/access.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/holders.h"
#include "daemon/control/methods.h"
#include "daemon/control/params.h"
#include "daemon/control/registration.h"
#include "daemon/control/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- Register ---- */

static void answer_bad_address(struct call *call, const char *address, const char *expected)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.BadAddress");
    char reason[256];

    snprintf(reason, sizeof(reason), "expected %s", expected);
    json_put_string(w, "address", address);
    json_put_string(w, "reason", reason);
    call_finish(call);
}

static void answer_invalid(struct call *call, const struct settings_error *error)
{
    struct json_writer *w = call_begin_error(call, "org.varlink.service.InvalidParameter");

    json_put_string(w, "parameter", error->parameter);
    if (error->expected[0])
        json_put_string(w, "expected", error->expected);
    call_finish(call);
}

static void answer_settings_error(struct call *call, const struct settings_error *error)
{
    const json_t *address = json_object_get(call->in.parameters, "address");

    if (strcmp(error->parameter, settings_field_key(FIELD_ADDRESS)) == 0 && json_is_string(address))
        answer_bad_address(call, json_string_value(address), error->expected);
    else
        answer_invalid(call, error);
}

void register_from_json(struct call *call, json_t *fields, registration_done done)
{
    uint64_t max_mailbox_bytes = call->control->config.limits.quota.mailbox_bytes_per_uid;
    struct settings_error error;
    struct settings settings;
    uint32_t given;
    int r = settings_from_json(fields, FROM_REGISTER, max_mailbox_bytes, &settings, &given, &error);

    if (r == 0 && settings.shards > call->control->n_workers) {
        settings_deinit(&settings);
        settings_error_shards(&error, call->control->n_workers);
        r = SETTINGS_REFUSED;
    }
    if (r == SETTINGS_REFUSED)
        answer_settings_error(call, &error);
    else if (r < 0)
        call_try_again(call, "no memory");
    else
        registration_begin(call, &settings, given, done);
}

static void answer_registered(struct call *call, struct holder *holder, bool is_resumed)
{
    const struct entry *entry = holder->desk->entry;
    struct json_writer *w = call_begin_reply(call);
    char address[ADDRESS_TEXT_MAX];

    json_put_string(w, "name", entry->settings.name);
    json_put_string(w, "address", address_print_ip(&entry->address, address));
    json_put_int(w, "port", entry->address.port);
    json_put_uint(w, "generation", entry->generation);
    json_put_bool(w, "resumed", is_resumed);
    json_put_uint(w, "receive_buffer_granted",
                  entry->endpoint ? endpoint_receive_buffer_granted(entry->endpoint) : 0);
    call_finish(call);
}

void method_register(struct call *call)
{
    register_from_json(call, call->in.parameters, answer_registered);
}

/* ---- Release ---- */

/* A static endpoint stays bound and only loses its consumers. */
static void release_static(struct call *call, struct desk *desk)
{
    const struct ending ending = {.error = "io.msgd.NoSuchEndpoint", .reason = "was released"};
    struct holder *own;

    holders_end(desk, call->connection, &ending);
    own = holder_find(desk, call->connection);
    if (own && own->kind == HOLDER_ATTACHED && holder_detach(own) < 0) {
        call_try_again(call, "no memory");
        return;
    }
    if (own)
        holder_leave(own);
    desk_answer_ledger(desk, call);
}

void method_release(struct call *call)
{
    struct desk *desk = access_owned_by_name(call);
    struct connection *c = call->connection;

    if (!desk)
        return;
    if (entry_is_static(desk->entry))
        release_static(call, desk);
    else if (desk_remove(desk, DROP_RELEASED, call) < 0)
        call_try_again(call, "no memory");
    else
        connection_await_writes(c);
}

/* ---- Attach ---- */

static void put_link(struct json_writer *w, uint32_t lane)
{
    static const char *const keys[N_LINK_DESCRIPTORS] = {
        [LINK_ARENA] = "arena", [LINK_PAGE] = "page",         [LINK_OUTGOING] = "outgoing",
        [LINK_WAKE] = "wake",   [LINK_DOORBELL] = "doorbell",
    };

    json_begin_object(w, "link");
    json_put_uint(w, "lane", lane);
    for (int i = 0; i < N_LINK_DESCRIPTORS; i++)
        json_put_int(w, keys[i], i);
    json_end_object(w);
}

static void answer_attached(struct call *call, const struct holder *holder, bool is_new_link)
{
    const struct desk *desk = holder->desk;
    struct json_writer *w = call_begin_reply(call);
    int descriptors[N_LINK_DESCRIPTORS];

    json_put_uint(w, "slot", holder->slot);
    json_put_uint(w, "generation", desk->entry->generation);
    json_put_uint(w, "lane", desk->lane);
    if (is_new_link) {
        put_link(w, desk->lane);
        link_descriptors(call->connection->lanes[desk->lane].link, descriptors);
        call_finish_with_descriptors(call, descriptors, N_LINK_DESCRIPTORS);
    } else {
        json_put_null(w, "link");
        call_finish(call);
    }
}

/* The caller's place at the desk, a new one where that may be; else the call has been answered. */
static struct holder *take_place(struct call *call, struct desk *desk)
{
    struct holder *holder = holder_find(desk, call->connection);

    if (holder && holder->kind == HOLDER_IDLE)
        return holder;
    if (!holder && desk->entry->settings.mode == MODE_EXCLUSIVE)
        holders_probe(desk);
    if (holder ||
        (desk->entry->settings.mode == MODE_EXCLUSIVE && !list_is_empty(&desk->holders))) {
        answer_already_attached(call, desk);
        return NULL;
    }
    if (holder_join(&holder, desk, call->connection) < 0)
        call_try_again(call, "no memory");
    return holder;
}

static void attach(struct call *call, struct holder *holder, bool is_new)
{
    bool is_new_link;
    int r = holder_attach(holder, &is_new_link);

    if (r == 0) {
        answer_attached(call, holder, is_new_link);
        return;
    }
    if (is_new)
        holder_leave(holder);
    call_system_error(call, r, "making shared memory");
}

void method_attach(struct call *call)
{
    struct desk *desk = access_owned_by_name(call);
    struct holder *holder;
    bool is_new;

    if (!desk)
        return;
    is_new = !holder_find(desk, call->connection);
    holder = take_place(call, desk);
    if (holder)
        attach(call, holder, is_new);
}

/* ---- Resolve ---- */

void method_resolve(struct call *call)
{
    const char *name;
    const struct param params[] = {{"name", PARAM_STRING, true, &name}};
    char address[ADDRESS_TEXT_MAX];
    const struct entry *entry;
    struct json_writer *w;

    if (!PARAMS_PARSE(call, params))
        return;
    entry = registry_find(call->control->registry, name);
    if (!entry) {
        call_no_such_endpoint(call, name);
        return;
    }
    w = call_begin_reply(call);
    json_put_string(w, "name", name);
    json_put_string(w, "address", address_print_ip(&entry->address, address));
    json_put_int(w, "port", entry->address.port);
    json_put_uint(w, "generation", entry->generation);
    json_put_string(w, "state", entry_state_key(entry->state));
    call_finish(call);
}
