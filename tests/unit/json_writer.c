/* SPDX-License-Identifier: MIT */
/* The JSON writer: commas, escapes, numbers, and an error that sticks. */
#include "proto/json_writer.h"
#include "proto/json_text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void expect_text(const struct json_writer *w, const char *wanted)
{
    cr_expect_eq(w->error, 0);
    cr_expect(w->length == strlen(wanted) && memcmp(w->bytes, wanted, w->length) == 0,
              "%.*s, not %s", (int)w->length, w->bytes, wanted);
}

Test(json_writer, puts_commas_where_they_belong)
{
    struct json_writer w;

    json_writer_init(&w);
    json_begin_object(&w, NULL);
    json_put_int(&w, "a", INT64_MIN);
    json_begin_array(&w, "b");
    json_put_uint(&w, NULL, UINT64_MAX);
    json_begin_object(&w, NULL);
    json_end_object(&w);
    json_begin_array(&w, NULL);
    json_end_array(&w);
    json_put_bool(&w, NULL, true);
    json_end_array(&w);
    json_begin_object(&w, "c");
    json_put_null(&w, "d");
    json_put_string(&w, "e", NULL);
    json_end_object(&w);
    json_put_raw(&w, "f", "[1]", 3);
    json_end_object(&w);
    json_put_raw_bytes(&w, "\n", 1);
    expect_text(&w, "{\"a\":-9223372036854775808,\"b\":[18446744073709551615,{},[],true],"
                    "\"c\":{\"d\":null,\"e\":null},\"f\":[1]}\n");
    json_writer_reset(&w);
    cr_expect_gt(w.capacity, 0);
    json_put_string(&w, NULL, "x");
    expect_text(&w, "\"x\"");
    json_writer_deinit(&w);
    json_writer_deinit(&w);
}

Test(json_writer, escapes_only_what_must_be)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t n;
        const char *written;
    } cases[] = {
        {"nothing", "", 0, "\"\""},
        {"plain", "a/b'c", 5, "\"a/b'c\""},
        {"quote and backslash", "\"\\", 2, "\"\\\"\\\\\""},
        {"short escapes", "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"other control characters", "\0\x01\x1f", 3, "\"\\u0000\\u0001\\u001f\""},
        {"DEL and UTF-8", "\x7f\xc3\xa9\xf0\x9f\x98\x80", 7, "\"\x7f\xc3\xa9\xf0\x9f\x98\x80\""},
        {"an ill-formed byte",
         "a\xff"
         "b",
         3,
         "\"a\xef\xbf\xbd"
         "b\""},
        {"a sequence cut short", "\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"a surrogate", "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    struct json_writer w;

    json_writer_init(&w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_writer_reset(&w);
        json_put_string_n(&w, NULL, cases[i].bytes, cases[i].n);
        expect_text(&w, cases[i].written);
    }
    json_writer_reset(&w);
    json_begin_object(&w, NULL);
    json_put_int(&w, "a\"\n", 1);
    json_end_object(&w);
    expect_text(&w, "{\"a\\\"\\n\":1}");
    json_writer_deinit(&w);
}

Test(json_writer, writes_doubles_that_read_back)
{
    static const struct {
        double value;
        const char *written; /* NULL: whatever reads back */
    } cases[] = {
        {0.0, "0"},          {-0.0, "-0"},
        {0.1, "0.1"},        {1e300, "1e+300"},
        {-1.5e-7, NULL},     {1.0 / 3, NULL},
        {DBL_MAX, NULL},     {DBL_MIN, NULL},
        {5e-324, NULL},      {123456789, "123456789"},
        {2e15 + 0.25, NULL}, {NAN, "null"},
        {INFINITY, "null"},  {-INFINITY, "null"},
    };
    struct json_writer w;

    json_writer_init(&w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_writer_reset(&w);
        json_put_double(&w, NULL, cases[i].value);
        cr_expect(json_text_is_valid((uint8_t *)w.bytes, w.length));
        if (cases[i].written != NULL) {
            expect_text(&w, cases[i].written);
            continue;
        }
        json_put_raw_bytes(&w, "", 1);
        cr_expect_eq(strtod(w.bytes, NULL), cases[i].value, "%s", w.bytes);
    }
    json_writer_deinit(&w);
}

Test(json_writer, writes_base64)
{
    struct json_writer w;

    json_writer_init(&w);
    json_begin_array(&w, NULL);
    json_put_base64(&w, NULL, "\xff\x00", 2);
    json_put_base64(&w, NULL, NULL, 0);
    json_end_array(&w);
    expect_text(&w, "[\"/wA=\",\"\"]");
    json_writer_deinit(&w);
}

Test(json_writer, grows_to_many_megabytes)
{
    struct json_writer w;

    json_writer_init(&w);
    json_begin_array(&w, NULL);
    for (int i = 0; i < 300000; i++)
        json_put_string(&w, NULL, "0123456789");
    json_end_array(&w);
    cr_expect_eq(w.length, 300000 * 13 + 1);
    cr_expect(json_text_is_valid((uint8_t *)w.bytes, w.length));
    json_writer_deinit(&w);
}

Test(json_writer, does_nothing_after_a_failed_allocation)
{
    struct json_writer w;
    size_t length;

    json_writer_init(&w);
    json_put_string(&w, NULL, "kept");
    length = w.length;
    json_put_raw(&w, NULL, "", SIZE_MAX / 2); /* no room for that anywhere */
    cr_expect_eq(w.error, -ENOMEM);
    json_begin_object(&w, "k");
    json_put_string(&w, "k", "v");
    json_put_base64(&w, "k", "v", 1);
    json_put_double(&w, "k", 1);
    json_end_object(&w);
    cr_expect_eq(w.error, -ENOMEM);
    cr_expect_leq(w.length, length + 1); /* the comma at most */
    json_writer_reset(&w);
    cr_expect_eq(w.error, 0);
    json_put_int(&w, NULL, 1);
    expect_text(&w, "1");
    json_writer_deinit(&w);
}
