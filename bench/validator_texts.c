/* SPDX-License-Identifier: MIT */
#include "bench/validator_texts.h"
#include "proto/json_text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT 8192

/* A text that grows. What does not fit into `size` is left out by whoever asks room_for first. */
struct text {
    char bytes[MAX_TEXT];
    size_t n;
    uint64_t random;
    bool is_spaced;   /* ", " and ": ", as Python writes */
    bool is_indented; /* a member a line */
    unsigned depth;
};

static unsigned below(struct text *t, unsigned limit)
{
    t->random = t->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(t->random >> 33) % limit;
}

static __attribute__((format(printf, 2, 3))) void put(struct text *t, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    t->n += (size_t)vsnprintf(t->bytes + t->n, sizeof t->bytes - t->n, format, arguments);
    va_end(arguments);
    if (t->n >= sizeof t->bytes) {
        fprintf(stderr, "a text of more than %d bytes\n", MAX_TEXT);
        exit(70);
    }
}

static void put_indent(struct text *t)
{
    if (t->is_indented)
        put(t, "\n%*s", (int)(2 * t->depth), "");
}

static void put_comma(struct text *t)
{
    put(t, t->is_spaced && !t->is_indented ? ", " : ",");
    put_indent(t);
}

static void put_colon(struct text *t)
{
    put(t, t->is_spaced ? ": " : ":");
}

static void put_word(struct text *t)
{
    for (unsigned i = below(t, 9) + 1; i > 0; i--)
        put(t, "%c", "etaoinshrdlucmfw_"[below(t, 17)]);
}

static void put_string(struct text *t)
{
    static const char *const odd[] = {"\\n",    "\\\"",     "\\u00e9",      "\xc3\xa9",
                                      "\\\\ai", "\xc3\xbc", "\xe2\x82\xac", "\\/"};

    put(t, "\"");
    for (unsigned i = below(t, 4); i > 0; i--) {
        put_word(t);
        put(t, " ");
        if (below(t, 16) == 0)
            put(t, "%s", odd[below(t, 8)]);
    }
    put_word(t);
    put(t, "\"");
}

static void put_foreign_string(struct text *t)
{
    static const char *const scripts[] = {
        "\xd0\xb4\xd0\xb0\xd1\x82\xd1\x87\xd0\xb8\xd0\xba ",
        "\xe6\xb8\xa9\xe5\xba\xa6\xe4\xbc\xa0\xe6\x84\x9f",
        "\xce\xbc\xce\xad\xcf\x84\xcf\x81\xce\xb7\xcf\x83\xce\xb7 ",
        "\xf0\x9f\x8c\xa1\xf0\x9f\x94\xa5",
        "caf\xc3\xa9 ",
        "\xe0\xa4\xa4\xe0\xa4\xbe\xe0\xa4\xaa ",
    };

    put(t, "\"");
    for (unsigned i = below(t, 5) + 1; i > 0; i--)
        put(t, "%s", scripts[below(t, 6)]);
    put(t, "\"");
}

static void put_number(struct text *t)
{
    switch (below(t, 6)) {
    case 0:
        put(t, "%u", below(t, 10));
        break;
    case 1:
        put(t, "%u", below(t, 100000));
        break;
    case 2:
        put(t, "-%u.%u", below(t, 100), below(t, 1000));
        break;
    case 3:
        put(t, "%u.%02u", below(t, 1000), below(t, 100));
        break;
    case 4:
        put(t, "17%08u%03u", below(t, 100000000), below(t, 1000));
        break;
    default:
        put(t, "%u.%ue%s%u", below(t, 10), below(t, 100000), below(t, 2) ? "-" : "+", below(t, 30));
    }
}

static void put_members(struct text *t, unsigned n);

static void put_elements(struct text *t, unsigned n)
{
    bool is_text = below(t, 3) == 0;

    put(t, "[");
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            put(t, t->is_spaced ? ", " : ",");
        if (is_text)
            put_string(t);
        else
            put_number(t);
    }
    put(t, "]");
}

static void put_value(struct text *t)
{
    static const char *const words[] = {"true", "false", "null"};
    unsigned kind = below(t, 16);

    if (kind < 6)
        put_number(t);
    else if (kind < 11)
        put_string(t);
    else if (kind < 13)
        put(t, "%s", words[below(t, 3)]);
    else if (kind < 14 || t->depth > 3)
        put_elements(t, below(t, 6));
    else if (kind < 15)
        put(t, "\"2026-%02u-%02uT%02u:%02u:%02uZ\"", below(t, 12) + 1, below(t, 28) + 1,
            below(t, 24), below(t, 60), below(t, 60));
    else
        put_members(t, below(t, 4));
}

static void put_member(struct text *t)
{
    put(t, "\"");
    put_word(t);
    put(t, "\"");
    put_colon(t);
    put_value(t);
}

static void put_members(struct text *t, unsigned n)
{
    put(t, "{");
    t->depth++;
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            put_comma(t);
        else
            put_indent(t);
        put_member(t);
    }
    t->depth--;
    if (n > 0)
        put_indent(t);
    put(t, "}");
}

/* From n on: a comma, and the closing string that makes the text `size` bytes long. */
static void put_rest(struct text *t, size_t size, const char *head, const char *tail)
{
    size_t frame = strlen(head) + strlen(tail);

    put(t, "%s", head);
    while (t->n + strlen(tail) < size)
        put(t, "%c", "the quick brown fox "[(size - t->n) % 20]);
    put(t, "%s", tail);
    if (frame > size || t->n != size) {
        fprintf(stderr, "a text of %zu bytes in place of %zu\n", t->n, size);
        exit(70);
    }
}

/* An object or array of what put_one writes, as many as fit. */
static void put_all(struct text *t, size_t size, void (*put_one)(struct text *t), bool is_object)
{
    size_t before = t->n;

    put(t, is_object ? "{" : "[");
    t->depth = 1;
    put_indent(t);
    for (;;) {
        before = t->n;
        put_one(t);
        put_comma(t);
        if (t->n + 8 > size)
            break;
    }
    t->n = before;
    if (is_object)
        put_rest(t, size, "\"m\":\"", "\"}");
    else
        put_rest(t, size, "\"", "\"]");
}

static void put_nesting(struct text *t, size_t size)
{
    uint8_t closers[128];
    unsigned depth = 0;

    while (depth < 120 && t->n + depth + 12 < size) {
        bool is_object = below(t, 2) == 0;

        put(t, is_object ? "{\"%c\":" : "[", (char)('a' + below(t, 26)));
        closers[depth++] = is_object ? '}' : ']';
    }
    put(t, "\"");
    while (t->n + depth + 1 < size)
        put(t, "x");
    put(t, "\"");
    while (depth-- > 0)
        put(t, "%c", closers[depth]);
}

static void text_make(struct text *t, enum texts_kind kind, size_t size)
{
    t->n = 0;
    t->depth = 0;
    t->is_indented = kind == TEXTS_INDENTED;
    t->is_spaced = t->is_indented || below(t, 3) == 0;
    switch (kind) {
    case TEXTS_STRING:
        put_rest(t, size, "{\"text\":\"", "\"}");
        break;
    case TEXTS_NESTING:
        put_nesting(t, size);
        break;
    case TEXTS_NUMBERS:
        put_all(t, size, put_number, false);
        break;
    case TEXTS_NON_ASCII:
        put_all(t, size, put_foreign_string, false);
        break;
    default:
        put_all(t, size, put_member, true);
    }
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n, size);

    if (memory == NULL) {
        perror("calloc");
        exit(71);
    }
    return memory;
}

void texts_init(struct texts *t, enum texts_kind kind, size_t size, size_t total_bytes)
{
    size_t stride = (size + JSON_TEXT_SLACK + 63) / 64 * 64;
    struct text text = {.random = size};

    *t = (struct texts){.n_texts = total_bytes / size};
    t->memory = allocate(t->n_texts, stride);
    t->offsets = allocate(t->n_texts, sizeof *t->offsets);
    t->lengths = allocate(t->n_texts, sizeof *t->lengths);
    for (size_t i = 0; i < t->n_texts; i++) {
        if (i == 0 || kind != TEXTS_SAME)
            text_make(&text, kind, size);
        t->offsets[i] = i * stride;
        t->lengths[i] = text.n;
        t->n_bytes += text.n;
        memcpy(t->memory + t->offsets[i], text.bytes, text.n);
    }
}

void texts_deinit(struct texts *t)
{
    free(t->memory);
    free(t->offsets);
    free(t->lengths);
    *t = (struct texts){0};
}
