/* SPDX-License-Identifier: MIT */
/* What is to be done about a registration. */
#include "tests/unit/registry_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(registry_decide, .init = open_registry, .fini = close_registry);

enum { HOLDER_NONE, HOLDER_ATTACHED, HOLDER_AWAY, HOLDER_STATIC, HOLDER_STATIC_ATTACHED };

#define GIVEN_NONE 0u
#define GIVEN_PORT FIELD_BIT(PORT)

static const struct decide_case {
    const char *name;
    int holder;
    enum endpoint_mode mode; /* of the holder */
    bool holder_refuses_replace;
    uid_t uid; /* of the claimant; the holder is ALICE */
    bool is_administrator;
    bool may_own;
    bool is_consumer;
    enum conflict_rule on_conflict;
    const char *ip;
    uint16_t port;
    uint32_t given;
    enum claim_mailbox mailbox;
    enum claim_verdict verdict;
    bool must_move;
} decide_cases[] = {
    {.name = "a free name", .uid = BOB, .verdict = CLAIM_NEW},
    {.name = "a free name, a free port",
     .uid = BOB,
     .port = 7001,
     .given = GIVEN_PORT,
     .verdict = CLAIM_NEW},
    {.name = "away, same uid", .holder = HOLDER_AWAY, .uid = ALICE, .verdict = CLAIM_RESUME},
    {.name = "away, same uid and port",
     .holder = HOLDER_AWAY,
     .uid = ALICE,
     .port = 7000,
     .given = GIVEN_PORT,
     .verdict = CLAIM_RESUME},
    {.name = "away, any port is its own",
     .holder = HOLDER_AWAY,
     .uid = ALICE,
     .port = 0,
     .given = GIVEN_PORT,
     .verdict = CLAIM_RESUME},
    {.name = "away, an address that was not given",
     .holder = HOLDER_AWAY,
     .uid = ALICE,
     .ip = "0.0.0.0",
     .verdict = CLAIM_RESUME},
    {.name = "away, another port, mailbox not asked",
     .holder = HOLDER_AWAY,
     .uid = ALICE,
     .port = 7001,
     .given = GIVEN_PORT,
     .verdict = CLAIM_ASK_MAILBOX,
     .must_move = true},
    {.name = "away, another port, mailbox empty",
     .holder = HOLDER_AWAY,
     .uid = ALICE,
     .port = 7001,
     .given = GIVEN_PORT,
     .mailbox = MAILBOX_EMPTY,
     .verdict = CLAIM_RESUME,
     .must_move = true},
    {.name = "away, another port, mailbox in use",
     .holder = HOLDER_AWAY,
     .uid = ALICE,
     .port = 7001,
     .given = GIVEN_PORT,
     .mailbox = MAILBOX_IN_USE,
     .verdict = CLAIM_NAME_TAKEN,
     .must_move = true},
    {.name = "away, another address, mailbox empty",
     .holder = HOLDER_AWAY,
     .uid = ALICE,
     .ip = "0.0.0.0",
     .given = FIELD_BIT(ADDRESS),
     .mailbox = MAILBOX_EMPTY,
     .verdict = CLAIM_RESUME,
     .must_move = true},
    {.name = "away, another uid", .holder = HOLDER_AWAY, .uid = BOB, .verdict = CLAIM_NAME_TAKEN},
    {.name = "away, another uid waits",
     .holder = HOLDER_AWAY,
     .uid = BOB,
     .on_conflict = CONFLICT_QUEUE,
     .verdict = CLAIM_QUEUE},
    {.name = "away, another uid may not replace",
     .holder = HOLDER_AWAY,
     .uid = BOB,
     .on_conflict = CONFLICT_REPLACE,
     .verdict = CLAIM_NAME_TAKEN},
    {.name = "away, an administrator is another uid",
     .holder = HOLDER_AWAY,
     .uid = 0,
     .is_administrator = true,
     .may_own = true,
     .verdict = CLAIM_NAME_TAKEN},
    {.name = "away, an administrator may replace",
     .holder = HOLDER_AWAY,
     .uid = 0,
     .is_administrator = true,
     .may_own = true,
     .on_conflict = CONFLICT_REPLACE,
     .verdict = CLAIM_REPLACE},
    {.name = "attached, same uid",
     .holder = HOLDER_ATTACHED,
     .uid = ALICE,
     .verdict = CLAIM_NAME_TAKEN},
    {.name = "attached, same uid waits",
     .holder = HOLDER_ATTACHED,
     .uid = ALICE,
     .on_conflict = CONFLICT_QUEUE,
     .verdict = CLAIM_QUEUE},
    {.name = "attached, same uid replaces",
     .holder = HOLDER_ATTACHED,
     .uid = ALICE,
     .on_conflict = CONFLICT_REPLACE,
     .verdict = CLAIM_REPLACE},
    {.name = "attached, the holder refuses to be replaced",
     .holder = HOLDER_ATTACHED,
     .holder_refuses_replace = true,
     .uid = ALICE,
     .on_conflict = CONFLICT_REPLACE,
     .verdict = CLAIM_NAME_TAKEN},
    {.name = "attached, the holder refuses an administrator too",
     .holder = HOLDER_ATTACHED,
     .holder_refuses_replace = true,
     .uid = 0,
     .is_administrator = true,
     .on_conflict = CONFLICT_REPLACE,
     .verdict = CLAIM_NAME_TAKEN},
    {.name = "attached, another uid may not replace",
     .holder = HOLDER_ATTACHED,
     .uid = BOB,
     .on_conflict = CONFLICT_REPLACE,
     .verdict = CLAIM_NAME_TAKEN},
    {.name = "attached, replaced and moved",
     .holder = HOLDER_ATTACHED,
     .uid = ALICE,
     .on_conflict = CONFLICT_REPLACE,
     .port = 7001,
     .given = GIVEN_PORT,
     .mailbox = MAILBOX_EMPTY,
     .verdict = CLAIM_REPLACE,
     .must_move = true},
    {.name = "the connection that has it",
     .holder = HOLDER_ATTACHED,
     .uid = ALICE,
     .is_consumer = true,
     .verdict = CLAIM_IS_OWN},
    {.name = "the connection that has it moves",
     .holder = HOLDER_ATTACHED,
     .uid = ALICE,
     .is_consumer = true,
     .port = 7001,
     .given = GIVEN_PORT,
     .mailbox = MAILBOX_EMPTY,
     .verdict = CLAIM_IS_OWN,
     .must_move = true},
    {.name = "share, same uid",
     .holder = HOLDER_ATTACHED,
     .mode = MODE_SHARE,
     .uid = ALICE,
     .verdict = CLAIM_JOIN},
    {.name = "copy, same uid",
     .holder = HOLDER_ATTACHED,
     .mode = MODE_COPY,
     .uid = ALICE,
     .verdict = CLAIM_JOIN},
    {.name = "share, another uid",
     .holder = HOLDER_ATTACHED,
     .mode = MODE_SHARE,
     .uid = BOB,
     .verdict = CLAIM_NAME_TAKEN},
    {.name = "share, but as exclusive",
     .holder = HOLDER_ATTACHED,
     .mode = MODE_SHARE,
     .uid = ALICE,
     .given = FIELD_BIT(MODE),
     .verdict = CLAIM_NAME_TAKEN},
    {.name = "share, but as exclusive, replaced",
     .holder = HOLDER_ATTACHED,
     .mode = MODE_SHARE,
     .uid = ALICE,
     .on_conflict = CONFLICT_REPLACE,
     .given = FIELD_BIT(MODE),
     .verdict = CLAIM_REPLACE},
    {.name = "share, but on another port",
     .holder = HOLDER_ATTACHED,
     .mode = MODE_SHARE,
     .uid = ALICE,
     .port = 7001,
     .given = GIVEN_PORT,
     .mailbox = MAILBOX_EMPTY,
     .verdict = CLAIM_NAME_TAKEN,
     .must_move = true},
    {.name = "static, not the claimant's",
     .holder = HOLDER_STATIC,
     .uid = BOB,
     .verdict = CLAIM_NOT_OWNER},
    {.name = "static, not the claimant's, who would wait",
     .holder = HOLDER_STATIC,
     .uid = BOB,
     .on_conflict = CONFLICT_QUEUE,
     .verdict = CLAIM_NOT_OWNER},
    {.name = "static, the claimant's",
     .holder = HOLDER_STATIC,
     .uid = BOB,
     .may_own = true,
     .verdict = CLAIM_RESUME},
    {.name = "static, with the configuration's port",
     .holder = HOLDER_STATIC,
     .uid = BOB,
     .may_own = true,
     .port = 7000,
     .given = GIVEN_PORT,
     .verdict = CLAIM_RESUME},
    {.name = "static, with another port",
     .holder = HOLDER_STATIC,
     .uid = BOB,
     .may_own = true,
     .port = 7001,
     .given = GIVEN_PORT,
     .mailbox = MAILBOX_EMPTY,
     .verdict = CLAIM_BAD_FIELD,
     .must_move = true},
    {.name = "static, with a lease of its own",
     .holder = HOLDER_STATIC,
     .uid = BOB,
     .may_own = true,
     .given = FIELD_BIT(LEASE) | FIELD_BIT(ON_CONFLICT),
     .on_conflict = CONFLICT_QUEUE,
     .verdict = CLAIM_RESUME},
    {.name = "static, attached",
     .holder = HOLDER_STATIC_ATTACHED,
     .uid = BOB,
     .may_own = true,
     .verdict = CLAIM_NAME_TAKEN},
    {.name = "static, attached, replaced",
     .holder = HOLDER_STATIC_ATTACHED,
     .uid = BOB,
     .may_own = true,
     .on_conflict = CONFLICT_REPLACE,
     .verdict = CLAIM_REPLACE},
    {.name = "static and shared",
     .holder = HOLDER_STATIC_ATTACHED,
     .mode = MODE_SHARE,
     .uid = BOB,
     .may_own = true,
     .verdict = CLAIM_JOIN},
};

static void hold(const struct decide_case *c)
{
    struct entry *e;
    struct settings s;

    if (c->holder == HOLDER_NONE)
        return;
    e = c->holder >= HOLDER_STATIC ? add_static("a", "127.0.0.1", 7000)
                                   : add_bound("a", "127.0.0.1", 7000, ALICE);
    cr_assert_eq(settings_copy(&e->settings, &s), 0);
    s.mode = c->mode;
    s.may_replace = !c->holder_refuses_replace;
    registry_configure(r, e, &s);
    if (c->holder == HOLDER_STATIC)
        return;
    registry_consumer_joined(r, e);
    if (c->holder == HOLDER_AWAY)
        registry_consumer_left(r, e, NOW, WALL);
}

Test(registry_decide, decides_every_conflict_as_the_protocol_says)
{
    for (size_t i = 0; i < sizeof(decide_cases) / sizeof(decide_cases[0]); i++) {
        const struct decide_case *c = &decide_cases[i];
        struct settings s = wanted("a", c->ip ? c->ip : "127.0.0.1", c->port);
        struct claim claim = {.settings = &s,
                              .given = c->given,
                              .owner = {.uid = c->uid},
                              .is_administrator = c->is_administrator,
                              .may_own = c->may_own || c->uid == ALICE,
                              .is_consumer = c->is_consumer,
                              .mailbox = c->mailbox};
        struct decision d;

        hold(c);
        s.on_conflict = c->on_conflict;
        registry_decide(r, &claim, &d);
        cr_expect_eq(d.verdict, c->verdict, "%s: %d", c->name, (int)d.verdict);
        cr_expect_eq(d.must_move, c->must_move, "%s", c->name);
        cr_expect_eq(d.entry, registry_find(r, "a"), "%s", c->name);
        if (c->port != 0)
            cr_expect_eq(d.address.port, c->port, "%s", c->name);
        if (registry_find(r, "a"))
            registry_remove(r, registry_find(r, "a"));
    }
}

Test(registry_decide, refuses_a_port_that_another_own_endpoint_has)
{
    struct entry *other = add_bound("other", "0.0.0.0", 7000, BOB);
    struct settings s = wanted("a", "127.0.0.1", 7000);
    struct claim claim = {.settings = &s, .given = FIELDS_ALL, .owner = {.uid = ALICE}};
    struct decision d;

    registry_decide(r, &claim, &d);
    cr_assert_eq(d.verdict, CLAIM_PORT_TAKEN);
    cr_assert_eq(d.entry, other);

    add_bound("a", "127.0.0.1", 7001, ALICE);
    claim.mailbox = MAILBOX_EMPTY;
    registry_decide(r, &claim, &d);
    cr_assert_eq(d.verdict, CLAIM_PORT_TAKEN);
    cr_assert_eq(d.entry, other);
}

Test(registry_decide, moves_over_its_own_place)
{
    struct entry *e = add_bound("a", "127.0.0.1", 7000, ALICE);
    struct settings s = wanted("a", "*", 0);
    struct claim claim = {.settings = &s,
                          .given = FIELD_BIT(ADDRESS),
                          .owner = {.uid = ALICE},
                          .mailbox = MAILBOX_EMPTY};
    struct decision d;

    registry_decide(r, &claim, &d);
    cr_assert_eq(d.verdict, CLAIM_RESUME);
    cr_assert_eq(d.entry, e);
    cr_assert_eq(d.address.family, ADDRESS_BOTH);
    cr_assert_eq(d.address.port, 7000);
}

Test(registry_decide, only_given_fields_that_differ_are_changes)
{
    struct settings s = wanted("a", "127.0.0.1", 0);
    struct claim claim = {.settings = &s, .owner = {.uid = ALICE}};
    struct decision d;

    add_bound("a", "127.0.0.1", 7000, ALICE);
    s.when_full = WHEN_FULL_DROP_OLD;
    s.lease_s = 5;
    claim.given = FIELD_BIT(LEASE) | FIELD_BIT(GRO);
    registry_decide(r, &claim, &d);
    cr_assert_eq(d.verdict, CLAIM_RESUME);
    cr_assert_eq(d.changes, FIELD_BIT(LEASE));
}

Test(registry_decide, a_mailbox_that_no_longer_holds_a_message_is_a_bad_field)
{
    struct settings s = wanted("a", "127.0.0.1", 0);
    struct claim claim = {.settings = &s, .owner = {.uid = ALICE}};
    struct decision d;

    add_bound("a", "127.0.0.1", 7000, ALICE);
    s.mailbox_bytes = 300;
    s.max_message_bytes = 100;
    claim.given = FIELD_BIT(MAILBOX_BYTES) | FIELD_BIT(MAX_MESSAGE_BYTES);
    registry_decide(r, &claim, &d);
    cr_assert_eq(d.verdict, CLAIM_RESUME);
    claim.given = FIELD_BIT(MAILBOX_BYTES);
    registry_decide(r, &claim, &d);
    cr_assert_eq(d.verdict, CLAIM_BAD_FIELD);
    cr_assert_eq(d.field, FIELD_MAILBOX_BYTES);
}
