/* SPDX-License-Identifier: MIT */
/*
 * Parsing JSON without being misled when memory ends. Where jansson (2.14) finds no memory for a
 * byte of a token it goes on without that byte: a name or number becomes another one, or the end of
 * the token is missed. A guarded process gives it memory from a reserve instead of none, ends its
 * input there, and throws away what it made of it.
 */
#ifndef MSGD_PROTO_JSON_INPUT_H
#define MSGD_PROTO_JSON_INPUT_H

#include <jansson.h>
#include <stddef.h>

/*
 * Wraps jansson's allocation functions, once for the whole process; outside of json_input_parse it
 * changes nothing.
 */
void json_input_guard(void);

/*
 * The same for a library inside somebody else's program, when it is loaded: nothing is kept for
 * threads that may end. It must not be unloaded.
 */
void json_input_guard_library(void);

/*
 * As json_loadb. 0; -EINVAL, error is filled; -ENOMEM (in a process that is not guarded, only
 * where jansson notices).
 */
int json_input_parse(const char *text, size_t n_text, size_t flags, json_t **out,
                     json_error_t *error) __attribute__((warn_unused_result));

#endif
