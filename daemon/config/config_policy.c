/* SPDX-License-Identifier: MIT */
/* The rules of `policy`. */
#include "daemon/config/reader.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>

static int add_user(struct reader *r, const char *text, const struct place *place)
{
    return reader_add_user(r, text, place, &r->rule->who);
}

static int add_group(struct reader *r, const char *text, const struct place *place)
{
    return reader_add_group(r, text, place, &r->rule->who);
}

static int add_name(struct reader *r, const char *text, const struct place *place)
{
    char **names;

    if (text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-*?")] ||
        strlen(text) > NAME_MAX_LENGTH)
        return reader_refuse(r, place, "a name, or a pattern of one with '*' and '?'");
    names = reallocarray(r->rule->names, r->rule->n_names + 1, sizeof(names[0]));
    if (!names)
        return -ENOMEM;
    r->rule->names = names;
    names[r->rule->n_names] = strdup(text);
    if (!names[r->rule->n_names])
        return -ENOMEM;
    r->rule->n_names++;
    return 0;
}

static int add_addresses(struct reader *r, const char *text, const struct place *place)
{
    struct policy_addresses parsed, *addresses;

    if (policy_parse_addresses(text, &parsed) < 0)
        return reader_refuse(
            r, place,
            "an address, a network such as \"10.0.0.0/8\", \"0.0.0.0\" (all of IPv4), "
            "\"::\" (all of IPv6) or \"*\"");
    addresses = reallocarray(r->rule->addresses, r->rule->n_addresses + 1, sizeof(addresses[0]));
    if (!addresses)
        return -ENOMEM;
    r->rule->addresses = addresses;
    addresses[r->rule->n_addresses++] = parsed;
    return 0;
}

static int read_users(struct reader *r, json_t *value, const struct place *place)
{
    return reader_texts(r, value, place, add_user);
}

static int read_groups(struct reader *r, json_t *value, const struct place *place)
{
    return reader_texts(r, value, place, add_group);
}

static int read_names(struct reader *r, json_t *value, const struct place *place)
{
    return reader_texts(r, value, place, add_name);
}

static int read_addresses(struct reader *r, json_t *value, const struct place *place)
{
    return reader_texts(r, value, place, add_addresses);
}

static int read_ports(struct reader *r, json_t *value, const struct place *place)
{
    const char *text = json_string_value(value);
    int error = text ? policy_parse_ports(text, &r->rule->ports, &r->rule->n_ports) : -EINVAL;

    if (error == -EINVAL)
        return reader_refuse(r, place, "ports as a text, such as \"7000-7099,8000\"");
    return error;
}

static const struct key rule_keys[] = {
    {"users", read_users},         {"groups", read_groups}, {"names", read_names},
    {"addresses", read_addresses}, {"ports", read_ports},   {NULL, NULL},
};

static int read_rule(struct reader *r, json_t *value, const struct place *place)
{
    int outcome = reader_object(r, value, place, rule_keys);

    if (outcome != 0)
        return outcome;
    /* The last user taken out of a list must not open the rule to everyone. */
    if (principals_is_empty(&r->rule->who) &&
        (json_object_get(value, "users") || json_object_get(value, "groups")))
        return reader_refuse(
            r, place,
            "a user or a group, or neither \"users\" nor \"groups\" for a rule for everyone");
    return 0;
}

int read_policy(struct reader *r, json_t *value, const struct place *place)
{
    struct policy *policy = &r->config->policy;
    size_t n = json_array_size(value);

    if (!json_is_array(value))
        return reader_refuse(r, place, "an array of rules");
    if (n == 0)
        return 0;
    policy->rules = calloc(n, sizeof(policy->rules[0]));
    if (!policy->rules)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct place at = {.in = place, .index = i};
        int outcome;

        r->rule = &policy->rules[policy->n_rules++];
        outcome = read_rule(r, json_array_get(value, i), &at);
        if (outcome != 0)
            return outcome;
    }
    return 0;
}
