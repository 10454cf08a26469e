/* SPDX-License-Identifier: MIT */
/* How msgd's database is, in words. */
#ifndef MSGD_TOOLS_DATABASE_H
#define MSGD_TOOLS_DATABASE_H

#include <jansson.h>
#include <stdbool.h>

#define DATABASE_TEXT_MAX 600

/* store: the member of GetInfo's reply; NULL: a msgd that has none. Both texts have
 * DATABASE_TEXT_MAX bytes of room. */

/* How full it is. */
const char *database_found(const json_t *store, char *text);
/* What to do, or NULL where nothing is wrong with it. */
const char *database_advice(const json_t *store, char *text);

#endif
