/* SPDX-License-Identifier: MIT */
/* Which payloads msgsend takes. */
#include "tools/send_payload.h"

#include <criterion/criterion.h>
#include <string.h>

Test(tools_send, takes_json_and_with_raw_anything_that_fits)
{
    static const struct {
        const char *text;
        bool is_raw;
        const char *fault; /* NULL: none */
    } cases[] = {
        {"{\"a\": 1}", false, NULL},     {" 1e999 ", false, NULL},   {"hello", false, "column 1"},
        {"{\"a\":}", false, "column 6"}, {"1 2", false, "column 3"}, {"", false, "not JSON"},
        {"[1,", false, "ends"},          {"hello", true, NULL},      {"", true, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char fault[PAYLOAD_FAULT_MAX] = "";
        bool is_good = payload_check(cases[i].text, strlen(cases[i].text), cases[i].is_raw, fault);
        cr_expect_eq(is_good, cases[i].fault == NULL, "%s", cases[i].text);
        if (!is_good && cases[i].fault != NULL)
            cr_expect_not_null(strstr(fault, cases[i].fault), "%s: %s", cases[i].text, fault);
    }
}

Test(tools_send, refuses_what_no_datagram_holds)
{
    static char large[PAYLOAD_MAX + 1];
    char fault[PAYLOAD_FAULT_MAX];

    memset(large, '1', sizeof large);
    cr_expect(payload_check(large, PAYLOAD_MAX, false, fault));
    cr_expect_not(payload_check(large, PAYLOAD_MAX + 1, false, fault));
    cr_expect_not_null(strstr(fault, "65507"));
    cr_expect_not(payload_check(large, PAYLOAD_MAX + 1, true, fault));
}

static FILE *text_file(const char *text, size_t n)
{
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, n, file), n);
    rewind(file);
    return file;
}

Test(tools_send, reads_lines_with_or_without_a_last_line_end)
{
    static const char text[] = "1\n\nlast\0one";
    static struct payload p;
    FILE *file = text_file(text, sizeof text - 1);

    cr_expect_eq(payload_read_line(file, &p), 0);
    cr_expect_eq(p.n, 1);
    cr_expect_eq(payload_read_line(file, &p), 0);
    cr_expect_eq(p.n, 0);
    cr_expect(payload_is_blank(p.bytes, p.n));
    cr_expect_eq(payload_read_line(file, &p), 0);
    cr_expect_eq(p.n, 8);
    cr_expect_eq(payload_read_line(file, &p), PAYLOAD_END);
    rewind(file);
    cr_expect_eq(payload_read_all(file, &p), 0);
    cr_expect_eq(p.n, sizeof text - 1);
    fclose(file);
}

Test(tools_send, reads_past_a_line_that_is_too_large)
{
    static char text[PAYLOAD_MAX * 2 + 2];
    static struct payload p;
    memset(text, 'x', sizeof text);
    text[PAYLOAD_MAX] = '\n';
    text[sizeof text - 1] = '\n';
    FILE *file = text_file(text, sizeof text);

    cr_expect_eq(payload_read_line(file, &p), 0);
    cr_expect_eq(p.n, PAYLOAD_MAX);
    cr_expect_not(p.is_too_large);
    cr_expect_eq(payload_read_line(file, &p), 0);
    cr_expect_not(p.is_too_large);
    rewind(file);
    text[PAYLOAD_MAX] = 'x';
    cr_assert_eq(fwrite(text, 1, sizeof text, file), sizeof text);
    cr_assert_eq(fwrite("1\n", 1, 2, file), 2);
    rewind(file);
    cr_expect_eq(payload_read_line(file, &p), 0);
    cr_expect(p.is_too_large);
    cr_expect_eq(payload_read_line(file, &p), 0);
    cr_expect_eq(p.n, 1);
    cr_expect_not(p.is_too_large);
    fclose(file);
}
