/* SPDX-License-Identifier: MIT */
/* Names of endpoints, and the patterns of policy rules. */
#ifndef MSGD_PROTO_NAME_H
#define MSGD_PROTO_NAME_H

#include <stdbool.h>

/* The longest name, without its NUL. */
#define NAME_MAX_LENGTH 63

/* Is this a name: [a-z0-9][a-z0-9._-]{0,62}? NULL is none. */
bool name_is_valid(const char *text);

/*
 * Does the name fit the whole pattern? '*' stands for any characters, '?' for one, everything else
 * for itself. Time at most proportional to the product of both lengths, whatever the pattern.
 */
bool name_matches(const char *pattern, const char *name);

#endif
