/* SPDX-License-Identifier: MIT */
/* Writes JSON text into memory that grows. */
#include "proto/json_writer.h"
#include "proto/base64.h"
#include "proto/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

/* What stands for bytes that are no UTF-8: U+FFFD. */
#define REPLACEMENT "\xef\xbf\xbd"

/* Strings are written in pieces of so many bytes, each of which becomes at most \u00xx. */
#define STRING_PIECE 512
#define MAX_GROWTH   6

void json_writer_init(struct json_writer *w)
{
    *w = (struct json_writer){0};
}

void json_writer_deinit(struct json_writer *w)
{
    free(w->bytes);
    *w = (struct json_writer){0};
}

void json_writer_reset(struct json_writer *w)
{
    w->length = 0;
    w->error = 0;
    w->wants_comma = false;
}

/* Room for n more bytes, to be counted in w->length by the caller. NULL after an error. */
static char *reserve(struct json_writer *w, size_t n)
{
    if (w->error != 0)
        return NULL;
    if (n <= w->capacity - w->length && w->bytes != NULL)
        return w->bytes + w->length;

    size_t wanted = w->capacity > 0 ? w->capacity : FIRST_CAPACITY;
    char *bytes = NULL;

    while (wanted - w->length < n && wanted <= SIZE_MAX / 4)
        wanted *= 2;
    if (wanted - w->length >= n)
        bytes = realloc(w->bytes, wanted);
    if (bytes == NULL) {
        w->error = -ENOMEM;
        return NULL;
    }
    w->bytes = bytes;
    w->capacity = wanted;
    return bytes + w->length;
}

void json_put_raw_bytes(struct json_writer *w, const void *bytes, size_t n)
{
    char *out = reserve(w, n);

    if (out == NULL || n == 0)
        return;
    memcpy(out, bytes, n);
    w->length += n;
}

static char *put_escaped(char *out, uint8_t c)
{
    static const char SHORT[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const char HEX[] = "0123456789abcdef";

    *out++ = '\\';
    if (c >= 0x20) {
        *out++ = (char)c;
    } else if (SHORT[c] != 0) {
        *out++ = SHORT[c];
    } else {
        *out++ = 'u';
        *out++ = '0';
        *out++ = '0';
        *out++ = HEX[c >> 4];
        *out++ = HEX[c & 15];
    }
    return out;
}

/* The character at bytes, of which n are left, to *out. Returns how many bytes it was. */
static size_t put_character(const uint8_t *bytes, size_t n, char **out)
{
    uint8_t c = bytes[0];
    size_t length;

    if (c < 0x20 || c == '"' || c == '\\') {
        *out = put_escaped(*out, c);
        return 1;
    }
    if (c < 0x80) {
        *(*out)++ = (char)c;
        return 1;
    }
    length = utf8_sequence_length(bytes, n);
    if (length > 0)
        *out = mempcpy(*out, bytes, length);
    else
        *out = mempcpy(*out, REPLACEMENT, sizeof REPLACEMENT - 1);
    return length > 0 ? length : 1;
}

static void put_quoted(struct json_writer *w, const uint8_t *bytes, size_t n)
{
    json_put_raw_bytes(w, "\"", 1);
    for (size_t i = 0; i < n;) {
        size_t end = n - i < STRING_PIECE ? n : i + STRING_PIECE;
        char *out = reserve(w, (end - i) * MAX_GROWTH);

        if (out == NULL)
            return;
        while (i < end)
            i += put_character(bytes + i, n - i, &out);
        w->length = (size_t)(out - w->bytes);
    }
    json_put_raw_bytes(w, "\"", 1);
}

/* What stands before a value: the comma after the last one, and the member's name. */
static void begin_value(struct json_writer *w, const char *key)
{
    if (w->wants_comma)
        json_put_raw_bytes(w, ",", 1);
    if (key != NULL) {
        put_quoted(w, (const uint8_t *)key, strlen(key));
        json_put_raw_bytes(w, ":", 1);
    }
    w->wants_comma = true;
}

static void begin_container(struct json_writer *w, const char *key, const char *opener)
{
    begin_value(w, key);
    json_put_raw_bytes(w, opener, 1);
    w->wants_comma = false;
}

static void end_container(struct json_writer *w, const char *closer)
{
    json_put_raw_bytes(w, closer, 1);
    w->wants_comma = true;
}

void json_begin_object(struct json_writer *w, const char *key)
{
    begin_container(w, key, "{");
}

void json_end_object(struct json_writer *w)
{
    end_container(w, "}");
}

void json_begin_array(struct json_writer *w, const char *key)
{
    begin_container(w, key, "[");
}

void json_end_array(struct json_writer *w)
{
    end_container(w, "]");
}

void json_put_raw(struct json_writer *w, const char *key, const char *text, size_t n)
{
    begin_value(w, key);
    json_put_raw_bytes(w, text, n);
}

void json_put_string_n(struct json_writer *w, const char *key, const void *bytes, size_t n)
{
    begin_value(w, key);
    put_quoted(w, bytes, n);
}

void json_put_string(struct json_writer *w, const char *key, const char *text)
{
    if (text == NULL)
        json_put_null(w, key);
    else
        json_put_string_n(w, key, text, strlen(text));
}

void json_put_int(struct json_writer *w, const char *key, int64_t value)
{
    char text[24];

    json_put_raw(w, key, text, (size_t)snprintf(text, sizeof text, "%" PRId64, value));
}

void json_put_uint(struct json_writer *w, const char *key, uint64_t value)
{
    char text[24];

    json_put_raw(w, key, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, value));
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    json_put_raw(w, key, value ? "true" : "false", value ? 4 : 5);
}

void json_put_null(struct json_writer *w, const char *key)
{
    json_put_raw(w, key, "null", 4);
}

void json_put_double(struct json_writer *w, const char *key, double value)
{
    char text[40];
    int n = 0;

    if (!isfinite(value)) {
        json_put_null(w, key);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    /* a locale's decimal separator, which JSON does not know */
    for (int i = 0; i < n; i++) {
        if (strchr("+-0123456789e", text[i]) == NULL)
            text[i] = '.';
    }
    json_put_raw(w, key, text, (size_t)n);
}

void json_put_base64(struct json_writer *w, const char *key, const void *bytes, size_t n)
{
    size_t length = base64_encoded_length(n);

    begin_value(w, key);
    json_put_raw_bytes(w, "\"", 1);

    char *out = reserve(w, length);

    if (out != NULL) {
        base64_encode(bytes, n, out);
        w->length += length;
    }
    json_put_raw_bytes(w, "\"", 1);
}
