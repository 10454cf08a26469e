/* SPDX-License-Identifier: MIT */
/* The fields of an endpoint, from the JSON of Register and Receive and of the configuration. */
#ifndef MSGD_DAEMON_CONFIG_SETTINGS_JSON_H
#define MSGD_DAEMON_CONFIG_SETTINGS_JSON_H

#include "daemon/base/error.h"
#include "daemon/core/settings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * FROM_REGISTER: lease_s is an integer, users and groups do not exist, null means absent, the lease
 * is 60 s. FROM_CONFIG: lease is in seconds or "forever", which is also its default; null is
 * refused.
 */
enum settings_source { FROM_REGISTER, FROM_CONFIG };

enum settings_outcome { SETTINGS_REFUSED = 1 };

struct settings_error {
    const char *key;    /* the field as it is in the object, which owns it; NULL: none */
    char parameter[72]; /* the same for people and InvalidParameter: one line, perhaps cut */
    size_t index;       /* of the element where has_index */
    bool has_index;
    bool is_unknown;    /* there is no such field */
    bool is_missing;    /* the field is required */
    char expected[192]; /* what was expected, in words */
};

/*
 * Parses an object into an uninitialised out; on failure there is nothing to deinit.
 * max_mailbox_bytes: mailbox_bytes_per_uid. given: FIELD_BIT of the fields that are there; may be
 * NULL. 0, SETTINGS_REFUSED (error is filled), -ENOMEM.
 */
int settings_from_json(json_t *object, enum settings_source source, uint64_t max_mailbox_bytes,
                       struct settings *out, uint32_t *given,
                       struct settings_error *error) MUST_USE;

/* The refusal of more shards than there are workers. */
void settings_error_shards(struct settings_error *error, uint32_t n_workers);

#endif
