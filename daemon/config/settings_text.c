/* SPDX-License-Identifier: MIT */
/* The fields of an endpoint as JSON. */
#include "daemon/config/settings_text.h"

static void put_allow(struct json_writer *w, const char *key, const struct settings *s)
{
    char text[ADDRESS_TEXT_MAX];

    json_begin_array(w, key);
    for (size_t i = 0; i < s->n_allow; i++)
        json_put_string(w, NULL, network_print(&s->allow[i], text));
    json_end_array(w);
}

/* kind: of json_put_<kind>. */
#define PUT(constant, kind, value)    \
    if (fields & FIELD_BIT(constant)) \
    json_put_##kind(w, settings_field_key(FIELD_##constant), value)

void settings_write_rules(struct json_writer *w, const struct settings *s, uint32_t fields)
{
    PUT(MODE, string, endpoint_mode_key(s->mode));
    PUT(ON_CONFLICT, string, conflict_rule_key(s->on_conflict));
    PUT(MAY_REPLACE, bool, s->may_replace);
    PUT(LEASE, int, s->lease_s);
    PUT(MAILBOX_BYTES, uint, s->mailbox_bytes);
    PUT(WHEN_FULL, string, when_full_key(s->when_full));
    PUT(DURABLE, bool, s->is_durable);
    PUT(SPOOL_BYTES, uint, s->spool_bytes);
    PUT(SPOOL_MESSAGES, uint, s->spool_messages);
    PUT(FORMAT, string, payload_format_key(s->format));
    PUT(MAX_MESSAGE_BYTES, uint, s->max_message_bytes);
    if (fields & FIELD_BIT(ALLOW))
        put_allow(w, settings_field_key(FIELD_ALLOW), s);
    PUT(GRO, bool, s->gro);
    PUT(SHARDS, uint, s->shards);
    PUT(RECEIVE_BUFFER_BYTES, uint, s->receive_buffer_bytes);
    PUT(MAX_DELIVER, uint, s->max_deliver);
    PUT(TTL, uint, s->ttl_s);
    PUT(STALL, uint, s->stall_s);
    PUT(ON_STALL, string, stall_rule_key(s->on_stall));
    PUT(SESSION_PORTS, string, session_ports_key(s->session_ports));
}
