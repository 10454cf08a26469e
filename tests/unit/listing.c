/* SPDX-License-Identifier: MIT */
/* An endpoint as JSON. */
#include "daemon/control/listing.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

static struct entry entry(void)
{
    struct entry e = {.generation = 3,
                      .state = ENTRY_ATTACHED,
                      .owner = {.uid = 1000, .pid = 42},
                      .lease_deadline_ms = NEVER_MS,
                      .retry_ms = NEVER_MS};

    settings_init(&e.settings);
    strcpy(e.settings.name, "thermo");
    cr_assert_eq(address_parse("127.0.0.1:7000", &e.address), 0);
    return e;
}

static json_t *written(const struct listing *l)
{
    struct json_writer w;
    json_t *value;

    json_writer_init(&w);
    listing_write(&w, l);
    cr_assert_eq(w.error, 0);
    value = json_loadb(w.bytes, w.length, 0, NULL);
    json_writer_deinit(&w);
    cr_assert_not_null(value);
    return value;
}

static const char *text(const json_t *value, const char *key)
{
    return json_string_value(json_object_get(value, key));
}

static json_int_t number(const json_t *value, const char *key)
{
    const json_t *member = json_object_get(value, key);

    cr_assert(json_is_integer(member), "%s", key);
    return json_integer_value(member);
}

Test(listing, shows_settings_address_state_and_owner)
{
    struct entry e = entry();
    struct listing l = {.entry = &e, .user = "iot", .exe = "/bin/x"};
    json_t *value = written(&l), *owner = json_object_get(value, "owner");

    cr_assert_str_eq(text(value, "name"), "thermo");
    cr_assert_str_eq(text(value, "address"), "127.0.0.1");
    cr_assert_eq(number(value, "port"), 7000);
    cr_assert_str_eq(text(value, "mode"), "exclusive");
    cr_assert_eq(number(value, "lease_s"), 60);
    cr_assert_str_eq(text(value, "state"), "attached");
    cr_assert_eq(number(value, "generation"), 3);
    cr_assert_eq(number(owner, "uid"), 1000);
    cr_assert_str_eq(text(owner, "user"), "iot");
    json_decref(value);
}

Test(listing, keeps_exe_and_sources_for_the_owner)
{
    struct entry e = entry();
    struct snapshot s = {.n_sources = 1};
    struct listing l = {.entry = &e, .snapshot = &s, .exe = "/bin/x"};
    json_t *value = written(&l);

    cr_assert(json_is_null(json_object_get(json_object_get(value, "owner"), "exe")));
    cr_assert(json_is_null(json_object_get(value, "sources")));
    json_decref(value);
    l.is_for_owner = true;
    value = written(&l);
    cr_assert_str_eq(text(json_object_get(value, "owner"), "exe"), "/bin/x");
    cr_assert_eq(json_array_size(json_object_get(value, "sources")), 1);
    json_decref(value);
}

Test(listing, sessions_are_for_the_owner_to_see)
{
    static const struct listing_session sessions[] = {
        {.id = "0123", .identity = "{\"a\": 1}", .port = 25000, .age_s = 7, .state = "open"},
        {.id = "4567", .bytes_in_flight = 9, .retransmitted = 2, .state = "offered"}};
    struct entry e = entry();
    struct listing l = {.entry = &e, .sessions = sessions, .n_sessions = 2};
    json_t *value = written(&l), *rows;

    cr_assert(json_is_null(json_object_get(value, "sessions")));
    cr_assert_str_eq(text(value, "sessions_mode"), "off");
    cr_assert_str_eq(text(value, "session_ports"), "own");
    json_decref(value);
    l.is_for_owner = true;
    value = written(&l);
    rows = json_object_get(value, "sessions");
    cr_assert_eq(json_array_size(rows), 2);
    cr_assert_str_eq(text(json_array_get(rows, 0), "identity"), "{\"a\": 1}");
    cr_assert_eq(json_integer_value(json_object_get(json_array_get(rows, 0), "port")), 25000);
    cr_assert(json_is_null(json_object_get(json_array_get(rows, 1), "identity")));
    cr_assert(json_is_null(json_object_get(json_array_get(rows, 1), "port")));
    cr_assert_eq(json_integer_value(json_object_get(json_array_get(rows, 1), "in_flight")), 9);
    cr_assert_str_eq(text(json_array_get(rows, 1), "state"), "offered");
    json_decref(value);
}

Test(listing, says_why_an_endpoint_is_pending)
{
    struct entry e = entry();
    struct listing l = {.entry = &e};
    json_t *value;

    e.state = ENTRY_PENDING;
    e.error = -EADDRINUSE;
    value = written(&l);
    cr_assert_str_eq(text(value, "error"), "cannot bind 127.0.0.1:7000: Address already in use");
    json_decref(value);
    e.state = ENTRY_HELD;
    value = written(&l);
    cr_assert(json_is_null(json_object_get(value, "error")));
    json_decref(value);
}

Test(listing, rounds_what_is_left_of_a_lease_up)
{
    static const struct {
        const char *name;
        int64_t deadline_ms;
        int64_t left_s;
    } cases[] = {
        {"a whole second", 2000, 1}, {"a part of one", 1001, 1}, {"now", 1000, 0}, {"over", 10, 0}};
    struct entry e = entry();
    struct listing l = {.entry = &e, .now_ms = 1000};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *value;

        e.lease_deadline_ms = cases[i].deadline_ms;
        value = written(&l);
        cr_assert_eq(number(value, "lease_left_s"), cases[i].left_s, "%s", cases[i].name);
        json_decref(value);
    }
}

Test(listing, shows_only_the_reasons_that_have_happened)
{
    struct entry e = entry();
    struct snapshot s = {.ledger = {.received = 5, .delivered = 3}};
    struct listing l = {.entry = &e, .snapshot = &s};
    json_t *value, *ledger, *dropped;

    s.ledger.dropped[DROP_MAILBOX_FULL] = 2;
    value = written(&l);
    ledger = json_object_get(value, "ledger");
    dropped = json_object_get(ledger, "dropped");
    cr_assert_eq(number(ledger, "received"), 5);
    cr_assert_eq(json_object_size(dropped), 1);
    cr_assert_eq(number(dropped, "mailbox_full"), 2);
    json_decref(value);
}

Test(listing, shows_each_consumer)
{
    struct entry e = entry();
    const struct listing_consumer consumers[] = {
        {.pid = 7, .uid = 1000, .kind = CONSUMER_RECEIVING, .delivered = 2, .queued = 1},
        {.pid = 0, .uid = 1001, .kind = CONSUMER_ATTACHED, .missed = 9}};
    struct listing l = {.entry = &e, .consumers = consumers, .n_consumers = 2};
    json_t *value = written(&l), *rows = json_object_get(value, "consumers");

    cr_assert_eq(json_array_size(rows), 2);
    cr_assert_str_eq(text(json_array_get(rows, 0), "kind"), "receiving");
    cr_assert_eq(number(json_array_get(rows, 0), "delivered"), 2);
    cr_assert(json_is_null(json_object_get(json_array_get(rows, 1), "pid")));
    cr_assert_eq(number(json_array_get(rows, 1), "missed"), 9);
    json_decref(value);
}

Test(listing, shows_what_is_on_disk)
{
    static const struct {
        const char *name;
        struct spool_info spool;
        enum store_state store;
        uint64_t max_bytes, max_messages;
        const char *state;
    } cases[] = {
        {"some", {.is_on = true, .messages = 3, .bytes = 900}, STORE_OPEN, 1000, 0, "open"},
        {"nearly all", {.is_on = true, .bytes = 950}, STORE_OPEN, 1000, 0, "full"},
        {"no bound", {.is_on = true, .bytes = 950}, STORE_OPEN, 0, 0, "open"},
        {"one less", {.is_on = true, .messages = 9}, STORE_OPEN, 1000, 10, "open"},
        {"as many as may be", {.is_on = true, .messages = 10}, STORE_OPEN, 1000, 10, "full"},
        {"no room in the database", {.is_on = true}, STORE_FULL, 1000, 0, "full"},
        {"a failed database", {.is_on = true, .bytes = 990}, STORE_FAILED, 1000, 0, "failed"},
        {"a failed write", {.is_on = true, .is_failed = true}, STORE_FULL, 1000, 0, "failed"},
    };
    struct entry e = entry();
    struct snapshot s = {.n_sources = 0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct listing l = {.entry = &e, .snapshot = &s, .store = cases[i].store};
        json_t *value, *spool;

        s.spool = cases[i].spool;
        s.spool.n_waiting = 7;
        e.settings.spool_bytes = cases[i].max_bytes;
        e.settings.spool_messages = cases[i].max_messages;
        value = written(&l);
        spool = json_object_get(value, "spool");
        cr_expect_str_eq(text(spool, "state"), cases[i].state, "%s", cases[i].name);
        cr_expect_eq(number(spool, "messages"), (json_int_t)cases[i].spool.messages);
        cr_expect_eq(number(spool, "bytes"), (json_int_t)cases[i].spool.bytes);
        cr_expect_eq(number(spool, "waiting"), 7);
        cr_expect(json_is_null(json_object_get(spool, "since")));
        json_decref(value);
    }
}

Test(listing, says_since_when_something_is_on_disk_and_nothing_where_nothing_goes_there)
{
    struct entry e = entry();
    struct snapshot s = {.spool = {.is_on = true, .since_ns = 1500000000}};
    struct listing l = {.entry = &e, .snapshot = &s};
    json_t *value = written(&l);

    cr_assert_str_eq(text(json_object_get(value, "spool"), "since"),
                     "1970-01-01T00:00:01.500000000Z");
    json_decref(value);
    s.spool.is_on = false;
    value = written(&l);
    cr_assert(json_is_null(json_object_get(value, "spool")));
    json_decref(value);
    l.snapshot = NULL;
    value = written(&l);
    cr_assert(json_is_null(json_object_get(value, "spool")));
    json_decref(value);
}
