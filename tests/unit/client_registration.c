/* SPDX-License-Identifier: MIT */
/* What is asked of Register, and the table of names. */
#include "client/registration.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

struct row {
    const char *name; /* of the case */
    struct msgd_registration from;
    const char *parameters;
};

static const char *const networks[] = {"10.0.0.0/8", "::1", NULL};

Test(client_registration, asks_only_for_what_is_not_the_default)
{
    static const struct row table[] = {
        {"nothing but the name", {.name = "a"}, "{\"port\":0,\"name\":\"a\"}"},
        {"the last port", {.name = "a", .port = 65535}, "{\"port\":65535,\"name\":\"a\"}"},
        {"no lease",
         {.name = "a", .lease_s = MSGD_LEASE_NONE},
         "{\"port\":0,\"name\":\"a\",\"lease_s\":0}"},
        {"a lease for ever",
         {.name = "a", .lease_s = MSGD_LEASE_FOREVER},
         "{\"port\":0,\"name\":\"a\",\"lease_s\":-1}"},
        {"everything",
         {.name = "a",
          .address = "::",
          .port = 7,
          .mode = MSGD_COPY,
          .on_conflict = MSGD_REPLACE,
          .is_irreplaceable = 1,
          .lease_s = 5,
          .mailbox_bytes = 70000,
          .when_full = MSGD_DROP_OLD,
          .is_durable = 1,
          .spool_bytes = 70001,
          .spool_messages = 12,
          .format = MSGD_RAW,
          .max_message_bytes = 100,
          .allow = networks,
          .no_gro = 1,
          .shards = 2,
          .receive_buffer_bytes = 4096,
          .max_deliver = 3,
          .ttl_s = 20,
          .stall_s = 9,
          .on_stall = MSGD_STALL_AWAY},
         "{\"port\":7,\"name\":\"a\",\"address\":\"::\",\"mode\":\"copy\",\"on_conflict\":"
         "\"replace\",\"may_replace\":false,\"lease_s\":5,\"mailbox_bytes\":70000,\"when_full\":"
         "\"drop-old\",\"durable\":true,\"spool_bytes\":70001,\"spool_messages\":12,\"format\":"
         "\"raw\",\"max_message_bytes\":100,\"allow\":[\"10.0.0.0/8\","
         "\"::1\"],\"gro\":false,\"shards\":2,\"receive_buffer_bytes\":4096,\"max_deliver\":3,"
         "\"ttl_s\":20,\"stall_s\":9,\"on_stall\":\"away\"}"},
        {"all that is on disk, and to drop what is new, though that is the default",
         {.name = "a", .when_full = MSGD_DROP_NEW, .spool_bytes = MSGD_SPOOL_UNBOUNDED},
         "{\"port\":0,\"name\":\"a\",\"when_full\":\"drop-new\",\"spool_bytes\":0}"},
        {"a consumer that never stalls",
         {.name = "a", .stall_s = -1},
         "{\"port\":0,\"name\":\"a\",\"stall_s\":0}"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct registration r = {0};
        struct json_writer w;
        struct varlink_call call;
        const char *field;
        json_writer_init(&w);
        cr_assert_eq(registration_want(&r, &table[i].from, &field), 0);
        registration_put_register(&r, &w);
        cr_assert_eq(w.error, 0);
        cr_assert_eq(varlink_call_parse(w.bytes, w.length - 1, &call), 0, "%.*s", (int)w.length,
                     w.bytes);
        char *parameters = json_dumps(call.parameters, JSON_COMPACT);
        cr_expect_str_eq(parameters, table[i].parameters, "%s", table[i].name);
        cr_expect_str_eq(call.method, "io.msgd.Register");
        free(parameters);
        free(r.wanted_members);
        varlink_call_deinit(&call);
        json_writer_deinit(&w);
    }
}

Test(client_registration, values_that_no_enum_has_are_named)
{
    static const struct row table[] = {
        {"mode", {.name = "a", .mode = (enum msgd_mode)7}, NULL},
        {"on_conflict", {.name = "a", .on_conflict = (enum msgd_on_conflict) - 1}, NULL},
        {"when_full", {.name = "a", .when_full = (enum msgd_when_full)4}, NULL},
        {"format", {.name = "a", .format = (enum msgd_format)2}, NULL},
        {"lease_s", {.name = "a", .lease_s = -3}, NULL},
        {"stall_s", {.name = "a", .stall_s = -2}, NULL},
        {"on_stall", {.name = "a", .on_stall = (enum msgd_on_stall)2}, NULL},
        {"mailbox_bytes", {.name = "a", .mailbox_bytes = UINT64_MAX}, NULL},
        {"spool_bytes", {.name = "a", .spool_bytes = UINT64_MAX - 1}, NULL},
        {"spool_messages", {.name = "a", .spool_messages = UINT64_MAX}, NULL},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct registration r = {0};
        const char *field = NULL;
        cr_expect_eq(registration_want(&r, &table[i].from, &field), -EINVAL);
        cr_expect_str_eq(field, table[i].name);
    }
}

Test(client_registration, finds_each_of_20000_names)
{
    struct registrations all = {0};
    char name[16];

    for (int i = 0; i < 20000; i++) {
        struct registration *r, *again;
        snprintf(name, sizeof(name), "n%d", i);
        cr_assert_null(registrations_find(&all, name));
        cr_assert_eq(registrations_get(&all, name, &r), 0);
        cr_assert_eq(registrations_get(&all, name, &again), 0);
        cr_assert_eq(r, again);
        cr_assert_str_eq(r->name, name);
    }
    cr_expect_eq(all.n, 20000);
    cr_expect_null(registrations_find(&all, "n20000"));
    cr_expect_null(registrations_find(&all, NULL));
    registrations_deinit(&all);
}

Test(client_registration, asks_again_for_the_port_that_it_was_given)
{
    struct registrations all = {0};
    struct registration *r;
    const struct msgd_registration from = {.name = "a"};
    const char *field;
    json_t *reply = json_pack("{s:s, s:i, s:i, s:b}", "address", "127.0.0.1", "port", 10007,
                              "generation", 3, "resumed", 1);

    cr_assert_eq(registrations_get(&all, "a", &r), 0);
    cr_assert_eq(registration_want(r, &from, &field), 0);
    cr_assert_eq(registration_note_registered(&all, r, reply), 0);
    registration_accept(&all, r);
    cr_expect_eq(all.n_active, 1);
    cr_assert_eq(registration_want_again(r), 0);
    cr_expect_eq(r->wanted_port, 10007);
    struct msgd_endpoint endpoint;
    registration_describe(r, &endpoint);
    const char *address = endpoint.address;
    cr_expect_eq(endpoint.is_resumed, 1);
    cr_expect_eq(endpoint.generation, 3);
    json_object_set_new(reply, "address", json_string("::1"));
    cr_assert_eq(registration_note_registered(&all, r, reply), 0);
    cr_expect_str_eq(address, "127.0.0.1", "what the program was given stays");
    registration_refuse(&all, r, true);
    cr_expect_eq(all.n_active, 0);
    json_decref(reply);
    registrations_deinit(&all);
}
