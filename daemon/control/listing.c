/* SPDX-License-Identifier: MIT */
/* An endpoint as JSON. */
#include "daemon/control/listing.h"

#include "daemon/config/settings_text.h"
#include "proto/text.h"

#include <stdio.h>
#include <string.h>

static void put_time_or_null(struct json_writer *w, const char *key, int64_t time_ns)
{
    char text[TIME_TEXT_MAX];

    json_put_string(w, key, time_ns ? time_print(time_ns, text) : NULL);
}

static void put_pid(struct json_writer *w, pid_t pid)
{
    if (pid > 0)
        json_put_int(w, "pid", pid);
    else
        json_put_null(w, "pid");
}

static void put_strings(struct json_writer *w, const char *key, char *const *strings, size_t n)
{
    json_begin_array(w, key);
    for (size_t i = 0; i < n; i++)
        json_put_string(w, NULL, strings[i]);
    json_end_array(w);
}

static void put_settings(struct json_writer *w, const struct listing *l)
{
    const struct settings *s = &l->entry->settings;
    char address[ADDRESS_TEXT_MAX];

    json_put_string(w, "name", s->name);
    json_put_string(w, "address", address_print_ip(&l->entry->address, address));
    json_put_int(w, "port", l->entry->address.port);
    settings_write_rules(w, s, FIELDS_ALL);
    json_put_uint(w, "receive_buffer_granted", l->receive_buffer_granted);
    json_put_string(w, "sessions_mode", session_rule_key(s->sessions));
    put_strings(w, "users", s->users, s->n_users);
    put_strings(w, "groups", s->groups, s->n_groups);
}

static void put_error(struct json_writer *w, const struct entry *e)
{
    char text[160], address[ADDRESS_TEXT_MAX];

    if (e->state != ENTRY_PENDING || e->error == 0) {
        json_put_null(w, "error");
        return;
    }
    snprintf(text, sizeof(text), "cannot bind %s: %s", address_print(&e->address, address),
             strerrordesc_np(-e->error));
    json_put_string(w, "error", text);
}

static void put_lease_left(struct json_writer *w, const struct listing *l)
{
    int64_t deadline_ms = l->entry->lease_deadline_ms;

    if (deadline_ms == NEVER_MS)
        json_put_null(w, "lease_left_s");
    else
        json_put_int(w, "lease_left_s",
                     deadline_ms > l->now_ms ? (deadline_ms - l->now_ms + 999) / 1000 : 0);
}

static void put_state(struct json_writer *w, const struct listing *l)
{
    const struct entry *e = l->entry;

    json_put_bool(w, "static", e->is_static);
    json_put_string(w, "state", entry_state_key(e->state));
    put_error(w, e);
    put_time_or_null(w, "away_since", e->away_since_wall_ns);
    put_lease_left(w, l);
    json_put_uint(w, "generation", e->generation);
    json_begin_object(w, "owner");
    json_put_int(w, "uid", e->owner.uid);
    put_pid(w, e->owner.pid);
    json_put_string(w, "user", l->user);
    json_put_string(w, "exe", l->is_for_owner ? l->exe : NULL);
    json_end_object(w);
}

static void put_consumers(struct json_writer *w, const struct listing *l)
{
    json_begin_array(w, "consumers");
    for (size_t i = 0; i < l->n_consumers; i++) {
        const struct listing_consumer *c = &l->consumers[i];

        json_begin_object(w, NULL);
        put_pid(w, c->pid);
        json_put_int(w, "uid", c->uid);
        json_put_string(w, "kind", c->kind == CONSUMER_RECEIVING ? "receiving" : "attached");
        json_put_uint(w, "delivered", c->delivered);
        json_put_uint(w, "queued", c->queued);
        json_put_uint(w, "missed", c->missed);
        json_put_bool(w, "stalled", c->is_stalled);
        json_end_object(w);
    }
    json_end_array(w);
    json_put_uint(w, "waiting", l->entry->n_waiters);
}

static void put_session(struct json_writer *w, const struct listing_session *s)
{
    char peer[ADDRESS_TEXT_MAX];

    json_begin_object(w, NULL);
    json_put_string(w, "id", s->id);
    json_put_string(w, "peer", address_print(&s->peer, peer));
    json_put_string(w, "identity", s->identity);
    if (s->port)
        json_put_uint(w, "port", s->port);
    else
        json_put_null(w, "port");
    json_put_uint(w, "age_s", s->age_s);
    json_put_uint(w, "in_flight", s->bytes_in_flight);
    json_put_uint(w, "retransmitted", s->retransmitted);
    json_put_string(w, "state", s->state);
    json_end_object(w);
}

static void put_sessions(struct json_writer *w, const struct listing *l)
{
    if (!l->is_for_owner) {
        json_put_null(w, "sessions");
        return;
    }
    json_begin_array(w, "sessions");
    for (size_t i = 0; i < l->n_sessions; i++)
        put_session(w, &l->sessions[i]);
    json_end_array(w);
}

/* Is so much of the bound used that it may be in the way? 0: there is no bound. */
static bool is_near(uint64_t used, uint64_t bound)
{
    return bound > 0 && used >= bound - bound / 20;
}

static const char *spool_state(const struct listing *l, const struct spool_info *spool)
{
    const struct settings *s = &l->entry->settings;
    bool is_full = l->store == STORE_FULL || is_near(spool->bytes, s->spool_bytes) ||
                   (s->spool_messages > 0 && spool->messages >= s->spool_messages);

    if (spool->is_failed || l->store == STORE_FAILED)
        return store_state_name(STORE_FAILED);
    return store_state_name(is_full ? STORE_FULL : STORE_OPEN);
}

static void put_spool(struct json_writer *w, const struct listing *l)
{
    const struct spool_info *spool = l->snapshot ? &l->snapshot->spool : NULL;

    if (!spool || !spool->is_on) {
        json_put_null(w, "spool");
        return;
    }
    json_begin_object(w, "spool");
    json_put_uint(w, "messages", spool->messages);
    json_put_uint(w, "bytes", spool->bytes);
    put_time_or_null(w, "since", spool->since_ns);
    json_put_uint(w, "waiting", spool->n_waiting);
    json_put_string(w, "state", spool_state(l, spool));
    json_end_object(w);
}

static void put_sources(struct json_writer *w, const struct snapshot *s)
{
    char address[ADDRESS_TEXT_MAX];

    json_begin_array(w, "sources");
    for (uint32_t i = 0; s && i < s->n_sources; i++) {
        json_begin_object(w, NULL);
        json_put_string(w, "address", address_print_ip(&s->sources[i].address, address));
        json_put_uint(w, "messages", s->sources[i].messages);
        json_put_uint(w, "error", s->sources[i].error);
        json_end_object(w);
    }
    json_end_array(w);
}

void listing_write_ledger(struct json_writer *w, const struct ledger *l)
{
    char since[TIME_TEXT_MAX];

    json_begin_object(w, "ledger");
    json_put_string(w, "since", time_print(l->since_ns, since));
    json_put_uint(w, "datagrams", l->datagrams);
    json_put_uint(w, "kernel_dropped", l->kernel_dropped);
    json_put_bool(w, "kernel_dropped_exact", l->is_kernel_dropped_exact);
    json_put_uint(w, "received", l->received);
    json_put_uint(w, "delivered", l->delivered);
    json_put_uint(w, "queued", l->queued);
    json_put_uint(w, "spooled", l->spooled);
    json_put_uint(w, "protocol", l->protocol);
    json_begin_object(w, "dropped");
    for (int reason = 0; reason < N_DROP_REASONS; reason++)
        if (l->dropped[reason])
            json_put_uint(w, drop_reason_key(reason), l->dropped[reason]);
    json_end_object(w);
    json_end_object(w);
}

void listing_write(struct json_writer *w, const struct listing *l)
{
    const struct ledger none = {.since_ns = l->entry->since_wall_ns,
                                .is_kernel_dropped_exact = true};

    json_begin_object(w, NULL);
    put_settings(w, l);
    put_state(w, l);
    json_begin_object(w, "mailbox");
    json_put_uint(w, "bytes", l->entry->settings.mailbox_bytes);
    json_put_uint(w, "used", l->snapshot ? l->snapshot->mailbox_used : 0);
    json_end_object(w);
    put_spool(w, l);
    put_consumers(w, l);
    put_sessions(w, l);
    listing_write_ledger(w, l->snapshot ? &l->snapshot->ledger : &none);
    if (l->is_for_owner)
        put_sources(w, l->snapshot);
    else
        json_put_null(w, "sources");
    json_end_object(w);
}
