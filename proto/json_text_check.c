/* SPDX-License-Identifier: MIT */
/* The plain JSON validator, byte by byte, which says where the fault is. For tools and tests. */
#include "proto/json_text.h"
#include "proto/text.h"

#include <string.h>

/* expected is NULL until the first fault, which stays. */
struct check {
    const uint8_t *bytes;
    size_t n;
    size_t at;
    const char *expected;
    unsigned depth;
    uint8_t closers[JSON_TEXT_MAX_DEPTH];
};

static bool expect(struct check *c, bool met, const char *what)
{
    if (!met && c->expected == NULL)
        c->expected = what;
    return c->expected == NULL;
}

/* The byte at the position, or -1 at the end. */
static int look(const struct check *c)
{
    return c->at < c->n ? c->bytes[c->at] : -1;
}

static bool look_digit(const struct check *c)
{
    return look(c) >= '0' && look(c) <= '9';
}

static bool look_hex(const struct check *c)
{
    return look_digit(c) || ((look(c) | 0x20) >= 'a' && (look(c) | 0x20) <= 'f');
}

static void skip_space(struct check *c)
{
    while (look(c) == ' ' || look(c) == '\n' || look(c) == '\r' || look(c) == '\t')
        c->at++;
}

static bool check_escape(struct check *c)
{
    c->at++;
    if (!expect(c, look(c) > 0 && strchr("\"\\/bfnrtu", look(c)) != NULL,
                "one of \" \\ / b f n r t u after the backslash"))
        return false;
    if (c->bytes[c->at++] != 'u')
        return true;
    for (int i = 0; i < 4; i++) {
        if (!expect(c, look_hex(c), "four hexadecimal digits after \\u"))
            return false;
        c->at++;
    }
    return true;
}

static bool check_string(struct check *c)
{
    c->at++;
    while (look(c) != '"') {
        if (!expect(c, look(c) >= 0, "the closing '\"' of the string") ||
            !expect(c, look(c) >= 0x20, "an escape in place of the control character"))
            return false;
        if (look(c) == '\\') {
            if (!check_escape(c))
                return false;
            continue;
        }

        size_t length = utf8_sequence_length(c->bytes + c->at, c->n - c->at);

        if (!expect(c, length > 0, "well-formed UTF-8"))
            return false;
        c->at += length;
    }
    c->at++;
    return true;
}

static bool check_digits(struct check *c)
{
    if (!expect(c, look_digit(c), "a digit"))
        return false;
    while (look_digit(c))
        c->at++;
    return true;
}

static bool check_number(struct check *c)
{
    if (look(c) == '-')
        c->at++;

    bool zero = look(c) == '0';
    size_t start = c->at;

    if (!check_digits(c))
        return false;
    if (zero && c->at > start + 1) {
        c->at = start + 1;
        return expect(c, false, "no digit after a leading 0");
    }
    if (look(c) == '.') {
        c->at++;
        if (!check_digits(c))
            return false;
    }
    if (look(c) == 'e' || look(c) == 'E') {
        c->at++;
        if (look(c) == '+' || look(c) == '-')
            c->at++;
        return check_digits(c);
    }
    return true;
}

static bool check_word(struct check *c, const char *word, const char *what)
{
    for (; *word != '\0'; word++, c->at++) {
        if (!expect(c, look(c) == *word, what))
            return false;
    }
    return true;
}

static bool check_scalar(struct check *c)
{
    switch (look(c)) {
    case '"':
        return check_string(c);
    case 't':
        return check_word(c, "true", "the word true");
    case 'f':
        return check_word(c, "false", "the word false");
    case 'n':
        return check_word(c, "null", "the word null");
    default:
        if (!expect(c, look(c) == '-' || look_digit(c), "a value"))
            return false;
        return check_number(c);
    }
}

/* At '{' or '['. *is_open: it is not empty, its first value or name is next. */
static bool open_container(struct check *c, bool *is_open)
{
    uint8_t closer = look(c) == '{' ? '}' : ']';

    if (!expect(c, c->depth < JSON_TEXT_MAX_DEPTH, "at most 128 levels of nesting"))
        return false;
    c->at++;
    skip_space(c);
    *is_open = look(c) != closer;
    if (*is_open)
        c->closers[c->depth++] = closer;
    else
        c->at++;
    return true;
}

static bool check_key(struct check *c)
{
    skip_space(c);
    if (!expect(c, look(c) == '"', "a member name in '\"'") || !check_string(c))
        return false;
    skip_space(c);
    if (!expect(c, look(c) == ':', "':'"))
        return false;
    c->at++;
    return true;
}

/* After a value: closes what ends here. *more: a ',' was there, another value must follow. */
static bool check_after(struct check *c, bool *more)
{
    *more = false;
    while (c->depth > 0) {
        uint8_t closer = c->closers[c->depth - 1];

        skip_space(c);
        if (look(c) == ',') {
            c->at++;
            *more = true;
            return true;
        }
        if (!expect(c, look(c) == closer, closer == '}' ? "',' or '}'" : "',' or ']'"))
            return false;
        c->at++;
        c->depth--;
    }
    return true;
}

static void check_text(struct check *c)
{
    bool more = true;

    if (c->n >= 3 && memcmp(c->bytes, "\xef\xbb\xbf", 3) == 0)
        c->expected = "a value, not a byte order mark";
    while (c->expected == NULL && more) {
        if (c->depth > 0 && c->closers[c->depth - 1] == '}' && !check_key(c))
            return;
        skip_space(c);
        if (look(c) == '{' || look(c) == '[') {
            bool is_open;

            if (!open_container(c, &is_open))
                return;
            if (is_open)
                continue;
        } else if (!check_scalar(c)) {
            return;
        }
        if (!check_after(c, &more))
            return;
    }
    if (c->expected == NULL) {
        skip_space(c);
        expect(c, c->at == c->n, "the end of the text");
    }
}

size_t json_text_check(const uint8_t *bytes, size_t n, const char **expected)
{
    struct check c = {.bytes = bytes, .n = n};

    check_text(&c);
    *expected = c.expected;
    return c.at;
}
