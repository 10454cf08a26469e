/* SPDX-License-Identifier: MIT */
/* Which payloads msgsend takes. */
#include "tools/send_payload.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
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

Test(tools_send, reads_a_whole_file_and_no_more_than_a_datagram)
{
    static char text[PAYLOAD_MAX + 100];
    static struct payload p;
    static const size_t sizes[] = {0, 1, PAYLOAD_MAX, PAYLOAD_MAX + 1, sizeof text};

    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        FILE *file = tmpfile();
        cr_assert_not_null(file);
        cr_assert_eq(fwrite(text, 1, sizes[i], file), sizes[i]);
        rewind(file);
        cr_assert_eq(payload_read_all(fileno(file), &p), 0);
        cr_expect_eq(p.is_too_large, sizes[i] > PAYLOAD_MAX);
        cr_expect(p.is_too_large || p.n == sizes[i]);
        fclose(file);
    }
    cr_expect_eq(payload_read_all(-1, &p), -EBADF);
}

Test(tools_send, knows_a_blank_line)
{
    cr_expect(payload_is_blank((const uint8_t *)" \t\r\n", 4));
    cr_expect(payload_is_blank((const uint8_t *)"", 0));
    cr_expect_not(payload_is_blank((const uint8_t *)" 1", 2));
}
