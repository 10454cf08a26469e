/* SPDX-License-Identifier: MIT */
/* The fields of an endpoint, from JSON. */
#include "daemon/config/settings_json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define QUOTA   (UINT64_C(1) << 30)
#define NAME_63 "a23456789012345678901234567890123456789012345678901234567890123"

static struct settings_error error;

static int parse(const char *text, enum settings_source source, struct settings *out,
                 uint32_t *given)
{
    json_t *object = json_loads(text, JSON_DECODE_ANY, NULL);
    int outcome;

    cr_assert_not_null(object, "%s", text);
    outcome = settings_from_json(object, source, QUOTA, out, given, &error);
    json_decref(object);
    return outcome;
}

Test(settings_json, a_name_alone_gives_the_defaults)
{
    struct settings s, defaults;
    uint32_t given;

    settings_init(&defaults);
    cr_assert_eq(parse("{\"name\": \"a\"}", FROM_REGISTER, &s, &given), 0);
    cr_assert_eq(settings_difference(&s, &defaults), 0);
    cr_assert_str_eq(s.name, "a");
    cr_assert_eq(given, 0);
    settings_deinit(&s);
    cr_assert_eq(parse("{\"name\": \"a\"}", FROM_CONFIG, &s, NULL), 0);
    cr_assert_eq(settings_difference(&s, &defaults), FIELD_BIT(LEASE));
    cr_assert_eq(s.lease_s, LEASE_FOREVER);
    settings_deinit(&s);
}

Test(settings_json, every_field_is_read)
{
    struct settings s;
    uint32_t given;

    cr_assert_eq(
        parse("{\"name\": \"" NAME_63
              "\", \"address\": \"::ffff:10.0.0.1\", \"port\": 65535, \"mode\": "
              "\"share\", \"on_conflict\": \"queue\", \"may_replace\": false, \"lease_s\": -1, "
              "\"mailbox_bytes\": 256, \"when_full\": \"spool\", \"durable\": true, "
              "\"spool_bytes\": 0, \"spool_messages\": 7, "
              "\"format\": \"raw\", "
              "\"max_message_bytes\": 64, \"allow\": [\"10.0.0.0/8\", \"::1\"], \"gro\": false, "
              "\"shards\": 4, "
              "\"receive_buffer_bytes\": 1024, \"max_deliver\": 31, \"ttl_s\": 4294967295, "
              "\"stall_s\": 0, \"on_stall\": \"away\", \"sessions\": \"off\", \"session_ports\": "
              "\"single\"}",
              FROM_REGISTER, &s, &given),
        0, "%s: %s", error.parameter, error.expected);
    cr_assert_str_eq(s.name, NAME_63);
    cr_assert_eq(s.address.family, ADDRESS_IPV4);
    cr_assert_eq(s.address.port, 65535);
    cr_assert_eq(s.mode, MODE_SHARE);
    cr_assert_eq(s.on_conflict, CONFLICT_QUEUE);
    cr_assert_not(s.may_replace);
    cr_assert_eq(s.lease_s, LEASE_FOREVER);
    cr_assert_eq(s.mailbox_bytes, 256);
    cr_assert_eq(s.when_full, WHEN_FULL_SPOOL);
    cr_assert(s.is_durable);
    cr_assert_eq(s.spool_bytes, 0);
    cr_assert_eq(s.spool_messages, 7);
    cr_assert_eq(s.format, FORMAT_RAW);
    cr_assert_eq(s.max_message_bytes, 64);
    cr_assert_eq(s.n_allow, 2);
    cr_assert_not(s.gro);
    cr_assert_eq(s.receive_buffer_bytes, 1024);
    cr_assert_eq(s.max_deliver, 31);
    cr_assert_eq(s.ttl_s, UINT32_MAX);
    cr_assert_eq(s.stall_s, 0);
    cr_assert_eq(s.on_stall, STALL_AWAY);
    cr_assert_eq(s.sessions, SESSIONS_OFF);
    cr_assert_eq(s.session_ports, SESSION_PORTS_SINGLE);
    cr_assert_eq(given, FIELDS_ALL & ~(FIELD_BIT(USERS) | FIELD_BIT(GROUPS)));
    settings_deinit(&s);
}

Test(settings_json, the_order_of_address_and_port_does_not_matter)
{
    struct settings s;
    char text[ADDRESS_TEXT_MAX];

    cr_assert_eq(
        parse("{\"port\": 7000, \"address\": \"::\", \"name\": \"a\"}", FROM_REGISTER, &s, NULL),
        0);
    cr_assert_str_eq(address_print(&s.address, text), "[::]:7000");
    settings_deinit(&s);
}

Test(settings_json, the_configuration_has_users_groups_and_a_lease_in_words)
{
    struct settings s;

    cr_assert_eq(parse("{\"name\": \"a\", \"users\": [\"x\", \"y\"], \"groups\": [], \"lease\": 0}",
                       FROM_CONFIG, &s, NULL),
                 0);
    cr_assert_eq(s.n_users, 2);
    cr_assert_eq(s.lease_s, 0);
    settings_deinit(&s);
    cr_assert_eq(parse("{\"name\": \"a\", \"lease\": \"forever\"}", FROM_CONFIG, &s, NULL), 0);
    cr_assert_eq(s.lease_s, LEASE_FOREVER);
    settings_deinit(&s);
}

Test(settings_json, null_means_absent_in_a_call)
{
    struct settings s;
    uint32_t given;

    cr_assert_eq(parse("{\"name\": \"a\", \"port\": null, \"allow\": null, \"durable\": null}",
                       FROM_REGISTER, &s, &given),
                 0);
    cr_assert_eq(given, 0);
    settings_deinit(&s);
}

static const struct refusal {
    const char *text; /* of the members besides a name, or with one */
    enum settings_source source;
    const char *parameter;
    const char *expected; /* a part of it */
} refusals[] = {
    {"[]", FROM_REGISTER, "", "an object"},
    {"{}", FROM_REGISTER, "name", "a name"},
    {"{\"name\": null}", FROM_REGISTER, "name", "a name"},
    {"{\"name\": \"\"}", FROM_REGISTER, "name", "a name"},
    {"{\"name\": \"A\"}", FROM_REGISTER, "name", "a name"},
    {"{\"name\": \"-a\"}", FROM_REGISTER, "name", "a name"},
    {"{\"name\": \"" NAME_63 "4\"}", FROM_REGISTER, "name", "a name"},
    {"{\"name\": 5}", FROM_REGISTER, "name", "a name"},
    {"{\"name\": \"a\", \"nmae\": 1}", FROM_REGISTER, "nmae", "there is no \"nmae\""},
    {"{\"name\": \"a\", \"nmae\": null}", FROM_REGISTER, "nmae", "there is no \"nmae\""},
    {"{\"name\": \"a\", \"lease\": 5}", FROM_REGISTER, "lease", "there is no"},
    {"{\"name\": \"a\", \"users\": []}", FROM_REGISTER, "users", "there is no"},
    {"{\"name\": \"a\", \"lease_s\": 5}", FROM_CONFIG, "lease_s", "there is no"},
    {"{\"name\": \"a\", \"port\": null}", FROM_CONFIG, "port", "an integer"},
    {"{\"name\": \"a\", \"port\": -1}", FROM_REGISTER, "port", "from 0 to 65535"},
    {"{\"name\": \"a\", \"port\": 65536}", FROM_REGISTER, "port", "from 0 to 65535"},
    {"{\"name\": \"a\", \"port\": \"7000\"}", FROM_REGISTER, "port", "an integer"},
    {"{\"name\": \"a\", \"port\": 7000.0}", FROM_REGISTER, "port", "an integer"},
    {"{\"name\": \"a\", \"address\": \"localhost\"}", FROM_REGISTER, "address", "an IP address"},
    {"{\"name\": \"a\", \"address\": \"127.0.0.1:5\"}", FROM_REGISTER, "address", "an IP address"},
    {"{\"name\": \"a\", \"address\": \"fe80::1\"}", FROM_REGISTER, "address", "its interface"},
    {"{\"name\": \"a\", \"address\": \"fe80::1%nosuch0\"}", FROM_REGISTER, "address",
     "an interface"},
    {"{\"name\": \"a\", \"address\": 5}", FROM_REGISTER, "address", "an IP address"},
    {"{\"name\": \"a\", \"mode\": \"shared\"}", FROM_REGISTER, "mode",
     "one of \"exclusive\", \"share\", \"copy\""},
    {"{\"name\": \"a\", \"on_conflict\": 1}", FROM_REGISTER, "on_conflict", "one of \"reject\""},
    {"{\"name\": \"a\", \"may_replace\": 1}", FROM_REGISTER, "may_replace", "true or false"},
    {"{\"name\": \"a\", \"gro\": \"yes\"}", FROM_REGISTER, "gro", "true or false"},
    {"{\"name\": \"a\", \"lease_s\": -2}", FROM_REGISTER, "lease_s", "-1 for ever"},
    {"{\"name\": \"a\", \"lease_s\": \"forever\"}", FROM_REGISTER, "lease_s", "-1 for ever"},
    {"{\"name\": \"a\", \"lease_s\": 9223372036854775807}", FROM_REGISTER, "lease_s", "4294967295"},
    {"{\"name\": \"a\", \"lease\": -1}", FROM_CONFIG, "lease", "or \"forever\""},
    {"{\"name\": \"a\", \"lease\": \"ever\"}", FROM_CONFIG, "lease", "or \"forever\""},
    {"{\"name\": \"a\", \"mailbox_bytes\": 0}", FROM_REGISTER, "mailbox_bytes",
     "from 1 to 1073741824"},
    {"{\"name\": \"a\", \"mailbox_bytes\": 1073741825}", FROM_REGISTER, "mailbox_bytes",
     "from 1 to 1073741824"},
    {"{\"name\": \"a\", \"mailbox_bytes\": 65663}", FROM_REGISTER, "mailbox_bytes",
     "65664 for 65507"},
    {"{\"name\": \"a\", \"max_message_bytes\": 0}", FROM_REGISTER, "max_message_bytes",
     "from 1 to 65535"},
    {"{\"name\": \"a\", \"max_message_bytes\": 65536}", FROM_REGISTER, "max_message_bytes",
     "from 1 to 65535"},
    {"{\"name\": \"a\", \"format\": \"text\"}", FROM_REGISTER, "format",
     "one of \"json\", \"raw\""},
    {"{\"name\": \"a\", \"allow\": \"10.0.0.0/8\"}", FROM_REGISTER, "allow", "an array"},
    {"{\"name\": \"a\", \"allow\": [\"::/0\", \"10.0.0.0/33\"]}", FROM_REGISTER, "allow",
     "a network"},
    {"{\"name\": \"a\", \"allow\": [null]}", FROM_REGISTER, "allow", "a network"},
    {"{\"name\": \"a\", \"receive_buffer_bytes\": 1}", FROM_REGISTER, "receive_buffer_bytes",
     "from 1024"},
    {"{\"name\": \"a\", \"when_full\": \"wait\"}", FROM_REGISTER, "when_full", "\"spool\""},
    {"{\"name\": \"a\", \"durable\": 1}", FROM_REGISTER, "durable", "true or false"},
    {"{\"name\": \"a\", \"spool_bytes\": -1}", FROM_CONFIG, "spool_bytes", "from 0"},
    {"{\"name\": \"a\", \"spool_messages\": \"many\"}", FROM_REGISTER, "spool_messages", "from 0"},
    {"{\"name\": \"a\", \"max_deliver\": 32}", FROM_REGISTER, "max_deliver", "from 0 to 31"},
    {"{\"name\": \"a\", \"ttl_s\": -1}", FROM_REGISTER, "ttl_s", "from 0"},
    {"{\"name\": \"a\", \"stall_s\": 4294967296}", FROM_CONFIG, "stall_s", "from 0"},
    {"{\"name\": \"a\", \"on_stall\": \"kill\"}", FROM_REGISTER, "on_stall",
     "one of \"show\", \"away\""},
    {"{\"name\": \"a\", \"shards\": 0}", FROM_REGISTER, "shards", "from 1 to 16"},
    {"{\"name\": \"a\", \"shards\": 17}", FROM_REGISTER, "shards", "from 1 to 16"},
    {"{\"name\": \"a\", \"address\": \"239.1.2.3\", \"shards\": 2}", FROM_REGISTER, "shards",
     "1 at a multicast"},
    {"{\"name\": \"a\", \"users\": [\"\"]}", FROM_CONFIG, "users", "a name"},
    {"{\"name\": \"a\", \"groups\": \"x\"}", FROM_CONFIG, "groups", "an array"},
    {"{\"name\": \"a\", \"sessions\": \"on\"}", FROM_REGISTER, "sessions",
     "one of \"off\", \"auto\", \"ask\""},
    {"{\"name\": \"a\", \"session_ports\": \"two\"}", FROM_REGISTER, "session_ports",
     "one of \"own\", \"single\""},
    {"{\"name\": \"a\", \"sessions\": \"ask\", \"format\": \"raw\"}", FROM_REGISTER, "sessions",
     "no sessions"},
    {"{\"name\": \"a\", \"when_full\": \"block\"}", FROM_REGISTER, "when_full", "\"drop-new\""},
};

Test(settings_json, a_refusal_names_the_field_and_what_was_expected)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *c = &refusals[i];
        struct settings s;

        cr_expect_eq(parse(c->text, c->source, &s, NULL), SETTINGS_REFUSED, "%s", c->text);
        cr_expect_str_eq(error.parameter, c->parameter, "%s", c->text);
        cr_expect_not_null(strstr(error.expected, c->expected), "%s: %s", c->text, error.expected);
        cr_expect_eq(error.is_unknown, strstr(c->expected, "there is no") != NULL, "%s", c->text);
    }
}

Test(settings_json, the_wrong_element_is_named)
{
    struct settings s;

    cr_assert_eq(parse("{\"name\": \"a\", \"allow\": [\"::/0\", \"x\"]}", FROM_REGISTER, &s, NULL),
                 SETTINGS_REFUSED);
    cr_assert(error.has_index);
    cr_assert_eq(error.index, 1);
}

Test(settings_json, an_unknown_field_of_any_length_is_refused)
{
    char text[1000];
    struct settings s;

    snprintf(text, sizeof(text), "{\"name\": \"a\", \"%0*d\": 1}", 900, 7);
    cr_assert_eq(parse(text, FROM_REGISTER, &s, NULL), SETTINGS_REFUSED);
    cr_assert(error.is_unknown);
    cr_assert_lt(strlen(error.parameter), sizeof(error.parameter));
}

Test(settings_json, what_is_durable_spools_unless_it_says_otherwise)
{
    static const struct {
        const char *text;
        bool is_durable, has_spool;
        enum when_full when_full;
    } cases[] = {
        {"{\"name\": \"a\"}", false, false, WHEN_FULL_DROP_NEW},
        {"{\"name\": \"a\", \"durable\": true}", true, true, WHEN_FULL_SPOOL},
        {"{\"name\": \"a\", \"durable\": true, \"when_full\": \"drop-old\"}", true, true,
         WHEN_FULL_DROP_OLD},
        {"{\"name\": \"a\", \"when_full\": \"spool\"}", false, true, WHEN_FULL_SPOOL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings s;

        cr_assert_eq(parse(cases[i].text, FROM_REGISTER, &s, NULL), 0, "%s", cases[i].text);
        cr_expect_eq(s.is_durable, cases[i].is_durable, "%s", cases[i].text);
        cr_expect_eq(s.when_full, cases[i].when_full, "%s", cases[i].text);
        cr_expect_eq(settings_have_spool(&s), cases[i].has_spool, "%s", cases[i].text);
        cr_expect_eq(s.spool_bytes, 256u << 20, "%s", cases[i].text);
        settings_deinit(&s);
    }
}
