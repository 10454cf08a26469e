/* SPDX-License-Identifier: MIT */
/* What msgsend's target means, and which payloads it takes. */
#include "tools/send_payload.h"
#include "tools/send_target.h"

#include <criterion/criterion.h>
#include <string.h>

Test(tools_send, tells_addresses_hosts_and_names_apart)
{
    static const struct {
        const char *text;
        int kind;
        const char *host;
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:7000", TARGET_ADDRESS, NULL, 7000},
        {"255.255.255.255:65535", TARGET_ADDRESS, NULL, 65535},
        {"[::1]:1", TARGET_ADDRESS, NULL, 1},
        {"localhost:7000", TARGET_HOST, "localhost", 7000},
        {"a-b.example.org:65535", TARGET_HOST, "a-b.example.org", 65535},
        {"Sensor:80", TARGET_HOST, "Sensor", 80},
        {"thermo", TARGET_NAME, NULL, 0},
        {"7000", TARGET_NAME, NULL, 0},
        {"a.b_c-d", TARGET_NAME, NULL, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target t;
        const char *expected;
        cr_assert_eq(target_parse(cases[i].text, &t, &expected), 0, "%s", cases[i].text);
        cr_expect_eq((int)t.kind, cases[i].kind, "%s", cases[i].text);
        if (t.kind == TARGET_HOST)
            cr_expect_str_eq(t.host, cases[i].host);
        if (t.kind != TARGET_NAME)
            cr_expect_eq(t.kind == TARGET_HOST ? t.port : t.address.port, cases[i].port);
    }
}

Test(tools_send, says_what_a_target_should_be)
{
    static const struct {
        const char *text;
        const char *said;
    } cases[] = {
        {"", "the name of an endpoint"},
        {"[::1]", "such as"},
        {"A B", "the name of an endpoint"},
        {"127.0.0.1", "a port"},
        {"127.0.0.1:0", "1 to 65535"},
        {"127.0.0.1:65536", "1 to 65535"},
        {"127.0.0.1:", "1 to 65535"},
        {"localhost:", "1 to 65535"},
        {"localhost:http", "1 to 65535"},
        {"localhost:70000", "1 to 65535"},
        {"localhost:-1", "1 to 65535"},
        {":7000", "a host before the port"},
        {"::1:7000", "in brackets"},
        {"[::1]", "such as [::1]:7000"},
        {"[::1:7000", "such as [::1]:7000"},
        {"*:7000", "such as [::1]:7000"},
        {"[fe80::1%nosuchinterface]:7000", "interface"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target t;
        const char *expected = NULL;
        int result = target_parse(cases[i].text, &t, &expected);
        if (strcmp(cases[i].text, "127.0.0.1") == 0)
            continue; /* a name by its alphabet: the resolver says that there is none */
        cr_expect_eq(result, TARGET_WRONG, "%s", cases[i].text);
        cr_expect(expected != NULL && strstr(expected, cases[i].said) != NULL, "%s: %s",
                  cases[i].text, expected);
    }
}

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
