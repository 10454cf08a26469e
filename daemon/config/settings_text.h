/* SPDX-License-Identifier: MIT */
/* The fields of an endpoint as JSON. */
#ifndef MSGD_DAEMON_CONFIG_SETTINGS_TEXT_H
#define MSGD_DAEMON_CONFIG_SETTINGS_TEXT_H

#include "daemon/core/settings.h"
#include "proto/json_writer.h"

/* Writes, of those in `fields` (FIELD_BIT), what Register and List call by the same name: all but
 * name, address, port, sessions. */
void settings_write_rules(struct json_writer *w, const struct settings *s, uint32_t fields);

#endif
