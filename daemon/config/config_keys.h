/* SPDX-License-Identifier: MIT */
/* The keys of the configuration's one object. */
#ifndef MSGD_DAEMON_CONFIG_CONFIG_KEYS_H
#define MSGD_DAEMON_CONFIG_CONFIG_KEYS_H

#include "daemon/config/reader.h"

/* Reads a whole file of the configuration into r->config. 0, CONFIG_REFUSED, -ENOMEM. */
int config_keys_read(struct reader *r, json_t *root) MUST_USE;

#endif
