/* SPDX-License-Identifier: MIT */
/* What an endpoint is: copies, differences and merges. */
#include "daemon/core/settings.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct settings full(void)
{
    struct settings s;

    settings_init(&s);
    strcpy(s.name, "a");
    s.n_allow = 1;
    s.allow = calloc(1, sizeof(s.allow[0]));
    cr_assert_eq(network_parse("10.0.0.0/8", &s.allow[0]), 0);
    s.n_users = 1;
    s.users = calloc(1, sizeof(s.users[0]));
    s.users[0] = strdup("iot");
    return s;
}

Test(settings, the_defaults_are_those_of_a_registration)
{
    struct settings s;
    char text[ADDRESS_TEXT_MAX];

    settings_init(&s);
    cr_assert_str_eq(address_print(&s.address, text), "127.0.0.1:0");
    cr_assert_eq(s.lease_s, 60);
    cr_assert_eq(s.mailbox_bytes, 1048576);
    cr_assert_eq(s.max_message_bytes, 65507);
    cr_assert_eq(s.receive_buffer_bytes, 4194304);
    cr_assert(s.gro);
    cr_assert(s.may_replace);
    cr_assert_str_eq(endpoint_mode_key(s.mode), "exclusive");
    cr_assert_str_eq(conflict_rule_key(s.on_conflict), "reject");
    cr_assert_str_eq(when_full_key(s.when_full), "drop-new");
    cr_assert_str_eq(payload_format_key(s.format), "json");
    cr_assert_str_eq(settings_field_key(FIELD_LEASE), "lease_s");
}

Test(settings, a_copy_owns_its_own)
{
    struct settings s = full(), copy;

    cr_assert_eq(settings_copy(&s, &copy), 0);
    cr_assert_eq(settings_difference(&s, &copy), 0);
    cr_assert_neq(s.allow, copy.allow);
    cr_assert_neq(s.users[0], copy.users[0]);
    settings_deinit(&s);
    settings_deinit(&s);
    cr_assert_str_eq(copy.users[0], "iot");
    settings_deinit(&copy);
}

static void change_mode(struct settings *s)
{
    s->mode = MODE_COPY;
}
static void change_port(struct settings *s)
{
    s->address.port = 1;
}
static void change_address(struct settings *s)
{
    s->address.ip[15] = 9;
}
static void change_family(struct settings *s)
{
    s->address.family = ADDRESS_BOTH;
}
static void change_conflict(struct settings *s)
{
    s->on_conflict = CONFLICT_QUEUE;
}
static void change_replace(struct settings *s)
{
    s->may_replace = false;
}
static void change_lease(struct settings *s)
{
    s->lease_s = 0;
}
static void change_mailbox(struct settings *s)
{
    s->mailbox_bytes++;
}
static void change_when_full(struct settings *s)
{
    s->when_full = WHEN_FULL_DROP_OLD;
}
static void change_format(struct settings *s)
{
    s->format = FORMAT_RAW;
}
static void change_max(struct settings *s)
{
    s->max_message_bytes = 1;
}
static void change_prefix(struct settings *s)
{
    s->allow[0].prefix++;
}
static void change_n_allow(struct settings *s)
{
    s->n_allow = 0;
}
static void change_shards(struct settings *s)
{
    s->shards++;
}
static void change_gro(struct settings *s)
{
    s->gro = false;
}
static void change_buffer(struct settings *s)
{
    s->receive_buffer_bytes++;
}
static void change_durable(struct settings *s)
{
    s->is_durable = true;
}
static void change_spool_bytes(struct settings *s)
{
    s->spool_bytes++;
}
static void change_spool_messages(struct settings *s)
{
    s->spool_messages++;
}
static void change_max_deliver(struct settings *s)
{
    s->max_deliver++;
}
static void change_ttl(struct settings *s)
{
    s->ttl_s++;
}
static void change_stall(struct settings *s)
{
    s->stall_s++;
}
static void change_on_stall(struct settings *s)
{
    s->on_stall = STALL_AWAY;
}
static void change_sessions(struct settings *s)
{
    s->sessions = SESSIONS_ASK;
}
static void change_session_ports(struct settings *s)
{
    s->session_ports = SESSION_PORTS_SINGLE;
}
static void change_users(struct settings *s)
{
    s->users[0][0] = 'x';
}

static const struct change {
    const char *name;
    void (*make)(struct settings *s);
    uint32_t field;
} changes[] = {
    {"mode", change_mode, FIELD_BIT(MODE)},
    {"port", change_port, FIELD_BIT(PORT)},
    {"address", change_address, FIELD_BIT(ADDRESS)},
    {"family", change_family, FIELD_BIT(ADDRESS)},
    {"on_conflict", change_conflict, FIELD_BIT(ON_CONFLICT)},
    {"may_replace", change_replace, FIELD_BIT(MAY_REPLACE)},
    {"lease", change_lease, FIELD_BIT(LEASE)},
    {"mailbox_bytes", change_mailbox, FIELD_BIT(MAILBOX_BYTES)},
    {"when_full", change_when_full, FIELD_BIT(WHEN_FULL)},
    {"durable", change_durable, FIELD_BIT(DURABLE)},
    {"spool_bytes", change_spool_bytes, FIELD_BIT(SPOOL_BYTES)},
    {"spool_messages", change_spool_messages, FIELD_BIT(SPOOL_MESSAGES)},
    {"format", change_format, FIELD_BIT(FORMAT)},
    {"max_message_bytes", change_max, FIELD_BIT(MAX_MESSAGE_BYTES)},
    {"allow", change_prefix, FIELD_BIT(ALLOW)},
    {"number of networks", change_n_allow, FIELD_BIT(ALLOW)},
    {"gro", change_gro, FIELD_BIT(GRO)},
    {"shards", change_shards, FIELD_BIT(SHARDS)},
    {"receive_buffer_bytes", change_buffer, FIELD_BIT(RECEIVE_BUFFER_BYTES)},
    {"max_deliver", change_max_deliver, FIELD_BIT(MAX_DELIVER)},
    {"ttl_s", change_ttl, FIELD_BIT(TTL)},
    {"stall_s", change_stall, FIELD_BIT(STALL)},
    {"on_stall", change_on_stall, FIELD_BIT(ON_STALL)},
    {"sessions", change_sessions, FIELD_BIT(SESSIONS)},
    {"session_ports", change_session_ports, FIELD_BIT(SESSION_PORTS)},
    {"users", change_users, FIELD_BIT(USERS)},
};

Test(settings, a_difference_is_found_and_merged_for_each_field)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct settings a = full(), b = full(), merged, kept;

        changes[i].make(&b);
        cr_expect_eq(settings_difference(&a, &b), changes[i].field, "%s", changes[i].name);
        cr_assert_eq(settings_merge(&a, &b, changes[i].field, &merged), 0);
        cr_expect_eq(settings_difference(&merged, &b), 0, "%s", changes[i].name);
        cr_assert_eq(settings_merge(&a, &b, ~changes[i].field, &kept), 0);
        cr_expect_eq(settings_difference(&kept, &a), 0, "%s", changes[i].name);
        settings_deinit(&a);
        settings_deinit(&merged);
        settings_deinit(&kept);
        b.n_allow = 1;
        settings_deinit(&b);
    }
}

Test(settings, the_least_mailbox_holds_one_largest_record)
{
    cr_assert_eq(settings_least_mailbox(1), 192);
    cr_assert_eq(settings_least_mailbox(64), 256);
    cr_assert_eq(settings_least_mailbox(65507), 65664);
}
