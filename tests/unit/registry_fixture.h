/* SPDX-License-Identifier: MIT */
/* A registry with entries in it, for the tests of its two halves. */
#ifndef MSGD_TESTS_UNIT_REGISTRY_FIXTURE_H
#define MSGD_TESTS_UNIT_REGISTRY_FIXTURE_H

#include "daemon/core/registry.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define NOW   INT64_C(1000000)
#define WALL  INT64_C(1790000000000000000)
#define ALICE 1000
#define BOB   1001

static struct registry *r;

static void open_registry(void)
{
    cr_assert_eq(registry_new(&r, (struct port_span){10000, 10009}, 42), 0);
}

static void close_registry(void)
{
    r = registry_free(r);
}

static struct address at(const char *ip, uint16_t port)
{
    struct address a;

    cr_assert_eq(address_parse_ip(ip, &a), 0, "%s", ip);
    a.port = port;
    return a;
}

static struct settings wanted(const char *name, const char *ip, uint16_t port)
{
    struct settings s;

    settings_init(&s);
    snprintf(s.name, sizeof(s.name), "%s", name);
    s.address = at(ip, port);
    return s;
}

static struct entry *add(struct settings s, uid_t uid)
{
    struct entry *e;
    struct owner owner = {.uid = uid, .pid = 77};

    cr_assert_eq(registry_insert(r, &s, NULL, owner, WALL, &e), 0);
    return e;
}

static struct entry *add_bound(const char *name, const char *ip, uint16_t port, uid_t uid)
{
    struct entry *e = add(wanted(name, ip, port), uid);
    struct address a = e->address;

    registry_bound(r, e, &a);
    return e;
}

static struct entry *add_static(const char *name, const char *ip, uint16_t port)
{
    struct settings s = wanted(name, ip, port);
    struct principals owners = {0};
    struct address a = s.address;
    struct entry *e;

    s.lease_s = LEASE_FOREVER;
    cr_assert_eq(registry_insert(r, &s, &owners, (struct owner){0}, WALL, &e), 0);
    registry_bound(r, e, &a);
    return e;
}

#endif
