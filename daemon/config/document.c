/* SPDX-License-Identifier: MIT */
/* A JSON file, and where in it a value stands. */
#include "daemon/config/document.h"
#include "daemon/config/printable.h"
#include "proto/json_input.h"
#include "proto/json_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_FILE_BYTES (64u * 1024u * 1024u)
#define FIRST_READ     4096u

/* ---- Reading ---- */

static void set_file(struct config_error *error, const char *file)
{
    *error = (struct config_error){0};
    snprintf(error->file, sizeof(error->file), "%s", file);
    make_printable(error->file);
}

int document_refuse_file(const char *file, struct config_error *error, const char *format, ...)
{
    va_list arguments;

    set_file(error, file);
    va_start(arguments, format);
    vsnprintf(error->expected, sizeof(error->expected), format, arguments);
    va_end(arguments);
    make_printable(error->expected);
    return CONFIG_REFUSED;
}

static int refuse_file(struct config_error *error, const char *file, const char *why)
{
    return document_refuse_file(file, error, "a file that can be read: %s", why);
}

/* Appends what fits. Returns bytes, 0 at the end, -errno. */
static ssize_t read_more(struct document *d, int fd, size_t *room)
{
    ssize_t n;

    if (d->n_text == *room) {
        size_t wanted = *room ? *room * 2 : FIRST_READ;
        char *text = realloc(d->text, wanted);

        if (!text)
            return -ENOMEM;
        d->text = text;
        *room = wanted;
    }
    do
        n = read(fd, d->text + d->n_text, *room - d->n_text);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    d->n_text += (size_t)n;
    return n;
}

static int read_text(struct document *d, struct config_error *error)
{
    int fd = open(d->file, O_RDONLY | O_CLOEXEC);
    size_t room = 0;
    ssize_t n;

    if (fd < 0)
        return refuse_file(error, d->file, strerrordesc_np(errno));
    do
        n = read_more(d, fd, &room);
    while (n > 0 && d->n_text <= MAX_FILE_BYTES);
    close(fd);
    if (n == -ENOMEM)
        return -ENOMEM;
    if (n < 0)
        return refuse_file(error, d->file, strerrordesc_np((int)-n));
    return n > 0 ? refuse_file(error, d->file, "larger than 64 MiB") : 0;
}

static void count_lines(const struct document *d, const char *to, int *line, int *column)
{
    *line = *column = 1;
    for (const char *at = d->text; at < to; at++) {
        if (*at == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)*at & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

/* Jansson (2.14) passes over a NUL that follows a number; the walk below relies on the grammar. */
static int check_text(const struct document *d, struct config_error *error)
{
    const char *expected;
    size_t at = json_text_check((const uint8_t *)d->text, d->n_text, &expected);

    if (!expected)
        return 0;
    set_file(error, d->file);
    count_lines(d, d->text + at, &error->line, &error->column);
    snprintf(error->expected, sizeof(error->expected), "JSON: %s", expected);
    return CONFIG_REFUSED;
}

static int parse_text(struct document *d, struct config_error *error)
{
    json_error_t why;
    int outcome = json_input_parse(d->text, d->n_text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                                   &d->root, &why);

    if (outcome == 0)
        return check_text(d, error);
    if (outcome != -EINVAL)
        return outcome;
    set_file(error, d->file);
    error->line = why.line > 0 ? why.line : 1;
    error->column = why.column > 0 ? why.column : 1;
    snprintf(error->expected, sizeof(error->expected), "JSON: %s", why.text);
    make_printable(error->expected);
    return CONFIG_REFUSED;
}

static int loaded(struct document *d, int outcome)
{
    if (outcome != 0)
        document_deinit(d);
    return outcome;
}

int document_load(struct document *d, const char *file, struct config_error *error)
{
    int outcome;

    *d = (struct document){.file = file};
    outcome = read_text(d, error);
    return loaded(d, outcome != 0 ? outcome : parse_text(d, error));
}

int document_parse(struct document *d, const char *file, const char *text, size_t n_text,
                   struct config_error *error)
{
    *d = (struct document){.file = file, .text = malloc(n_text + 1), .n_text = n_text};
    if (!d->text)
        return -ENOMEM;
    memcpy(d->text, text, n_text);
    return loaded(d, parse_text(d, error));
}

void document_deinit(struct document *d)
{
    json_decref(d->root);
    free(d->text);
    *d = (struct document){.file = d->file};
}

/* ---- Finding: a second walk over text that has been found valid ---- */

struct walk {
    const char *at;
    const char *end;
};

static void skip_space(struct walk *w)
{
    while (w->at < w->end && (*w->at == ' ' || *w->at == '\t' || *w->at == '\n' || *w->at == '\r'))
        w->at++;
}

/* From the first quotation mark to behind the last. */
static void skip_string(struct walk *w)
{
    w->at++;
    while (w->at < w->end && *w->at != '"')
        w->at += *w->at == '\\' ? 2 : 1;
    w->at++;
}

static void skip_scalar(struct walk *w)
{
    while (w->at < w->end && !strchr(" \t\r\n,:]}", *w->at))
        w->at++;
}

static void skip_value(struct walk *w)
{
    size_t depth = 0;

    do {
        skip_space(w);
        if (w->at >= w->end)
            return;
        if (*w->at == '"') {
            skip_string(w);
        } else if (*w->at == '{' || *w->at == '[') {
            depth++;
            w->at++;
        } else if (*w->at == '}' || *w->at == ']') {
            depth--;
            w->at++;
        } else if (*w->at == ',' || *w->at == ':') {
            w->at++;
        } else {
            skip_scalar(w);
        }
    } while (depth > 0);
}

/* Is the string from begin to end (quotation marks included) this key? */
static bool is_key(const char *begin, const char *end, const char *key)
{
    size_t n = (size_t)(end - begin);
    json_t *decoded;
    json_error_t error;
    bool is_same;

    if (!memchr(begin, '\\', n))
        return n == strlen(key) + 2 && memcmp(begin + 1, key, n - 2) == 0;
    if (json_input_parse(begin, n, JSON_DECODE_ANY, &decoded, &error) < 0)
        return false;
    is_same = strcmp(json_string_value(decoded), key) == 0;
    json_decref(decoded);
    return is_same;
}

/* From an object's brace to a member: its key, or its value. Past the end if there is none. */
static void seek_member(struct walk *w, const char *key, enum refused refused)
{
    w->at++;
    for (skip_space(w); w->at < w->end && *w->at == '"'; skip_space(w)) {
        const char *begin = w->at;
        bool is_found;

        skip_string(w);
        is_found = is_key(begin, w->at, key);
        if (is_found && refused == REFUSED_KEY) {
            w->at = begin;
            return;
        }
        skip_space(w);
        w->at++;
        skip_space(w);
        if (is_found)
            return;
        skip_value(w);
        skip_space(w);
        w->at++;
    }
}

static void seek_element(struct walk *w, size_t index)
{
    w->at++;
    for (; index > 0 && w->at < w->end; index--) {
        skip_value(w);
        skip_space(w);
        w->at++;
    }
    skip_space(w);
}

static void seek(struct walk *w, const struct place *place, enum refused refused)
{
    if (!place) {
        skip_space(w);
        return;
    }
    seek(w, place->in, REFUSED_VALUE);
    if (place->key)
        seek_member(w, place->key, refused);
    else
        seek_element(w, place->index);
}

void document_locate(const struct document *d, const struct place *place, enum refused refused,
                     int *line, int *column)
{
    struct walk w = {.at = d->text, .end = d->text + d->n_text};

    seek(&w, place, refused);
    count_lines(d, w.at < w.end ? w.at : w.end, line, column);
}

int document_refuse(const struct document *d, const struct place *place, enum refused refused,
                    struct config_error *error, const char *format, ...)
{
    va_list arguments;

    set_file(error, d->file);
    document_locate(d, place, refused, &error->line, &error->column);
    va_start(arguments, format);
    vsnprintf(error->expected, sizeof(error->expected), format, arguments);
    va_end(arguments);
    make_printable(error->expected);
    return CONFIG_REFUSED;
}
