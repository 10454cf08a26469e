/* SPDX-License-Identifier: MIT */
/* Reading values of the configuration, each refusal with its place. */
#ifndef MSGD_DAEMON_CONFIG_READER_H
#define MSGD_DAEMON_CONFIG_READER_H

#include "daemon/config/document.h"

#include <stdbool.h>
#include <stdint.h>

/* What is being read, and where it goes. */
struct reader {
    const struct document *document;
    struct config *config;
    struct policy_rule *rule; /* while one is read */
    struct config_error *error;
};

struct key {
    const char *name;
    int (*read)(struct reader *r, json_t *value, const struct place *place);
};

/* All return 0, CONFIG_REFUSED (error is filled), or -ENOMEM. */

int reader_refuse(struct reader *r, const struct place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An object that has only these keys, read in the order of the table, which ends with a name of
 * NULL. */
int reader_object(struct reader *r, json_t *value, const struct place *place,
                  const struct key *keys) MUST_USE;
int reader_integer(struct reader *r, json_t *value, const struct place *place, int64_t least,
                   int64_t most, int64_t *out) MUST_USE;
/* An absolute path of at most `most` bytes. *out is replaced. */
int reader_path(struct reader *r, json_t *value, const struct place *place, size_t most,
                char **out) MUST_USE;
/* An array of two ports, the first not above the second. */
int reader_ports(struct reader *r, json_t *value, const struct place *place,
                 struct port_span *out) MUST_USE;
/* An array of texts that are not empty, each given to `each`. */
int reader_texts(struct reader *r, json_t *value, const struct place *place,
                 int (*each)(struct reader *r, const char *text,
                             const struct place *place)) MUST_USE;
/* Adds the id of a user or group of that name. */
int reader_add_user(struct reader *r, const char *text, const struct place *place,
                    struct principals *out) MUST_USE;
int reader_add_group(struct reader *r, const char *text, const struct place *place,
                     struct principals *out) MUST_USE;

/* config_policy.c */
int read_policy(struct reader *r, json_t *value, const struct place *place) MUST_USE;
/* config_endpoints.c: an array of endpoints, or one. */
int read_endpoints(struct reader *r, json_t *value, const struct place *place) MUST_USE;
int read_endpoint(struct reader *r, json_t *value, const struct place *place) MUST_USE;

#endif
