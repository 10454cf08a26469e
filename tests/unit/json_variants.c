/* SPDX-License-Identifier: MIT */
/* The JSON validators of the instruction sets: all of them say the same of long texts too. */
#include "tests/unit/json_text_fixture.h"

#include <stdio.h>

#define MAX_TEXT 8192

static const char *const scalars[] = {
    "0",
    "-0",
    "7",
    "10",
    "-1.5",
    "0.25",
    "1e5",
    "2E-10",
    "-3.25E+7",
    "true",
    "false",
    "null",
    "1760000000123",
    "\"\"",
    "\"a\"",
    "\"{[,:]}\"",
    "\"\\\\\"",
    "\"\\\"\\\\\"",
    "\"\\u00e9\\n\"",
    "\"\xc3\xa9\"",
    "\"\xe2\x82\xac\xf0\x9f\x8c\xa1\"",
};

static const char *const faults[] = {
    "{",     "}",    "[",    "]",      ",",    ":",      "\"",       "\\",
    "\x01",  "\x80", "\xff", "0",      "-",    ".",      "e",        "E+1",
    "01",    "+1",   "tru",  "nullx",  "x",    " ",      "\n",       "\f",
    "1 2",   "\"\"", "{}",   "\"a\":", "[1,]", ",\"k\"", "\xe2\x82", "\xed\xa0\x80",
    "\\u12",
};

struct text_random {
    unsigned state;
    size_t n;
    char bytes[MAX_TEXT];
};

static const char *one_of(struct text_random *t, const char *const *choices, size_t n)
{
    return choices[next_random(&t->state) % n];
}

static void put(struct text_random *t, const char *text)
{
    t->n += (size_t)sprintf(t->bytes + t->n, "%s", text);
}

static void put_space(struct text_random *t)
{
    unsigned n = next_random(&t->state) % 32 == 0 ? next_random(&t->state) % 150 : 0;

    for (; n > 0; n--)
        t->bytes[t->n++] = " \n\t\r"[next_random(&t->state) % 4];
}

static void put_string(struct text_random *t)
{
    static const char *const pieces[] = {"a",
                                         "1",
                                         "{",
                                         "]",
                                         ",",
                                         ":",
                                         " ",
                                         "\\n",
                                         "\\\\",
                                         "\\\"",
                                         "\\u12aF",
                                         "\xc3\xa9",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x8c\xa1"};
    unsigned n = next_random(&t->state) % (next_random(&t->state) % 8 == 0 ? 200 : 12);

    put(t, "\"");
    for (; n > 0; n--)
        put(t, one_of(t, pieces, sizeof pieces / sizeof *pieces));
    put(t, "\"");
}

/* A valid value of some length; nothing keeps it within MAX_TEXT but the depth and luck's limits.
 */
static void put_value(struct text_random *t, unsigned depth)
{
    unsigned kind = next_random(&t->state) % 8, n = next_random(&t->state) % 5;

    put_space(t);
    if (depth == 0 || t->n > MAX_TEXT / 4 || kind < 3) {
        put(t, one_of(t, scalars, sizeof scalars / sizeof *scalars));
    } else if (kind < 4) {
        put_string(t);
    } else {
        bool is_object = kind < 6;

        put(t, is_object ? "{" : "[");
        for (unsigned i = 0; i < n; i++) {
            put(t, i > 0 ? "," : "");
            if (is_object) {
                put_space(t);
                put_string(t);
                put_space(t);
                put(t, ":");
            }
            put_value(t, depth - 1);
            put_space(t);
        }
        put(t, is_object ? "}" : "]");
    }
    put_space(t);
}

/* Puts a fault somewhere, or takes something away, or changes a byte. */
static void spoil(struct text_random *t)
{
    const char *fault = one_of(t, faults, sizeof faults / sizeof *faults);
    size_t at = next_random(&t->state) % t->n, length = strlen(fault);

    switch (next_random(&t->state) % 4) {
    case 0:
        memmove(t->bytes + at, t->bytes + at + 1, t->n - at - 1);
        t->n--;
        break;
    case 1:
        t->bytes[at] = (char)next_random(&t->state);
        break;
    case 2:
        t->n = at;
        break;
    default:
        memmove(t->bytes + at + length, t->bytes + at, t->n - at);
        memcpy(t->bytes + at, fault, length);
        t->n += length;
    }
}

Test(json_variants, agree_on_random_texts_and_on_what_is_nearly_one)
{
    static struct text_random t = {.state = 20261125};
    unsigned n_valid = 0;

    for (int i = 0; i < 20000; i++) {
        t.n = 0;
        put_value(&t, i % 8);
        cr_assert(all_say("valid", t.bytes, t.n), "%.*s", (int)t.n, t.bytes);
        for (int faults_left = 1 + i % 3; faults_left > 0 && t.n > 0; faults_left--)
            spoil(&t);
        n_valid += all_say("spoiled", t.bytes, t.n);
    }
    cr_expect_gt(n_valid, 1000);
    cr_expect_lt(n_valid, 15000);
}

/* Runs that fill whole words: white space, digits, a string, backslashes, commas. */
Test(json_variants, agree_on_long_runs)
{
    static const char *const frames[][2] = {
        {"[1,", "2]"},        {"[1", ",2]"},     {"[", "]"},     {"{\"a\":", "1}"},
        {"{\"a\"", ":1}"},    {"{", "\"a\":1}"}, {"[1", "]"},    {"[1.", "]"},
        {"[1.5e", "]"},       {"[0", "]"},       {"[\"", "\"]"}, {"{\"", "\":1}"},
        {"{\"a\":\"", "\"}"}, {"[\"\\", "\"]"},  {"[tru", "e]"}, {"[\"\xe2\x82", "\"]"},
        {"[\"\\u0", "0\"]"},
    };
    static char text[1024];

    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        for (const char *fill = " 1x\\,[{\"\x80\n0e.-"; *fill != '\0'; fill++) {
            for (size_t n = 0; n < 700; n += 1 + n / 90) {
                size_t head = strlen(frames[i][0]), tail = strlen(frames[i][1]);

                memcpy(text, frames[i][0], head);
                memset(text + head, *fill, n);
                memcpy(text + head + n, frames[i][1], tail);
                all_say(frames[i][0], text, head + n + tail);
            }
        }
    }
}
