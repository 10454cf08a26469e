/* SPDX-License-Identifier: MIT */
/* Who may do what. */
#include "daemon/core/policy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DAEMON 990
#define ADMINS 990
#define IOT    1000
#define LAB    2000 /* a group */
#define OTHER  1001

/*
 * Rule 0: the user iot, sensor-*, 0.0.0.0, 7000-7099,8000.
 * Rule 1: the group lab, any name that is not reserved, 10.0.0.0/8 and ::, ports as for anyone.
 * Rule 2: everyone, one name, on everything, port 53.
 * Rule 3: the user iot, loopback, a port from port_range or 80.
 */
static struct policy_rule rules[4];
static char *names_0[] = {(char *)"sensor-*"};
static char *names_2[] = {(char *)"dns"};
static uid_t iot = IOT;
static gid_t lab = LAB;
static struct policy_addresses addresses_0[1], addresses_1[2], addresses_2[1];

static struct policy policy = {.daemon_uid = DAEMON,
                               .has_administrators = true,
                               .administrators = ADMINS,
                               .rules = rules,
                               .n_rules = 4};

static void set_rules(void)
{
    cr_assert_eq(policy_parse_addresses("0.0.0.0", &addresses_0[0]), 0);
    cr_assert_eq(policy_parse_addresses("10.0.0.0/8", &addresses_1[0]), 0);
    cr_assert_eq(policy_parse_addresses("::", &addresses_1[1]), 0);
    cr_assert_eq(policy_parse_addresses("*", &addresses_2[0]), 0);
    rules[0] = (struct policy_rule){.who = {.uids = &iot, .n_uids = 1},
                                    .names = names_0,
                                    .n_names = 1,
                                    .addresses = addresses_0,
                                    .n_addresses = 1};
    rules[1] = (struct policy_rule){
        .who = {.gids = &lab, .n_gids = 1}, .addresses = addresses_1, .n_addresses = 2};
    rules[2] = (struct policy_rule){
        .names = names_2, .n_names = 1, .addresses = addresses_2, .n_addresses = 1};
    rules[3] = (struct policy_rule){.who = {.uids = &iot, .n_uids = 1}};
    cr_assert_eq(policy_parse_ports("7000-7099,8000", &rules[0].ports, &rules[0].n_ports), 0);
    cr_assert_eq(policy_parse_ports("53", &rules[2].ports, &rules[2].n_ports), 0);
    cr_assert_eq(policy_parse_ports("0, 80", &rules[3].ports, &rules[3].n_ports), 0);
}

static void free_rules(void)
{
    for (size_t i = 0; i < 4; i++)
        free(rules[i].ports);
}

TestSuite(policy, .init = set_rules, .fini = free_rules);

static const struct registration {
    const char *name;
    uid_t uid;
    gid_t group; /* a supplementary one */
    const char *endpoint;
    const char *ip;
    uint16_t port;
    int outcome;
} registrations[] = {
    {"anyone on loopback", OTHER, 0, "a", "127.0.0.1", 7000, 0},
    {"anyone on ::1", OTHER, 0, "a", "::1", 1024, 0},
    {"anyone on another loopback address", OTHER, 0, "a", "127.9.9.9", 65535, 0},
    {"a port from the range", OTHER, 0, "a", "127.0.0.1", 0, 0},
    {"port 1023", OTHER, 0, "a", "127.0.0.1", 1023, POLICY_REFUSED},
    {"the wildcard", OTHER, 0, "a", "0.0.0.0", 7000, POLICY_REFUSED},
    {"both wildcards", OTHER, 0, "a", "*", 7000, POLICY_REFUSED},
    {"loopback as ::ffff:", OTHER, 0, "a", "::ffff:127.0.0.1", 7000, 0},
    {"not loopback as ::ffff:", OTHER, 0, "a", "::ffff:192.0.2.1", 7000, POLICY_REFUSED},
    {"a reserved name on loopback", OTHER, 0, "sensor-1", "127.0.0.1", 7000, POLICY_REFUSED},
    {"a name that is almost reserved", OTHER, 0, "sensor", "127.0.0.1", 7000, 0},
    {"its user, on loopback", IOT, 0, "sensor-1", "127.0.0.1", 9000, 0},
    {"its user, by the rule", IOT, 0, "sensor-1", "0.0.0.0", 7000, 0},
    {"its user, the last port", IOT, 0, "sensor-1", "0.0.0.0", 7099, 0},
    {"its user, one port further", IOT, 0, "sensor-1", "0.0.0.0", 7100, POLICY_REFUSED},
    {"its user, a port alone", IOT, 0, "sensor-1", "0.0.0.0", 8000, 0},
    {"its user, a port from the range", IOT, 0, "sensor-1", "0.0.0.0", 0, POLICY_REFUSED},
    {"its user, an address in the wildcard", IOT, 0, "sensor-1", "192.0.2.1", 7000, 0},
    {"its user, the other family", IOT, 0, "sensor-1", "::", 7000, POLICY_REFUSED},
    {"its user, both families", IOT, 0, "sensor-1", "*", 7000, POLICY_REFUSED},
    {"its user, another name", IOT, 0, "a", "0.0.0.0", 7000, POLICY_REFUSED},
    {"a rule with port 80 and no names", IOT, 0, "a", "127.0.0.1", 80, 0},
    {"that rule and a name reserved for its user", IOT, 0, "sensor-1", "127.0.0.1", 80, 0},
    {"that rule is loopback only", IOT, 0, "a", "192.0.2.1", 80, POLICY_REFUSED},
    {"a group's network", OTHER, LAB, "a", "10.1.2.3", 7000, 0},
    {"outside of the group's network", OTHER, LAB, "a", "11.1.2.3", 7000, POLICY_REFUSED},
    {"a group's IPv6", OTHER, LAB, "a", "2001:db8::1", 7000, 0},
    {"a group's IPv6 wildcard", OTHER, LAB, "a", "::", 7000, 0},
    {"a group's port below 1024", OTHER, LAB, "a", "10.1.2.3", 1023, POLICY_REFUSED},
    {"a group and a name reserved for another", OTHER, LAB, "sensor-1", "10.1.2.3", 7000,
     POLICY_REFUSED},
    {"a rule for everyone", OTHER, 0, "dns", "*", 53, 0},
    {"a rule for everyone reserves from nobody", OTHER, 0, "dns", "127.0.0.1", 5353, 0},
    {"root", 0, 0, "sensor-1", "*", 1, 0},
    {"the daemon's own user", DAEMON, 0, "sensor-1", "*", 1, 0},
    {"a member of msgd", OTHER, ADMINS, "sensor-1", "*", 1, 0},
};

static struct settings asked(const struct registration *c)
{
    struct settings s;

    settings_init(&s);
    snprintf(s.name, sizeof(s.name), "%s", c->endpoint);
    cr_assert_eq(address_parse_ip(c->ip, &s.address), 0);
    s.address.port = c->port;
    return s;
}

Test(policy, permits_what_the_table_and_the_rules_say)
{
    for (size_t i = 0; i < sizeof(registrations) / sizeof(registrations[0]); i++) {
        const struct registration *c = &registrations[i];
        struct credentials who = {
            .uid = c->uid, .gid = 5, .groups = &c->group, .n_groups = c->group != 0};
        struct settings s = asked(c);
        char rule[POLICY_RULE_TEXT_MAX];

        cr_expect_eq(policy_may_register(&policy, &who, &s, rule), c->outcome, "%s", c->name);
        cr_expect_eq(rule[0] != '\0', c->outcome != 0, "%s", c->name);
    }
}

Test(policy, a_refusal_says_what_would_permit_it)
{
    struct credentials who = {.uid = IOT, .gid = IOT};
    struct settings s;
    char rule[POLICY_RULE_TEXT_MAX], longest[NAME_BYTES_MAX + 1];

    settings_init(&s);
    strcpy(s.name, "x");
    cr_assert_eq(address_parse_ip("0.0.0.0", &s.address), 0);
    s.address.port = 7000;
    cr_assert_eq(policy_may_register(&policy, &who, &s, rule), POLICY_REFUSED);
    cr_assert_str_eq(rule, "policy: {\"users\": [\"1000\"], \"names\": [\"x\"], \"addresses\": "
                           "[\"0.0.0.0\"], \"ports\": \"7000\"}");

    memset(longest, 'x', NAME_BYTES_MAX);
    longest[NAME_BYTES_MAX] = '\0';
    strcpy(s.name, longest);
    memset(s.address.ip, 0xff, sizeof(s.address.ip));
    s.address.family = ADDRESS_IPV6;
    s.address.scope = UINT32_MAX;
    s.address.port = 65535;
    who.uid = UINT32_MAX - 1;
    cr_assert_eq(policy_may_register(&policy, &who, &s, rule), POLICY_REFUSED);
    cr_assert_eq(rule[strlen(rule) - 1], '}');
}

static const struct ownership {
    const char *name;
    uid_t uid;
    gid_t gid;
    gid_t group;
    bool is_static;
    bool has_user;
    bool has_group;
    bool may;
} ownerships[] = {
    {"the owner", IOT, 1, 0, false, false, false, true},
    {"another user", OTHER, 1, 0, false, false, false, false},
    {"an administrator", OTHER, 1, ADMINS, false, false, false, true},
    {"an administrator by the primary group", OTHER, ADMINS, 0, false, false, false, true},
    {"a static endpoint's user", IOT, 1, 0, true, true, false, true},
    {"not a static endpoint's user", OTHER, 1, 0, true, true, false, false},
    {"a static endpoint's group", OTHER, 1, LAB, true, false, true, true},
    {"a static endpoint's group, primary", OTHER, LAB, 0, true, false, true, true},
    {"a static endpoint of nobody", IOT, 1, 0, true, false, false, false},
    {"a static endpoint of nobody, to root", 0, 0, 0, true, false, false, true},
};

Test(policy, an_endpoint_is_its_owners_and_the_administrators)
{
    for (size_t i = 0; i < sizeof(ownerships) / sizeof(ownerships[0]); i++) {
        const struct ownership *o = &ownerships[i];
        struct credentials who = {
            .uid = o->uid, .gid = o->gid, .groups = &o->group, .n_groups = o->group != 0};
        struct principals owners = {
            .uids = &iot, .n_uids = o->has_user, .gids = &lab, .n_gids = o->has_group};

        cr_expect_eq(policy_may_own(&policy, &who, IOT, o->is_static ? &owners : NULL), o->may,
                     "%s", o->name);
    }
}

Test(policy, without_a_group_of_administrators_nobody_is_in_it)
{
    struct policy none = {.daemon_uid = DAEMON};
    struct credentials who = {.uid = OTHER, .gid = 0};

    cr_assert_not(policy_is_administrator(&none, &who));
}

static const struct port_list {
    const char *text;
    int outcome;
    size_t n;
    struct port_span last;
} port_lists[] = {
    {"7000", 0, 1, {7000, 7000}},
    {"7000-7099,8000", 0, 2, {8000, 8000}},
    {"1-65535", 0, 1, {1, 65535}},
    {"1, 2 ,3", 0, 3, {3, 3}},
    {"0", 0, 1, {0, 0}},
    {"65536", -EINVAL, 0, {0, 0}},
    {"7000-65536", -EINVAL, 0, {0, 0}},
    {"99999999999999999999", -EINVAL, 0, {0, 0}},
    {"", -EINVAL, 0, {0, 0}},
    {",", -EINVAL, 0, {0, 0}},
    {"7000,", -EINVAL, 0, {0, 0}},
    {"7000-", -EINVAL, 0, {0, 0}},
    {"-7000", -EINVAL, 0, {0, 0}},
    {"7001-7000", -EINVAL, 0, {0, 0}},
    {"0-7000", -EINVAL, 0, {0, 0}},
    {"+7000", -EINVAL, 0, {0, 0}},
    {"7000x", -EINVAL, 0, {0, 0}},
    {"7000 8000", -EINVAL, 0, {0, 0}},
};

Test(policy, ports_are_parsed_exactly)
{
    for (size_t i = 0; i < sizeof(port_lists) / sizeof(port_lists[0]); i++) {
        const struct port_list *p = &port_lists[i];
        struct port_span *spans;
        size_t n;

        cr_expect_eq(policy_parse_ports(p->text, &spans, &n), p->outcome, "%s", p->text);
        cr_assert_eq(n, p->n, "%s", p->text);
        if (n > 0) {
            cr_expect_eq(spans[n - 1].first, p->last.first, "%s", p->text);
            cr_expect_eq(spans[n - 1].last, p->last.last, "%s", p->text);
        }
        free(spans);
    }
}

Test(policy, addresses_are_parsed_exactly)
{
    static const char *const bad[] = {"", "x", "10.0.0.1/8", "127.0.0.1:7000", "10.0.0.0/33", "* "};
    struct policy_addresses a;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(policy_parse_addresses(bad[i], &a), -EINVAL, "%s", bad[i]);
    cr_assert_eq(policy_parse_addresses("192.0.2.1", &a), 0);
    cr_assert_eq(a.network.prefix, 128);
}
