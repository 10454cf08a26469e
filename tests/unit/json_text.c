/* SPDX-License-Identifier: MIT */
/* The JSON validators: what RFC 8259 says, and that all of them say the same everywhere. */
#include "tests/unit/json_text_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Texts may hold NUL bytes: their length is that of the literal. */
#define TEXT(literal) literal, sizeof(literal) - 1

static const struct text valid[] = {
    {"zero", TEXT("0")},
    {"minus zero", TEXT("-0")},
    {"a digit with white space around it", TEXT(" \t\r\n7\n\r\t ")},
    {"an integer", TEXT("-1234567890")},
    {"an integer of 130 digits", TEXT("[11111111111111111111111111111111111111111111111111111111111"
                                      "111111111111111111111111111111"
                                      "11111111111111111111111111111111111111111]")},
    {"a fraction", TEXT("0.000000000000000000000000000000000000000000000000000000000000000000001")},
    {"an exponent", TEXT("1E22")},
    {"an exponent with plus", TEXT("0e+1")},
    {"an exponent with minus and zeros", TEXT("1.5e-0007")},
    {"a number that no double holds", TEXT("1e999")},
    {"an integer above 64 bits", TEXT("18446744073709551616")},
    {"true", TEXT("true")},
    {"false", TEXT(" false")},
    {"null", TEXT("null\n")},
    {"an empty string", TEXT("\"\"")},
    {"every short escape", TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"")},
    {"an escaped NUL", TEXT("\"\\u0000\"")},
    {"hexadecimal digits of both cases", TEXT("\"\\uaBcD\\u12eF\"")},
    {"a surrogate pair", TEXT("\"\\ud834\\udd1e\"")},
    {"a lone high surrogate escape", TEXT("[\"\\uD800\"]")},
    {"a lone low surrogate escape", TEXT("[\"\\uDFFF\\u0020\"]")},
    {"an escaped backslash before the end", TEXT("[\"\\\\\"]")},
    {"two escaped backslashes and a quote", TEXT("[\"\\\\\\\\\\\"\"]")},
    {"DEL", TEXT("\"\x7f\"")},
    {"lowest and highest of two bytes", TEXT("\"\xc2\x80\xdf\xbf\"")},
    {"lowest and highest of three bytes", TEXT("\"\xe0\xa0\x80\xef\xbf\xbf\"")},
    {"around the surrogates", TEXT("\"\xed\x9f\xbf\xee\x80\x80\"")},
    {"lowest and highest of four bytes", TEXT("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"")},
    {"a byte order mark inside a string", TEXT("\"\xef\xbb\xbf\"")},
    {"an empty array", TEXT("[]")},
    {"an empty array with white space", TEXT("[ \n ]")},
    {"an empty object", TEXT("{}")},
    {"an empty object with white space", TEXT("{\t\r }")},
    {"nested empties", TEXT("[[],{},[[]],{\"\":{}}]")},
    {"an array", TEXT("[1,\"a\",null,true,false,{},-1.5]")},
    {"an object", TEXT("{\"a\":1,\"b\":[2,{\"c\":3}],\"d\":{\"e\":{}}}")},
    {"white space everywhere", TEXT(" { \"a\" : [ 1 , 2 ] , \"b\" : { } } ")},
    {"duplicate keys", TEXT("{\"a\":1,\"a\":1}")},
    {"an empty key", TEXT("{\"\":0}")},
    {"an escaped NUL in a key", TEXT("{\"\\u0000\":0}")},
    {"a long string",
     TEXT("[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]")},
    {"objects in an array in an object", TEXT("{\"a\":[{\"b\":1},{\"b\":2}],\"c\":null}")},
};

static const struct text invalid[] = {
    {"nothing", TEXT("")},
    {"only white space", TEXT(" \n\t\r")},
    {"a NUL byte", TEXT("\0")},
    {"a NUL byte after the text", TEXT("1\0")},
    {"a NUL byte within an array", TEXT("[1\0]")},
    {"a byte order mark", TEXT("\xef\xbb\xbf{}")},
    {"UTF-16", TEXT("[\0\"\0\xe9\0\"\0]\0")},
    {"two texts", TEXT("{}{}")},
    {"two numbers", TEXT("1 2")},
    {"a closer too many", TEXT("[]]")},
    {"the other closer", TEXT("[}")},
    {"the other closer of an object", TEXT("{\"a\":1]")},
    {"crossed closers", TEXT("[{]}")},
    {"an open array", TEXT("[")},
    {"an open array after a value", TEXT("[1")},
    {"an open array after a comma", TEXT("[1,")},
    {"an open object", TEXT("{")},
    {"an object that ends after a key", TEXT("{\"a\"")},
    {"an object that ends after a colon", TEXT("{\"a\":")},
    {"an object that ends after a value", TEXT("{\"a\":1")},
    {"an object that ends after a comma", TEXT("{\"a\":1,")},
    {"an inner array that stays open", TEXT("[[]")},
    {"a closed array in an open object", TEXT("{\"a\":[]")},
    {"a comma before the end", TEXT("[1,]")},
    {"a comma before the end of an object", TEXT("{\"a\":1,}")},
    {"only a comma", TEXT("[,]")},
    {"only a comma in an object", TEXT("{,}")},
    {"a comma too many", TEXT("[1,,2]")},
    {"a missing comma", TEXT("[1 2]")},
    {"a missing comma in an object", TEXT("{\"a\":1 \"b\":2}")},
    {"a colon in an array", TEXT("[\"a\":1]")},
    {"a missing colon", TEXT("{\"a\" 1}")},
    {"two colons", TEXT("{\"a\"::1}")},
    {"a missing value", TEXT("{\"a\":}")},
    {"a missing value before a comma", TEXT("{\"a\":,\"b\":1}")},
    {"a key without quotes", TEXT("{a:1}")},
    {"a number as a key", TEXT("{1:1}")},
    {"a key in single quotes", TEXT("{'a':1}")},
    {"an object as a key", TEXT("{{}:1}")},
    {"a comment", TEXT("[1/* one */]")},
    {"a line comment", TEXT("1 // one")},
    {"a word cut short", TEXT("tru")},
    {"a word cut short in an array", TEXT("[nul]")},
    {"a word with a tail", TEXT("truex")},
    {"a word with a tail in an array", TEXT("[falsey]")},
    {"another case", TEXT("True")},
    {"NaN", TEXT("NaN")},
    {"Infinity", TEXT("[-Infinity]")},
    {"undefined", TEXT("undefined")},
    {"a minus alone", TEXT("-")},
    {"a minus alone in an array", TEXT("[-]")},
    {"a minus before a minus", TEXT("--1")},
    {"a plus", TEXT("+1")},
    {"a leading zero", TEXT("01")},
    {"a leading zero in an array", TEXT("[-01]")},
    {"two zeros", TEXT("00")},
    {"a point without digits after", TEXT("1.")},
    {"a point without digits after in an array", TEXT("[1.]")},
    {"a point without digits before", TEXT(".5")},
    {"a point without digits before in an array", TEXT("[-.5]")},
    {"two points", TEXT("[1.2.3]")},
    {"an exponent without digits", TEXT("1e")},
    {"an exponent without digits in an array", TEXT("[1e]")},
    {"an exponent with only a sign", TEXT("[1E+]")},
    {"an exponent with two signs", TEXT("[1e+-1]")},
    {"an exponent with a fraction", TEXT("[1e1.5]")},
    {"a point before an exponent", TEXT("[1.e1]")},
    {"hexadecimal", TEXT("[0x1F]")},
    {"a space in a number", TEXT("[1 000]")},
    {"a string without an end", TEXT("\"abc")},
    {"a string without an end in an array", TEXT("[\"abc]")},
    {"a string that ends in a backslash", TEXT("\"abc\\")},
    {"a string whose quote is escaped", TEXT("[\"abc\\\"]")},
    {"a quote too many", TEXT("\"a\"\"")},
    {"single quotes", TEXT("['a']")},
    {"an unknown escape", TEXT("\"\\x20\"")},
    {"an escaped control character", TEXT("\"\\\n\"")},
    {"an escaped NUL byte", TEXT("\"\\\0\"")},
    {"a capital U", TEXT("\"\\U0041\"")},
    {"three hexadecimal digits", TEXT("[\"\\u004\"]")},
    {"a hexadecimal escape at the end", TEXT("[\"\\u00")},
    {"a g among hexadecimal digits", TEXT("\"\\u00g0\"")},
    {"an at sign among hexadecimal digits", TEXT("\"\\u@000\"")},
    {"an escape outside a string", TEXT("[\\n]")},
    {"a tab in a string", TEXT("\"\t\"")},
    {"a line feed in a string", TEXT("[\"a\nb\"]")},
    {"a NUL byte in a string", TEXT("[\"a\0b\"]")},
    {"0x1f in a string", TEXT("\"\x1f\"")},
    {"a line feed in a key", TEXT("{\"a\n\":1}")},
    {"a form feed as white space", TEXT("[\f]")},
    {"a vertical tab as white space", TEXT("[\v1]")},
    {"a no-break space", TEXT("[\xc2\xa0]")},
    {"a lone continuation byte", TEXT("\"\x80\"")},
    {"the highest continuation byte", TEXT("\"\xbf\"")},
    {"a lead byte alone", TEXT("\"\xc3\"")},
    {"two of three bytes", TEXT("\"\xe2\x82\"")},
    {"three of four bytes", TEXT("\"\xf0\x9f\x98\"")},
    {"two bytes for NUL", TEXT("\"\xc0\x80\"")},
    {"two bytes for a slash", TEXT("\"\xc0\xaf\"")},
    {"two bytes for 0x7f", TEXT("\"\xc1\xbf\"")},
    {"three bytes for a slash", TEXT("\"\xe0\x80\xaf\"")},
    {"three bytes for U+07FF", TEXT("\"\xe0\x9f\xbf\"")},
    {"four bytes for U+FFFF", TEXT("\"\xf0\x8f\xbf\xbf\"")},
    {"the lowest surrogate", TEXT("\"\xed\xa0\x80\"")},
    {"the highest surrogate", TEXT("\"\xed\xbf\xbf\"")},
    {"U+110000", TEXT("\"\xf4\x90\x80\x80\"")},
    {"0xf5", TEXT("\"\xf5\x80\x80\x80\"")},
    {"0xff", TEXT("\"\xff\"")},
    {"a sequence that the quote interrupts", TEXT("[\"\xe2\x82\",\"\xac\"]")},
    {"a bad third byte", TEXT("\"\xe2\x82\x22\"")},
    {"a bad fourth byte", TEXT("\"\xf0\x9f\x98\xc0\"")},
    {"bad UTF-8 in a key", TEXT("{\"\xff\":1}")},
    {"UTF-8 outside a string", TEXT("[\xe2\x82\xac]")},
    {"CESU-8", TEXT("\"\xed\xa0\xb5\xed\xb4\x9e\"")},
    {"0x1e before the text", TEXT("\x1e{}")},
    {"a JSON text sequence", TEXT("{}\n{}\n")},
};

Test(json_text, accepts_every_valid_text)
{
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        cr_expect(all_say(valid[i].name, valid[i].bytes, valid[i].n), "%s", valid[i].name);
}

Test(json_text, refuses_every_invalid_text)
{
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        cr_expect(!all_say(invalid[i].name, invalid[i].bytes, invalid[i].n), "%s", invalid[i].name);
}

/* Each text as an element after `before` bytes of white space, or of a string. */
static void wrap(const struct text *t, size_t before, bool is_valid)
{
    static const char space[] = "{\"k\":[", string[] = "{\"k\":[\"";
    char wrapped[1024];

    for (int in_string = 0; in_string < 2; in_string++) {
        size_t n = strlen(in_string ? string : space);

        memcpy(wrapped, in_string ? string : space, n);
        memset(wrapped + n, in_string ? 'x' : ' ', before);
        n += before;
        if (in_string)
            n += (size_t)sprintf(wrapped + n, "\",");
        memcpy(wrapped + n, t->bytes, t->n);
        memcpy(wrapped + n + t->n, ",1]}", 4);
        cr_expect_eq(all_say(t->name, wrapped, n + t->n + 4), is_valid, "%s after %zu", t->name,
                     before);
    }
}

/* So that it crosses the border of every word, and of the eight that are looked at together. */
static void wrap_everywhere(const struct text *t, bool is_valid)
{
    for (size_t before = 0; before < 130; before++)
        wrap(t, before, is_valid);
    for (size_t before = 512 - 80; before < 520; before++)
        wrap(t, before, is_valid);
}

Test(json_text, gives_the_same_answer_at_every_offset)
{
    /* inside the brackets these would be something else */
    static const char *const others[] = {"a closer too many", "a NUL byte after the text",
                                         "only white space"};

    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        wrap_everywhere(&valid[i], true);
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        bool skip = false;

        for (size_t j = 0; j < sizeof others / sizeof *others; j++)
            skip |= strcmp(invalid[i].name, others[j]) == 0;
        if (!skip)
            wrap_everywhere(&invalid[i], false);
    }
}

Test(json_text, refuses_every_prefix_of_an_object)
{
    static const char text[] =
        "{\"sensor\":\"th-\\u00e9\xc3\xa9\",\"n\":[1,-2.5e+3,true,null,{}],\"ok\":false}";

    cr_expect(all_say("whole", text, sizeof text - 1));
    for (size_t n = 0; n < sizeof text - 1; n++)
        cr_expect(!all_say("prefix", text, n), "the first %zu bytes", n);
}

static void check_depth(unsigned depth, char opener, bool is_valid)
{
    char text[8192];
    size_t n = 0;

    for (unsigned i = 0; i < depth; i++)
        n += (size_t)sprintf(text + n, "%s", opener == '[' || i % 2 ? "[" : "{\"a\":");
    text[n++] = '1';
    for (unsigned i = depth; i-- > 0;)
        text[n++] = opener == '[' || i % 2 ? ']' : '}';
    cr_expect_eq(all_say("depth", text, n), is_valid, "depth %u", depth);
}

Test(json_text, nests_to_128)
{
    for (unsigned depth = 1; depth <= 128; depth++) {
        check_depth(depth, '[', true);
        check_depth(depth, '{', true);
    }
    check_depth(129, '[', false);
    check_depth(129, '{', false);
    check_depth(1000, '[', false);
}

Test(json_text, takes_the_largest_datagram)
{
    static char text[65507];

    memset(text, 'x', sizeof text);
    text[0] = text[sizeof text - 1] = '"';
    cr_expect(all_say("a string", text, sizeof text));
    memset(text, ' ', sizeof text);
    text[30000] = '1';
    cr_expect(all_say("white space", text, sizeof text));
    memset(text, '[', sizeof text);
    cr_expect(!all_say("brackets", text, sizeof text));
}

Test(json_text, says_where_the_fault_is_and_what_was_expected)
{
    static const struct {
        const char *name;
        const char *text;
        size_t at;
        const char *expected;
    } cases[] = {
        {"nothing", "", 0, "a value"},
        {"a bad value", "[1, x]", 4, "a value"},
        {"a missing comma", "{\"a\":1 \"b\":2}", 7, "',' or '}'"},
        {"the other closer", "[1}", 2, "',' or ']'"},
        {"a missing colon", "{\"a\" 1}", 5, "':'"},
        {"a key without quotes", "{a:1}", 1, "a member name in '\"'"},
        {"a comma before the end", "{\"a\":1,}", 7, "a member name in '\"'"},
        {"a string without an end", "\"abc", 4, "the closing '\"' of the string"},
        {"an unknown escape", "\"\\q\"", 2, "one of \" \\ / b f n r t u after the backslash"},
        {"hexadecimal digits", "\"\\u12x4\"", 5, "four hexadecimal digits after \\u"},
        {"a control character", "\"a\tb\"", 2, "an escape in place of the control character"},
        {"bad UTF-8", "\"a\xc0\x80\"", 2, "well-formed UTF-8"},
        {"a leading zero", "012", 1, "no digit after a leading 0"},
        {"no digit", "[-]", 2, "a digit"},
        {"a word", "trux", 3, "the word true"},
        {"something after it", "{} {}", 3, "the end of the text"},
        {"a byte order mark", "\xef\xbb\xbf{}", 0, "a value, not a byte order mark"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *expected;
        size_t at =
            json_text_check((const uint8_t *)cases[i].text, strlen(cases[i].text), &expected);

        cr_expect_eq(at, cases[i].at, "%s: at %zu", cases[i].name, at);
        cr_expect_str_eq(expected, cases[i].expected, "%s", cases[i].name);
    }
}

/* Pieces that make texts which are nearly JSON, and often are. */
static size_t random_text(unsigned *state, char *out)
{
    static const char *const pieces[] = {
        "{",    "}",    "[",    "]",    ",", ":",  "\"a\"",        "\"\\n\"", "1",
        "-2.5", "1e-3", "true", "null", " ", "\n", "\"\xc3\xa9\"", "0",       "\""};
    size_t n = 0;

    for (unsigned i = next_random(state) % 9 + 1; i > 0; i--)
        n += (size_t)sprintf(out + n, "%s",
                             pieces[next_random(state) % (sizeof pieces / sizeof *pieces)]);
    return n;
}

Test(json_text, agrees_with_jansson_on_random_texts)
{
    unsigned state = 20261123;
    unsigned n_valid = 0;

    for (int i = 0; i < 200000; i++) {
        char text[128];
        size_t n = random_text(&state, text);
        json_t *root = json_loadb(text, n, JSON_DECODE_ANY, NULL);

        cr_assert_eq(all_say("random", text, n), root != NULL, "%.*s", (int)n, text);
        n_valid += root != NULL;
        json_decref(root);
    }
    cr_expect_gt(n_valid, 1000);
}
