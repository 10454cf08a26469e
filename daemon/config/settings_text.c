/* SPDX-License-Identifier: MIT */
/* The fields of an endpoint as the JSON that Register takes. */
#include "daemon/config/settings_text.h"

static void put_allow(struct json_writer *w, const struct settings *s)
{
    char text[ADDRESS_TEXT_MAX];

    json_begin_array(w, "allow");
    for (size_t i = 0; i < s->n_allow; i++)
        json_put_string(w, NULL, network_print(&s->allow[i], text));
    json_end_array(w);
}

void settings_write_rules(struct json_writer *w, const struct settings *s)
{
    json_put_string(w, "mode", endpoint_mode_key(s->mode));
    json_put_string(w, "on_conflict", conflict_rule_key(s->on_conflict));
    json_put_bool(w, "may_replace", s->may_replace);
    json_put_int(w, "lease_s", s->lease_s);
    json_put_uint(w, "mailbox_bytes", s->mailbox_bytes);
    json_put_string(w, "when_full", when_full_key(s->when_full));
    json_put_string(w, "format", payload_format_key(s->format));
    json_put_uint(w, "max_message_bytes", s->max_message_bytes);
    put_allow(w, s);
    json_put_bool(w, "gro", s->gro);
    json_put_uint(w, "receive_buffer_bytes", s->receive_buffer_bytes);
    json_put_uint(w, "max_deliver", s->max_deliver);
    json_put_uint(w, "ttl_s", s->ttl_s);
    json_put_uint(w, "stall_s", s->stall_s);
    json_put_string(w, "on_stall", stall_rule_key(s->on_stall));
    json_put_string(w, "session_ports", session_ports_key(s->session_ports));
}

void settings_write(struct json_writer *w, const struct settings *s)
{
    char address[ADDRESS_TEXT_MAX];

    json_put_string(w, "name", s->name);
    json_put_string(w, "address", address_print_ip(&s->address, address));
    json_put_int(w, "port", s->address.port);
    settings_write_rules(w, s);
    json_put_string(w, "sessions", session_rule_key(s->sessions));
}
