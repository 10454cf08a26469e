/* SPDX-License-Identifier: MIT */
/* The fields of an endpoint as the JSON that Register takes. */
#ifndef MSGD_DAEMON_CONFIG_SETTINGS_TEXT_H
#define MSGD_DAEMON_CONFIG_SETTINGS_TEXT_H

#include "daemon/core/settings.h"
#include "proto/json_writer.h"

/*
 * Writes the members that settings_from_json (FROM_REGISTER) makes the same settings of, but for
 * those of static endpoints alone: users, groups and the interface by name. What is as by default
 * is left out: the database has thousands of these, and is read whole before a socket is read
 * again. Where an object is open.
 */
void settings_write(struct json_writer *w, const struct settings *s);

/* Of those in `fields` (FIELD_BIT), what Register and List call by the same name: all but name,
 * address, port, sessions. */
void settings_write_rules(struct json_writer *w, const struct settings *s, uint32_t fields);

#endif
