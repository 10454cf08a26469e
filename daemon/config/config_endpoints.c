/* SPDX-License-Identifier: MIT */
/* The static endpoints. */
#include "daemon/config/reader.h"
#include "daemon/config/settings_json.h"

#include <errno.h>
#include <stdlib.h>

static int refuse_settings(struct reader *r, const struct place *place,
                           const struct settings_error *why)
{
    const struct place field = {.in = place, .key = why->key};
    const struct place element = {.in = &field, .index = why->index};

    if (!why->key || why->is_missing)
        return reader_refuse(r, place, "%s", why->expected);
    if (why->is_unknown)
        return document_refuse(r->document, &field, REFUSED_KEY, r->error, "%s", why->expected);
    return reader_refuse(r, why->has_index ? &element : &field, "%s", why->expected);
}

static int resolve(struct reader *r, const struct place *place, struct config_endpoint *e)
{
    const struct place users = {.in = place, .key = "users"};
    const struct place groups = {.in = place, .key = "groups"};
    int outcome = 0;

    for (size_t i = 0; outcome == 0 && i < e->settings.n_users; i++) {
        const struct place at = {.in = &users, .index = i};

        outcome = reader_add_user(r, e->settings.users[i], &at, &e->owners);
    }
    for (size_t i = 0; outcome == 0 && i < e->settings.n_groups; i++) {
        const struct place at = {.in = &groups, .index = i};

        outcome = reader_add_group(r, e->settings.groups[i], &at, &e->owners);
    }
    return outcome;
}

static int reserve(struct config *config)
{
    size_t n = config->n_endpoints;
    struct config_endpoint *endpoints;

    /* Room is a power of two, so that the count alone says when it is used up. */
    if ((n & (n - 1)) != 0)
        return 0;
    endpoints = reallocarray(config->endpoints, n ? 2 * n : 1, sizeof(endpoints[0]));
    if (!endpoints)
        return -ENOMEM;
    config->endpoints = endpoints;
    return 0;
}

int read_endpoint(struct reader *r, json_t *value, const struct place *place)
{
    struct config *config = r->config;
    struct settings_error why;
    struct config_endpoint *e;
    int outcome;

    if (reserve(config) < 0)
        return -ENOMEM;
    e = &config->endpoints[config->n_endpoints];
    *e = (struct config_endpoint){.file = r->document->file};
    outcome = settings_from_json(value, FROM_CONFIG, config->limits.quota.mailbox_bytes_per_uid,
                                 &e->settings, NULL, &why);
    if (outcome == SETTINGS_REFUSED)
        return refuse_settings(r, place, &why);
    if (outcome != 0)
        return outcome;
    config->n_endpoints++;
    if (e->settings.shards > config->workers) {
        settings_error_shards(&why, config->workers);
        return refuse_settings(r, place, &why);
    }
    return resolve(r, place, e);
}

int read_endpoints(struct reader *r, json_t *value, const struct place *place)
{
    if (!json_is_array(value))
        return reader_refuse(r, place, "an array of endpoints");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const struct place at = {.in = place, .index = i};
        int outcome = read_endpoint(r, json_array_get(value, i), &at);

        if (outcome != 0)
            return outcome;
    }
    return 0;
}
