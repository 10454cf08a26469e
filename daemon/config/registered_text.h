/* SPDX-License-Identifier: MIT */
/* What the database kept of a registered name before it was an archive: JSON. */
#ifndef MSGD_DAEMON_CONFIG_REGISTERED_TEXT_H
#define MSGD_DAEMON_CONFIG_REGISTERED_TEXT_H

#include "daemon/core/registered.h"

/* As registered_load, of both kinds: a database that was brought up from version 1 has texts until
 * each name is saved again. */
int registered_load_any(struct registered *r, const void *bytes, size_t n) MUST_USE;

#endif
