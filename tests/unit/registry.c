/* SPDX-License-Identifier: MIT */
/* Names, addresses, ports, leases and queues, with the time passed in. */
#include "tests/unit/registry_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(registry, .init = open_registry, .fini = close_registry);

/* ---- Life ---- */

Test(registry, finds_an_entry_by_its_name_until_it_is_removed)
{
    struct entry *e = add(wanted("a", "127.0.0.1", 7000), ALICE);

    cr_assert_eq(registry_find(r, "a"), e);
    cr_assert_null(registry_find(r, "b"));
    cr_assert_eq(e->state, ENTRY_PENDING);
    registry_remove(r, e);
    cr_assert_null(registry_find(r, "a"));
    cr_assert_eq(registry_count(r), 0);
}

Test(registry, walks_in_the_order_of_insertion)
{
    struct entry *first = add(wanted("z", "127.0.0.1", 1), ALICE);
    struct entry *second = add(wanted("a", "127.0.0.1", 2), ALICE);
    struct entry *third = add(wanted("m", "127.0.0.1", 3), ALICE);

    registry_remove(r, second);
    cr_assert_eq(registry_first(r), first);
    cr_assert_eq(registry_next(r, first), third);
    cr_assert_null(registry_next(r, third));
}

Test(registry, takes_names_of_63_bytes)
{
    char longest[NAME_BYTES_MAX + 1];

    memset(longest, 'x', NAME_BYTES_MAX);
    longest[NAME_BYTES_MAX] = '\0';
    cr_assert_not_null(add(wanted(longest, "127.0.0.1", 1), ALICE));
    cr_assert_not_null(registry_find(r, longest));
    longest[NAME_BYTES_MAX - 1] = '\0';
    cr_assert_null(registry_find(r, longest));
}

Test(registry, a_name_that_comes_again_has_a_larger_generation)
{
    struct entry *e = add_bound("a", "127.0.0.1", 1, ALICE);

    cr_assert_eq(e->generation, 1);
    registry_resume(r, e, e->owner, WALL);
    registry_resume(r, e, e->owner, WALL);
    cr_assert_eq(e->generation, 3);
    registry_remove(r, e);
    cr_assert_eq(add(wanted("a", "127.0.0.1", 1), ALICE)->generation, 4);
}

Test(registry, states_follow_binding_and_consumers)
{
    struct entry *e = add(wanted("a", "127.0.0.1", 7000), ALICE);
    struct address a = e->address;

    registry_bind_failed(r, e, -EADDRINUSE, NOW);
    cr_assert_eq(e->state, ENTRY_PENDING);
    cr_assert_eq(e->error, -EADDRINUSE);
    registry_consumer_joined(r, e);
    cr_assert_eq(e->state, ENTRY_PENDING);
    registry_bound(r, e, &a);
    cr_assert_eq(e->state, ENTRY_ATTACHED);
    cr_assert_eq(e->error, 0);
    registry_consumer_left(r, e, NOW, WALL);
    cr_assert_eq(e->state, ENTRY_AWAY);
    cr_assert_eq(e->away_since_ms, NOW);
    cr_assert_eq(e->away_since_wall_ns, WALL);
    cr_assert_str_eq(entry_state_key(e->state), "away");
    registry_resume(r, e, e->owner, WALL + 1);
    cr_assert_eq(e->state, ENTRY_HELD);
    cr_assert_eq(e->since_wall_ns, WALL + 1);
}

Test(registry, an_entry_is_small)
{
    cr_assert_leq(sizeof(struct entry), 700);
}

Test(registry, ten_thousand_entries_on_one_port_and_on_one_address_are_found_at_once)
{
    char name[32], ip[32];

    for (int i = 0; i < 10000; i++) {
        struct claim claim = {.owner = {.uid = ALICE}};
        struct settings s;
        struct decision d;

        snprintf(name, sizeof(name), "n%d", i);
        snprintf(ip, sizeof(ip), "127.1.%d.%d", i / 250, 1 + i % 250);
        s = wanted(name, i % 2 ? ip : "127.0.0.1", i % 2 ? 7000 : (uint16_t)(20000 + i));
        claim.settings = &s;
        registry_decide(r, &claim, &d);
        cr_assert_eq(d.verdict, CLAIM_NEW);
        add_bound(name, i % 2 ? ip : "127.0.0.1", s.address.port, ALICE);
    }
    cr_assert_eq(registry_count(r), 10000);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "n%d", (i * 7919) % 10000);
        cr_assert_not_null(registry_find(r, name));
        registry_remove(r, registry_find(r, name));
    }
    cr_assert_eq(registry_count(r), 0);
}

/* ---- Overlaps ---- */

static const struct overlap {
    const char *name;
    const char *held;
    const char *asked;
    bool overlaps;
} overlaps[] = {
    {"the same address", "127.0.0.1", "127.0.0.1", true},
    {"two addresses", "127.0.0.1", "127.0.0.2", false},
    {"the wildcard is held", "0.0.0.0", "127.0.0.1", true},
    {"the wildcard is asked for", "127.0.0.1", "0.0.0.0", true},
    {"the wildcard of the other family", "::", "127.0.0.1", false},
    {"both wildcards", "0.0.0.0", "::", false},
    {"IPv6 under its wildcard", "::", "::1", true},
    {"the IPv6 wildcard over an address", "::1", "::", true},
    {"both families are held", "*", "127.0.0.1", true},
    {"both families are held, IPv6 asked", "*", "::1", true},
    {"both families are asked for", "127.0.0.1", "*", true},
    {"both families over IPv6", "::1", "*", true},
    {"both families twice", "*", "*", true},
    {"both families over a wildcard", "::", "*", true},
    {"::ffff: is IPv4", "127.0.0.1", "::ffff:127.0.0.1", true},
    {"the wildcard as ::ffff:", "::ffff:0.0.0.0", "192.0.2.1", true},
    {"::ffff: is not under ::", "::", "::ffff:127.0.0.1", false},
    {"a group under the wildcard", "0.0.0.0", "239.1.2.3", true},
    {"the same link-local address, scope or not", "fe80::1%lo", "fe80::1", true},
};

Test(registry, a_wildcard_overlaps_its_family_and_the_star_both)
{
    for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
        const struct overlap *o = &overlaps[i];
        struct entry *e = add_bound("held", o->held, 7000, ALICE);
        struct address same = at(o->asked, 7000), other = at(o->asked, 7001),
                       none = at(o->asked, 0);

        cr_expect_eq(registry_overlapping(r, &same, NULL), o->overlaps ? e : NULL, "%s", o->name);
        cr_expect_null(registry_overlapping(r, &same, e), "%s", o->name);
        cr_expect_null(registry_overlapping(r, &other, NULL), "%s", o->name);
        cr_expect_null(registry_overlapping(r, &none, NULL), "%s", o->name);
        registry_remove(r, e);
        cr_expect_null(registry_overlapping(r, &same, NULL), "%s", o->name);
    }
}

Test(registry, link_local_addresses_of_two_interfaces_do_not_overlap)
{
    struct address a = at("fe80::1", 7000), b = a;
    struct entry *e = add(wanted("a", "fe80::1", 7000), ALICE);

    a.scope = 1;
    b.scope = 2;
    registry_bound(r, e, &a);
    cr_assert_null(registry_overlapping(r, &b, NULL));
    cr_assert_eq(registry_overlapping(r, &a, NULL), e);
}

Test(registry, a_pending_entry_keeps_its_port_from_others)
{
    struct entry *e = add(wanted("a", "127.0.0.1", 7000), ALICE);
    struct address a = at("0.0.0.0", 7000);

    registry_bind_failed(r, e, -EADDRNOTAVAIL, NOW);
    cr_assert_eq(registry_overlapping(r, &a, NULL), e);
}

Test(registry, a_move_frees_the_old_place)
{
    struct entry *e = add_bound("a", "127.0.0.1", 7000, ALICE);
    struct address old = e->address, new = at("::1", 8000);

    registry_bound(r, e, &new);
    cr_assert_null(registry_overlapping(r, &old, NULL));
    cr_assert_eq(registry_overlapping(r, &new, NULL), e);
}

/* ---- Ports ---- */

Test(registry, gives_every_port_of_the_range_once_and_then_says_so)
{
    struct address a = at("127.0.0.1", 0);
    struct port_walk walk = {0};
    bool seen[10] = {false};

    add_bound("taken", "0.0.0.0", 10003, ALICE);
    for (int i = 0; i < 9; i++) {
        uint16_t port = registry_port_candidate(r, &a, &walk);

        cr_assert(port >= 10000 && port <= 10009 && port != 10003, "%u", port);
        cr_assert_not(seen[port - 10000]);
        seen[port - 10000] = true;
    }
    cr_assert_eq(registry_port_candidate(r, &a, &walk), 0);
    cr_assert_eq(registry_port_candidate(r, &a, &walk), 0);
}

static const struct range {
    const char *name;
    struct port_span span;
    uint32_t n;
} ranges[] = {
    {"ends at 65535", {65530, 65535}, 6},
    {"is port 65535 alone", {65535, 65535}, 1},
    {"is everything", {1, 65535}, 65535},
    {"is everything and 0, which is no port", {0, 65535}, 65535},
    {"one port", {1024, 1024}, 1},
    {"nothing", {2, 1}, 0},
};

Test(registry, a_range_that_ends_at_65535_does_not_wrap_to_0)
{
    struct address a = at("*", 0);

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        const struct range *range = &ranges[i];

        registry_set_ports(r, range->span);
        /* Twice, since the second walk starts where the first one ended. */
        for (int round = 0; round < 2; round++) {
            struct port_walk walk = {0};
            uint32_t n = 0;
            uint16_t port;

            while ((port = registry_port_candidate(r, &a, &walk)) != 0) {
                cr_assert(port >= range->span.first && port <= range->span.last, "%s: %u",
                          range->name, port);
                n++;
            }
            cr_expect_eq(n, range->n, "%s: %u in round %d", range->name, n, round);
        }
    }
}

Test(registry, walks_go_on_where_the_last_one_ended)
{
    struct address a = at("127.0.0.1", 0);
    uint16_t ports[12];

    for (int i = 0; i < 12; i++) {
        struct port_walk walk = {0};

        ports[i] = registry_port_candidate(r, &a, &walk);
    }
    cr_assert_eq(ports[0], 10000);
    cr_assert_eq(ports[9], 10009);
    cr_assert_eq(ports[10], 10000);
}

/* ---- Leases ---- */

static const struct lease {
    const char *name;
    int64_t lease_s;
    int64_t deadline_ms; /* after NOW */
} leases[] = {
    {"60 s", 60, 60000},
    {"0 ends at once", 0, 0},
    {"forever", LEASE_FOREVER, -1},
    {"so long that it would overflow", INT64_MAX, -1},
    {"the longest", 4294967295, 4294967295000},
};

Test(registry, a_lease_starts_when_the_last_consumer_has_gone)
{
    for (size_t i = 0; i < sizeof(leases) / sizeof(leases[0]); i++) {
        const struct lease *l = &leases[i];
        struct settings s = wanted("a", "127.0.0.1", 7000);
        struct address a = s.address;
        struct entry *e, *due;

        s.lease_s = l->lease_s;
        e = add(s, ALICE);
        registry_bound(r, e, &a);
        registry_consumer_joined(r, e);
        registry_consumer_joined(r, e);
        registry_consumer_left(r, e, NOW - 5, WALL);
        cr_expect_eq(registry_next_deadline(r), NEVER_MS, "%s", l->name);
        registry_consumer_left(r, e, NOW, WALL);
        if (l->deadline_ms < 0) {
            cr_expect_eq(registry_next_deadline(r), NEVER_MS, "%s", l->name);
            cr_expect_eq(registry_due(r, NEVER_MS, &due), DUE_NOTHING, "%s", l->name);
        } else {
            cr_expect_eq(registry_next_deadline(r), NOW + l->deadline_ms, "%s", l->name);
            cr_expect_eq(registry_due(r, NOW + l->deadline_ms - 1, &due), DUE_NOTHING, "%s",
                         l->name);
            cr_expect_null(due);
            cr_expect_eq(registry_due(r, NOW + l->deadline_ms, &due), DUE_EXPIRED, "%s", l->name);
            cr_expect_eq(due, e);
            cr_expect_eq(registry_due(r, NEVER_MS, &due), DUE_NOTHING, "%s", l->name);
        }
        registry_remove(r, e);
    }
}

Test(registry, a_consumer_that_returns_stops_the_lease)
{
    struct entry *e = add_bound("a", "127.0.0.1", 7000, ALICE), *due;

    registry_consumer_joined(r, e);
    registry_consumer_left(r, e, NOW, WALL);
    registry_resume(r, e, e->owner, WALL);
    registry_consumer_joined(r, e);
    cr_assert_eq(registry_due(r, NOW + 3600000, &due), DUE_NOTHING);
    cr_assert_eq(e->away_since_ms, 0);
    cr_assert_eq(e->state, ENTRY_ATTACHED);
}

Test(registry, leases_end_in_order)
{
    struct entry *e[50], *due;
    char name[16];

    for (int i = 0; i < 50; i++) {
        struct settings s;

        snprintf(name, sizeof(name), "n%d", i);
        s = wanted(name, "127.0.0.1", (uint16_t)(7000 + i));
        s.lease_s = (i * 37) % 50;
        e[i] = add(s, ALICE);
        registry_consumer_joined(r, e[i]);
    }
    for (int i = 0; i < 50; i++)
        registry_consumer_left(r, e[i], NOW, WALL);
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(registry_next_deadline(r), NOW + i * 1000);
        cr_assert_eq(registry_due(r, NOW + i * 1000, &due), DUE_EXPIRED);
        cr_assert_eq(due->settings.lease_s, i);
        registry_remove(r, due);
    }
}

Test(registry, a_changed_lease_keeps_its_start)
{
    struct entry *e = add_bound("a", "127.0.0.1", 7000, ALICE);
    struct settings s = wanted("a", "127.0.0.1", 7000);

    registry_consumer_joined(r, e);
    registry_consumer_left(r, e, NOW, WALL);
    s.lease_s = 5;
    registry_configure(r, e, &s);
    cr_assert_eq(registry_next_deadline(r), NOW + 5000);
    cr_assert_eq(e->state, ENTRY_AWAY);
}

Test(registry, a_static_endpoint_is_held_again_when_its_lease_has_ended)
{
    struct entry *e = add_static("a", "127.0.0.1", 7000), *due;
    struct settings s = wanted("a", "127.0.0.1", 7000);

    s.lease_s = 1;
    registry_configure(r, e, &s);
    cr_assert_eq(registry_next_deadline(r), NEVER_MS);
    registry_consumer_joined(r, e);
    registry_consumer_left(r, e, NOW, WALL);
    cr_assert_eq(registry_due(r, NOW + 1000, &due), DUE_EXPIRED);
    cr_assert_eq(e->state, ENTRY_HELD);
    cr_assert_eq(registry_next_deadline(r), NEVER_MS);
}

Test(registry, an_endpoint_that_is_no_longer_static_gets_a_lease)
{
    struct entry *e = add_static("a", "127.0.0.1", 7000);
    struct settings s = wanted("a", "127.0.0.1", 7000);

    registry_configure(r, e, &s);
    registry_set_static(r, e, NULL, ALICE, NOW);
    cr_assert_not(e->is_static);
    cr_assert_null(entry_owners(e));
    cr_assert_eq(e->owner.uid, ALICE);
    cr_assert_eq(e->state, ENTRY_AWAY);
    cr_assert_eq(registry_next_deadline(r), NOW + 60000);
}

Test(registry, a_bind_is_tried_again_ever_later_up_to_half_a_minute)
{
    static const int64_t waits[] = {250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    struct entry *e = add(wanted("a", "192.0.2.1", 7000), ALICE), *due;
    struct address a = e->address;
    int64_t now = NOW;

    cr_assert_eq(registry_next_deadline(r), NEVER_MS);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        registry_bind_failed(r, e, -EADDRNOTAVAIL, now);
        cr_assert_eq(registry_next_deadline(r), now + waits[i], "%zu", i);
        cr_assert_eq(registry_due(r, now + waits[i] - 1, &due), DUE_NOTHING);
        now += waits[i];
        cr_assert_eq(registry_due(r, now, &due), DUE_RETRY);
        cr_assert_eq(due, e);
        cr_assert_eq(registry_due(r, now, &due), DUE_NOTHING);
    }
    registry_bound(r, e, &a);
    registry_bind_failed(r, e, -ENODEV, now);
    cr_assert_eq(registry_next_deadline(r), now + 250);
}

Test(registry, a_lease_that_ends_while_the_bind_is_tried_again_comes_first)
{
    struct entry *e = add(wanted("a", "192.0.2.1", 7000), ALICE), *due;

    registry_bind_failed(r, e, -EADDRNOTAVAIL, NOW);
    registry_consumer_joined(r, e);
    registry_consumer_left(r, e, NOW - 60000, WALL);
    cr_assert_eq(registry_due(r, NOW + 250, &due), DUE_EXPIRED);
    cr_assert_eq(registry_due(r, NOW + 250, &due), DUE_RETRY);
}

/* ---- Queues ---- */

Test(registry, waiters_are_served_in_the_order_in_which_they_came)
{
    struct entry *e = add(wanted("a", "127.0.0.1", 7000), ALICE);
    int who[5];

    for (int i = 0; i < 5; i++)
        cr_assert_eq(registry_wait(e, &who[i]), 0);
    cr_assert(registry_unwait(e, &who[2]));
    cr_assert_not(registry_unwait(e, &who[2]));
    cr_assert_eq(registry_waiter(e, 2), &who[3]);
    cr_assert_eq(registry_pop_waiter(e), &who[0]);
    cr_assert_eq(registry_wait(e, &who[0]), 0);
    cr_assert_eq(registry_pop_waiter(e), &who[1]);
    cr_assert_eq(registry_pop_waiter(e), &who[3]);
    cr_assert_eq(registry_pop_waiter(e), &who[4]);
    cr_assert_eq(registry_pop_waiter(e), &who[0]);
    cr_assert_null(registry_pop_waiter(e));
    cr_assert_null(registry_waiter(e, 0));
}

Test(registry, a_static_endpoint_keeps_its_uid_when_it_is_resumed)
{
    struct entry *e = add_static("a", "127.0.0.1", 7000);

    registry_resume(r, e, (struct owner){.uid = BOB, .pid = 5}, WALL);
    cr_assert_eq(e->owner.uid, 0);
    cr_assert_eq(e->owner.pid, 5);
    cr_assert_eq(e->generation, 2);
}

/* ---- From before a restart ---- */

static void restore(struct entry *e, const char *ip, uint16_t port)
{
    struct entry_past past = {.generation = 7,
                              .address = at(ip, port),
                              .since_wall_ns = 5,
                              .now_ms = NOW,
                              .now_wall_ns = WALL};

    registry_restore(r, e, &past);
}

Test(registry, goes_on_where_a_predecessor_ended)
{
    struct settings s = wanted("a", "127.0.0.1", 0);
    struct entry *e = add(s, ALICE), *next;

    restore(e, "127.0.0.1", 10003);
    registry_bound(r, e, &e->address);
    cr_assert_eq(e->state, ENTRY_AWAY);
    cr_assert_eq(e->generation, 7);
    cr_assert_eq(e->address.port, 10003);
    cr_assert_eq(e->settings.address.port, 0);
    cr_assert_eq(e->since_wall_ns, 5);
    cr_assert_eq(e->lease_deadline_ms, NOW + 60 * 1000);
    cr_assert_eq(registry_overlapping(r, &e->address, NULL), e);
    next = add(wanted("b", "127.0.0.1", 0), ALICE);
    cr_assert_gt(next->generation, 7, "a generation only grows");
}

Test(registry, lets_consumers_find_the_way_back_whatever_the_lease)
{
    struct settings s = wanted("a", "127.0.0.1", 10001);
    struct entry *e, *due;

    s.lease_s = 0;
    e = add(s, ALICE);
    restore(e, "127.0.0.1", 10001);
    registry_bound(r, e, &e->address);
    cr_assert_eq(registry_due(r, NOW + REGISTRY_RETURN_S * 1000 - 1, &due), DUE_NOTHING);
    cr_assert_eq(registry_due(r, NOW + REGISTRY_RETURN_S * 1000, &due), DUE_EXPIRED);
    cr_assert_eq(due, e);
}

Test(registry, restores_one_whose_lease_never_ends)
{
    struct settings s = wanted("a", "127.0.0.1", 10001);
    struct entry *e, *due;

    s.lease_s = LEASE_FOREVER;
    e = add(s, ALICE);
    restore(e, "127.0.0.1", 10001);
    registry_bound(r, e, &e->address);
    cr_assert_eq(e->state, ENTRY_AWAY);
    cr_assert_eq(registry_due(r, INT64_MAX - 1, &due), DUE_NOTHING);
}
