/* SPDX-License-Identifier: MIT */
/* Who may do what. */
#include "daemon/core/policy.h"
#include "proto/name.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_FREE_PORT 1024

void policy_rule_deinit(struct policy_rule *r)
{
    principals_deinit(&r->who);
    for (size_t i = 0; i < r->n_names; i++)
        free(r->names[i]);
    free(r->names);
    free(r->addresses);
    free(r->ports);
    *r = (struct policy_rule){0};
}

void policy_deinit(struct policy *p)
{
    for (size_t i = 0; i < p->n_rules; i++)
        policy_rule_deinit(&p->rules[i]);
    free(p->rules);
    *p = (struct policy){0};
}

bool policy_is_administrator(const struct policy *p, const struct credentials *who)
{
    return who->uid == 0 || who->uid == p->daemon_uid ||
           (p->has_administrators && credentials_has_group(who, p->administrators));
}

/* A rule that names nobody is for everyone. */
static bool is_for(const struct policy_rule *rule, const struct credentials *who)
{
    return principals_is_empty(&rule->who) || principals_contains(&rule->who, who);
}

static bool has_name(const struct policy_rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->n_names; i++) {
        if (name_matches(rule->names[i], name))
            return true;
    }
    return false;
}

/* Do rules reserve the name, and none of them for `who`? */
static bool is_reserved(const struct policy *p, const struct credentials *who, const char *name)
{
    bool is_named = false;

    for (size_t i = 0; i < p->n_rules; i++) {
        if (!has_name(&p->rules[i], name))
            continue;
        if (is_for(&p->rules[i], who))
            return false;
        is_named = true;
    }
    return is_named;
}

static bool permits_address(const struct policy_rule *rule, const struct address *address)
{
    if (rule->n_addresses == 0)
        return address_is_loopback(address);
    for (size_t i = 0; i < rule->n_addresses; i++) {
        const struct policy_addresses *a = &rule->addresses[i];

        if (a->is_everything ||
            (address->family != ADDRESS_BOTH && network_contains(&a->network, address->ip)))
            return true;
    }
    return false;
}

static bool is_free_port(uint16_t port)
{
    return port == 0 || port >= FIRST_FREE_PORT;
}

static bool permits_port(const struct policy_rule *rule, uint16_t port)
{
    if (rule->n_ports == 0)
        return is_free_port(port);
    for (size_t i = 0; i < rule->n_ports; i++) {
        if (rule->ports[i].first <= port && port <= rule->ports[i].last)
            return true;
    }
    return false;
}

static bool rule_permits(const struct policy_rule *rule, const struct credentials *who,
                         const struct settings *settings, bool is_name_reserved)
{
    bool has = rule->n_names > 0 ? has_name(rule, settings->name) : !is_name_reserved;

    return has && is_for(rule, who) && permits_address(rule, &settings->address) &&
           permits_port(rule, settings->address.port);
}

static void print_rule(const struct credentials *who, const struct settings *settings,
                       char rule[POLICY_RULE_TEXT_MAX])
{
    char address[ADDRESS_TEXT_MAX];

    snprintf(rule, POLICY_RULE_TEXT_MAX,
             "policy: {\"users\": [\"%u\"], \"names\": [\"%s\"], \"addresses\": [\"%s\"], "
             "\"ports\": \"%u\"}",
             (unsigned)who->uid, settings->name, address_print_ip(&settings->address, address),
             (unsigned)settings->address.port);
}

int policy_may_register(const struct policy *p, const struct credentials *who,
                        const struct settings *settings, char rule[POLICY_RULE_TEXT_MAX])
{
    bool is_name_reserved;

    rule[0] = '\0';
    if (policy_is_administrator(p, who))
        return 0;
    is_name_reserved = is_reserved(p, who, settings->name);
    if (!is_name_reserved && address_is_loopback(&settings->address) &&
        is_free_port(settings->address.port))
        return 0;
    for (size_t i = 0; i < p->n_rules; i++) {
        if (rule_permits(&p->rules[i], who, settings, is_name_reserved))
            return 0;
    }
    print_rule(who, settings, rule);
    return POLICY_REFUSED;
}

bool policy_may_own(const struct policy *p, const struct credentials *who, uid_t owner,
                    const struct principals *owners)
{
    if (policy_is_administrator(p, who))
        return true;
    return owners ? principals_contains(owners, who) : who->uid == owner;
}

int policy_parse_addresses(const char *text, struct policy_addresses *out)
{
    struct policy_addresses parsed = {0};
    struct address address;

    if (strcmp(text, "*") == 0) {
        parsed.is_everything = true;
    } else if (address_parse_ip(text, &address) == 0 && address_is_any(&address)) {
        /* The wildcard takes in every address of its family, so permitting it permits them. */
        memcpy(parsed.network.ip, address.ip, sizeof(parsed.network.ip));
        parsed.network.prefix = address.family == ADDRESS_IPV4 ? 96 : 0;
    } else if (network_parse(text, &parsed.network) < 0) {
        return -EINVAL;
    }
    *out = parsed;
    return 0;
}

/* ---- Port lists ---- */

static bool parse_port(const char **at, uint16_t *port)
{
    uint32_t value = 0;

    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); ++*at) {
        value = value * 10 + (uint32_t)(**at - '0');
        if (value > UINT16_MAX)
            return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool parse_span(const char **at, struct port_span *span)
{
    if (!parse_port(at, &span->first))
        return false;
    span->last = span->first;
    if (**at != '-')
        return true;
    ++*at;
    return parse_port(at, &span->last) && span->first > 0 && span->first <= span->last;
}

static size_t count_spans(const char *text)
{
    size_t n = 1;

    for (; *text; text++)
        n += *text == ',';
    return n;
}

int policy_parse_ports(const char *text, struct port_span **spans, size_t *n_spans)
{
    size_t max = count_spans(text), n = 0;
    struct port_span *parsed = calloc(max, sizeof(parsed[0]));

    *spans = NULL;
    *n_spans = 0;
    if (!parsed)
        return -ENOMEM;
    while (n < max && parse_span(&text, &parsed[n])) {
        n++;
        while (*text == ' ')
            text++;
        if (*text != ',')
            break;
        text++;
        while (*text == ' ')
            text++;
    }
    if (n != max || *text != '\0') {
        free(parsed);
        return -EINVAL;
    }
    *spans = parsed;
    *n_spans = n;
    return 0;
}
