/* SPDX-License-Identifier: MIT */
/* A JSON file, and where in it a value stands. */
#ifndef MSGD_DAEMON_CONFIG_DOCUMENT_H
#define MSGD_DAEMON_CONFIG_DOCUMENT_H

#include "daemon/base/error.h"
#include "daemon/config/config.h"

#include <jansson.h>
#include <stddef.h>

struct document {
    const char *file; /* the caller's */
    char *text;       /* n_text bytes, owned; valid JSON once root is there */
    size_t n_text;
    json_t *root;
};

/*
 * The way to a value: the place of what it is in (NULL: the file's one value) and its key or, where
 * key is NULL, its index there.
 */
struct place {
    const struct place *in;
    const char *key;
    size_t index;
};

/* What a refusal is about: a value, or the key before it. */
enum refused { REFUSED_VALUE, REFUSED_KEY };

/* Reads and parses. 0, CONFIG_REFUSED (error is filled; nothing to deinit), -ENOMEM. */
int document_load(struct document *d, const char *file, struct config_error *error) MUST_USE;
/* The same from bytes, which are copied. */
int document_parse(struct document *d, const char *file, const char *text, size_t n_text,
                   struct config_error *error) MUST_USE;
/* Safe on a zeroed one. */
void document_deinit(struct document *d);

/* Line and column (in characters) of a value, or of its key, both from 1. place: NULL is the root.
 */
void document_locate(const struct document *d, const struct place *place, enum refused refused,
                     int *line, int *column);

/* Fills error with the place and what was expected there. Returns CONFIG_REFUSED. */
int document_refuse(const struct document *d, const struct place *place, enum refused refused,
                    struct config_error *error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The same of a file, or directory, as a whole. */
int document_refuse_file(const char *file, struct config_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
