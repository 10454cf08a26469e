/* SPDX-License-Identifier: MIT */
/*
 * Writes JSON text into memory that grows. Errors stick: after a failed allocation every call does
 * nothing and `error` is -ENOMEM, so a caller checks once, at the end.
 *
 * `key` is the member's name inside an object, NULL inside an array and at the top. What is written
 * is valid JSON if begins and ends match, keys are given where they belong, and raw text is JSON.
 * (json_put_string and not json_string: that is a name of jansson.)
 */
#ifndef MSGD_PROTO_JSON_WRITER_H
#define MSGD_PROTO_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_writer {
    char *bytes; /* not NUL-terminated; NULL while nothing was written */
    size_t length;
    size_t capacity;
    int error; /* 0 or -ENOMEM */
    bool wants_comma;
};

void json_writer_init(struct json_writer *w);
void json_writer_deinit(struct json_writer *w);
/* Empty again, without the error, and keeps the memory. */
void json_writer_reset(struct json_writer *w);

void json_begin_object(struct json_writer *w, const char *key);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w, const char *key);
void json_end_array(struct json_writer *w);

/*
 * A string; only what RFC 8259 requires is escaped. Bytes that are not well-formed UTF-8 become
 * U+FFFD, so that the result is JSON whatever came in. NULL text: null.
 */
void json_put_string(struct json_writer *w, const char *key, const char *text);
void json_put_string_n(struct json_writer *w, const char *key, const void *bytes, size_t n);

void json_put_int(struct json_writer *w, const char *key, int64_t value);
void json_put_uint(struct json_writer *w, const char *key, uint64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);
/* The shortest digits that read back as the same double; null for infinities and NaN. */
void json_put_double(struct json_writer *w, const char *key, double value);
/* The bytes in Base64, as a string. */
void json_put_base64(struct json_writer *w, const char *key, const void *bytes, size_t n);

/* A value that is JSON text already. */
void json_put_raw(struct json_writer *w, const char *key, const char *text, size_t n);
/* Bytes as they are, outside of values: a line end, a NUL. Commas are not touched. */
void json_put_raw_bytes(struct json_writer *w, const void *bytes, size_t n);

#endif
