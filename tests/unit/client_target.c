/* SPDX-License-Identifier: MIT */
/* What a target means, and which addresses it has. */
#include "client/target.h"
#include "client_fake.h"

#include <errno.h>

Test(client_target, tells_addresses_hosts_and_names_apart)
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

Test(client_target, says_what_a_target_should_be)
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

static int find(const char *text, const char *path, struct target_addresses *found,
                char sentence[FAILURE_SENTENCE_MAX])
{
    struct failure failure = {0};
    int error = target_find(text, path, found, &failure);

    strcpy(sentence, failure.sentence);
    failure_deinit(&failure);
    return error;
}

Test(client_target, finds_the_addresses_of_a_host)
{
    struct target_addresses found;
    char sentence[FAILURE_SENTENCE_MAX];

    cr_assert_eq(find("127.0.0.1:7000", NULL, &found, sentence), 0);
    cr_expect(found.n == 1 && found.items[0].port == 7000);
    cr_assert_eq(find("localhost:7001", NULL, &found, sentence), 0, "%s", sentence);
    cr_assert_geq(found.n, 1);
    for (size_t i = 0; i < found.n; i++)
        cr_expect(address_is_loopback(&found.items[i]) && found.items[i].port == 7001);
    cr_expect_eq(find("A B", NULL, &found, sentence), -EINVAL);
    cr_expect_not_null(strstr(sentence, "\"A B\""));
    cr_expect_not_null(strstr(sentence, "the name of an endpoint"));
}

Test(client_target, asks_msgd_for_a_name)
{
    const struct fake_step steps[] = {
        {.expect = "\"thermo\"",
         .reply = "{\"parameters\":{\"name\":\"thermo\",\"address\":\"0.0.0.0\",\"port\":7000}}"},
        {.act = FAKE_CLOSE},
        {.expect = "\"7000\"",
         .reply = "{\"error\":\"io.msgd.NoSuchEndpoint\",\"parameters\":{\"name\":\"7000\"}}"},
        {.act = FAKE_CLOSE},
        {.expect = "\"thermo\"", .reply = "{\"parameters\":{\"address\":\"0.0.0.0\",\"port\":0}}"},
    };
    struct fake f;
    struct target_addresses found;
    char sentence[FAILURE_SENTENCE_MAX];

    fake_start(&f, steps, sizeof(steps) / sizeof(steps[0]));
    cr_assert_eq(find("thermo", f.path, &found, sentence), 0, "%s", sentence);
    cr_assert_eq(found.n, 1);
    cr_expect(address_is_loopback(&found.items[0]) && found.items[0].port == 7000);
    cr_expect_eq(find("7000", f.path, &found, sentence), -ENOENT);
    cr_expect_not_null(strstr(sentence, "127.0.0.1:7000"), "%s", sentence);
    cr_expect_eq(find("thermo", f.path, &found, sentence), -EAGAIN);
    fake_stop(&f);
    cr_expect_eq(find("thermo", "/nonexistent/msgd.sock", &found, sentence), -ENOTCONN);
    cr_expect_not_null(strstr(sentence, "/nonexistent/msgd.sock"), "%s", sentence);
}
