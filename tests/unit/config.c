/* SPDX-License-Identifier: MIT */
/* The configuration: what is read, and what a refusal says. */
#include "daemon/config/config.h"
#include "daemon/config/document.h"
#include "daemon/config/settings_json.h"
#include "proto/text.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/unit-config-XXXXXX";
static struct config config;
static struct config_error error;

static const struct config_environment ordinary = {
    .uid = 1000, .runtime_directory = "/run/user/1000", .home = "/home/a", .has_run_user = true};

static void open_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(config_init_defaults(&config, &ordinary), 0);
}

static void close_directory(void)
{
    char command[128];

    config_deinit(&config);
    snprintf(command, sizeof(command), "rm -r '%s'", directory);
    cr_assert_eq(system(command), 0);
}

TestSuite(config, .init = open_directory, .fini = close_directory);

static const char *path_of(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_bytes(const char *name, const char *text, size_t n)
{
    FILE *f = fopen(path_of(name), "w");

    cr_assert_not_null(f, "%s", name);
    cr_assert_eq(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static int load(const char *text)
{
    config_deinit(&config);
    cr_assert_eq(config_init_defaults(&config, &ordinary), 0);
    write_text("msgd.json", text);
    return config_load(&config, path_of("msgd.json"), &error);
}

static const char *complaint(void)
{
    static char text[PATH_MAX + 400];

    return config_error_print(&error, text, sizeof(text));
}

/* ---- Defaults ---- */

static const struct environment_case {
    const char *name;
    struct config_environment environment;
    const char *socket;
    const char *state;
    const char *file;
} environments[] = {
    {"root",
     {.uid = 0, .runtime_directory = "/run/user/0", .home = "/root"},
     "/run/msgd/msgd.sock",
     "/var/lib/msgd",
     "/etc/msgd/msgd.json"},
    {"a user with everything",
     {1000, "/run/user/1000", "/s", "/home/a", true},
     "/run/user/1000/msgd/msgd.sock",
     "/s/msgd",
     NULL},
    {"a user without XDG",
     {1000, NULL, NULL, "/home/a", true},
     "/run/user/1000/msgd/msgd.sock",
     "/home/a/.local/state/msgd",
     NULL},
    {"a user without /run/user",
     {1000, NULL, NULL, "/home/a", false},
     "/tmp/msgd-1000/msgd.sock",
     "/home/a/.local/state/msgd",
     NULL},
    {"relative and empty variables",
     {1000, "run", "", "home", false},
     "/tmp/msgd-1000/msgd.sock",
     "/tmp/msgd-1000/state",
     NULL},
};

Test(config, the_defaults_depend_on_who_runs_it)
{
    for (size_t i = 0; i < sizeof(environments) / sizeof(environments[0]); i++) {
        const struct environment_case *c = &environments[i];
        struct config defaults;

        cr_assert_eq(config_init_defaults(&defaults, &c->environment), 0);
        cr_expect_str_eq(defaults.socket_path, c->socket, "%s", c->name);
        cr_expect_str_eq(defaults.state_directory, c->state, "%s", c->name);
        cr_expect_eq(defaults.file == NULL, c->file == NULL, "%s", c->name);
        if (c->file)
            cr_expect_str_eq(defaults.file, c->file, "%s", c->name);
        config_deinit(&defaults);
    }
}

Test(config, the_defaults_are_those_of_the_manual)
{
    cr_assert_eq(config.workers, 1);
    cr_assert_eq(config.poll_us, MICROSECONDS_AUTO);
    cr_assert_eq(config.coalesce_us, MICROSECONDS_AUTO);
    cr_assert_eq(config.anticipate_percent, 10);
    cr_assert_eq(config.port_range.first, 10000);
    cr_assert_eq(config.port_range.last, 24999);
    cr_assert_eq(config.limits.quota.endpoints_per_uid, 16384);
    cr_assert_eq(config.limits.quota.mailbox_bytes_per_uid, 1073741824);
    cr_assert_eq(config.limits.spool_bytes, 1073741824);
    cr_assert_eq(config.limits.spool_free_bytes, 67108864);
    cr_assert_eq(config.limits.journal_bytes, 67108864);
    cr_assert_eq(config.limits.frame_bytes, 1048576);
    cr_assert_eq(config.policy.daemon_uid, 1000);
    cr_assert_eq(config_load(&config, NULL, &error), 0);
    cr_assert_eq(config.n_files, 0);
}

/* ---- What is read ---- */

Test(config, the_example_is_read_whole)
{
    const struct config_endpoint *alarms;

    cr_assert_eq(config_load(&config, EXAMPLES "/msgd.json", &error), 0, "%s", complaint());
    cr_assert_str_eq(config.socket_path, "/run/msgd/msgd.sock");
    cr_assert_eq(config.n_endpoints, 2);
    alarms = &config.endpoints[0];
    cr_assert_str_eq(alarms->settings.name, "alarms");
    cr_assert_eq(alarms->settings.address.family, ADDRESS_BOTH);
    cr_assert_eq(alarms->settings.address.port, 7100);
    cr_assert_eq(alarms->settings.mode, MODE_COPY);
    cr_assert_eq(alarms->settings.lease_s, LEASE_FOREVER);
    cr_assert_eq(alarms->settings.n_allow, 3);
    cr_assert_eq(alarms->owners.n_gids, 1);
    cr_assert_str_eq(alarms->file, EXAMPLES "/msgd.json");
    cr_assert_eq(config.endpoints[1].settings.lease_s, 3600);
    cr_assert_eq(config.policy.n_rules, 1);
    cr_assert_eq(config.policy.rules[0].who.uids[0], 1000);
    cr_assert_eq(config.policy.rules[0].n_ports, 2);
}

Test(config, an_empty_object_is_a_configuration)
{
    cr_assert_eq(load("{}"), 0);
    cr_assert_eq(config.n_files, 1);
    cr_assert_eq(config.workers, 1);
}

Test(config, a_range_may_end_at_65535)
{
    cr_assert_eq(load("{\"port_range\": [60000, 65535]}"), 0, "%s", complaint());
    cr_assert_eq(config.port_range.last, 65535);
}

Test(config, endpoints_before_limits_are_held_to_them)
{
    cr_assert_eq(load("{\"endpoints\": [{\"name\": \"a\", \"mailbox_bytes\": 200000}],\n"
                      " \"limits\": {\"mailbox_bytes_per_uid\": 100000}}"),
                 CONFIG_REFUSED);
    cr_assert_eq(error.line, 1);
    cr_assert_eq(load("{\"endpoints\": [{\"name\": \"a\"}],\n"
                      " \"limits\": {\"mailbox_bytes_per_uid\": 100000}}"),
                 0);
    cr_assert_eq(config.endpoints[0].settings.mailbox_bytes, 100000);
}

Test(config, the_files_of_endpoints_d_are_read_in_the_order_of_their_names)
{
    cr_assert_eq(mkdir(path_of("endpoints.d"), 0700), 0);
    write_text("endpoints.d/b.json", "{\"name\": \"b\", \"port\": 0}");
    write_text("endpoints.d/a.json", "[{\"name\": \"a1\"}, {\"name\": \"a2\"}]");
    write_text("endpoints.d/.hidden.json", "x");
    write_text("endpoints.d/b.json.bak", "x");
    cr_assert_eq(load("{\"endpoints\": [{\"name\": \"m\"}]}"), 0, "%s", complaint());
    cr_assert_eq(config.n_endpoints, 4);
    cr_assert_str_eq(config.endpoints[0].settings.name, "m");
    cr_assert_str_eq(config.endpoints[1].settings.name, "a1");
    cr_assert_str_eq(config.endpoints[2].settings.name, "a2");
    cr_assert_str_eq(config.endpoints[3].settings.name, "b");
    cr_assert_eq(config.n_files, 3);
}

/* ---- What is refused, and where ---- */

static const struct refusal {
    const char *name;
    const char *text;
    int line;
    int column;
    const char *expected; /* a part of it */
} refusals[] = {
    {"nothing", "", 1, 1, "JSON"},
    {"not JSON", "{\n  \"state\": tru\n}", 2, 0, "JSON: "},
    {"a key twice", "{\"workers\": 1,\n \"workers\": 2}", 2, 0, "duplicate"},
    {"two texts", "{} {}", 1, 0, "JSON: end of file"},
    {"not an object", "[]", 1, 1, "an object"},
    {"not an object, after white space", "\n  3", 2, 3, "an object"},
    {"an unknown key", "{\"workers\": 1,\n\n   \"wrokers\": 2}", 3, 4, "one of \"control\""},
    {"an unknown key in an object", "{\"control\": {\n\t\"sockets\": \"/x\"}}", 2, 2,
     "one of \"socket\""},
    {"a wrong type", "{\"state\" :  5}", 1, 13, "an absolute path"},
    {"a relative path", "{\"state\": \"x\"}", 1, 11, "an absolute path"},
    {"a socket path that is too long",
     "{\"control\": {\"socket\": \"/"
     "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012"
     "3456789"
     "01234567890\"}}",
     1, 24, "at most 107 bytes"},
    {"null", "{\"workers\": null}", 1, 13, "an integer from 1 to 64"},
    {"no worker", "{\"workers\": 0}", 1, 13, "an integer from 1 to 64"},
    {"a fraction", "{\"workers\": 1.0}", 1, 13, "an integer"},
    {"no CPU list", "{\"workers_cpus\": 3}", 1, 18, "a list of CPUs"},
    {"a CPU twice", "{\"workers_cpus\": \"1,0-2\"}", 1, 18, "a list of CPUs"},
    {"too few CPUs", "{\"workers_cpus\": \"0,1\", \"workers\": 3}", 1, 18,
     "a CPU for each of 3 workers; there are 2"},
    {"a CPU that is not there", "{\"workers_cpus\": \"9999\"}", 1, 18,
     "on which msgd may run; of CPU 9999"},
    {"poll_us", "{\"poll_us\": \"never\"}", 1, 13, "\"auto\", or an integer from 0 to 1000"},
    {"coalesce_us", "{\"coalesce_us\": -1}", 1, 17, "\"auto\", or an integer from 0 to 1000"},
    {"anticipate_percent", "{\"anticipate_percent\": 101}", 1, 24, "from 0 to 100"},
    {"poll_us too long", "{\"poll_us\": 1001}", 1, 13, "from 0 to 1000"},
    {"one port", "{\"port_range\": [1]}", 1, 16, "an array of two ports"},
    {"port 0", "{\"port_range\": [0, 5]}", 1, 17, "from 1 to 65535"},
    {"port 65536", "{\"port_range\": [5,\n 65536]}", 2, 2, "from 1 to 65535"},
    {"a range backwards", "{\"port_range\": [5, 4]}", 1, 16, "not above the last"},
    {"a bound below the least", "{\"limits\": {\"spool_bytes\": 1}}", 1, 28, "from 8388608"},
    {"a limit", "{\"limits\": {\"frame_bytes\": 1}}", 1, 28, "from 4096"},
    {"an unknown limit", "{\"limits\": {\"frames\": 1}}", 1, 13, "one of \"endpoints_per_uid\""},
    {"a number that is too large", "{\"workers\": 99999999999999999999}", 1, 0, "JSON: too big"},
    {"no rules", "{\"policy\": {}}", 1, 12, "an array of rules"},
    {"an unknown user", "{\"policy\": [{}, {\"users\": [\"root\",\n  \"no-such-user\"]}]}", 2, 3,
     "a user of this host; there is no \"no-such-user\""},
    {"an unknown group", "{\"policy\": [{\"groups\": [\"no-such-group\"]}]}", 1, 25,
     "a group of this host"},
    {"a user that is a number", "{\"policy\": [{\"users\": [7]}]}", 1, 24, "a text"},
    {"the id that means none", "{\"policy\": [{\"users\": [\"4294967295\"]}]}", 1, 24, "a user"},
    {"a rule that names nobody", "{\"policy\": [{\"users\": []}]}", 1, 13, "a user or a group"},
    {"a pattern", "{\"policy\": [{\"names\": [\"a\", \"B*\"]}]}", 1, 29, "a pattern"},
    {"an address of a rule", "{\"policy\": [{\"addresses\": [\"10.0.0.1/8\"]}]}", 1, 28,
     "a network"},
    {"ports of a rule", "{\"policy\": [{\"ports\": \"7000-\"}]}", 1, 23, "\"7000-7099,8000\""},
    {"ports of a rule as a number", "{\"policy\": [{\"ports\": 7000}]}", 1, 23,
     "\"7000-7099,8000\""},
    {"an endpoint that is none", "{\"endpoints\": [3]}", 1, 16, "an object"},
    {"an endpoint without a name", "{\"endpoints\": [\n {\"port\": 1}]}", 2, 2, "a name"},
    {"an endpoint's unknown field", "{\"endpoints\": [{\"name\": \"a\", \"prot\": 1}]}", 1, 30,
     "there is no \"prot\""},
    {"lease_s", "{\"endpoints\": [{\"name\": \"a\", \"lease_s\": 1}]}", 1, 30,
     "there is no \"lease_s\""},
    {"an endpoint's port", "{\"endpoints\": [{\"name\": \"a\", \"port\": 65536}]}", 1, 38,
     "from 0 to 65535"},
    {"an endpoint's network",
     "{\"endpoints\": [{\"name\": \"a\", \"allow\": [\"::/0\",\n\"10.0.0.1/8\"]}]}", 2, 1,
     "a network"},
    {"an endpoint's user", "{\"endpoints\": [{\"name\": \"a\",\n\"users\": [\"no-such-user\"]}]}",
     2, 11, "a user of this host"},
    {"shards", "{\"endpoints\": [{\"name\": \"a\", \"shards\": 2}]}", 1, 40,
     "at most 1, one for each worker"},
    {"a spool without a number", "{\"endpoints\": [{\"name\": \"a\", \"spool_bytes\": -1}]}", 1, 45,
     "from 0"},
    {"characters, not bytes", "{\"policy\": [{\"users\": [\"\xc3\xa9\xe2\x82\xac\", \"root\"]}]}",
     1, 24, "a user"},
    {"after characters of several bytes",
     "{\"policy\": [{\"names\": [\"a\"], \"\xc3\xa9\xe2\x82\xac\": 1}]}", 1, 30, "one of"},
    {"behind a key of several bytes, brackets and escapes",
     "{\"endpoints\": [{\"name\": \"a\", \"users\": [\"root\", \"\xc3\xa9]}\\\"\\\\\"]}]}", 1, 48,
     "a user"},
    {"an escaped key", "{\"work\\u0065rs\": 0}", 1, 18, "an integer from 1"},
    {"a field with a line end in it", "{\"endpoints\": [{\"name\": \"a\", \"x\\ny\": 1}]}", 1, 30,
     "there is no \"x?y\""},
    {"a field that is too long for a message",
     "{\"endpoints\": [{\"name\": \"a\", "
     "\"0123456789012345678901234567890123456789012345678901234567890123"
     "\xc3\xa9 and more than a parameter holds\": 1}]}",
     1, 30, "there is no"},
    {"a user with a line end in it", "{\"policy\": [{\"users\": [\"a\\u0007\\n\"]}]}", 1, 24,
     "there is no \"a??\""},
    {"a name twice", "{\"endpoints\": [{\"name\": \"a\"},\n {\"port\": 1, \"name\": \"a\"}]}", 2,
     22, "another name than \"a\" ("},
    {"an address and port twice",
     "{\"endpoints\": [{\"name\": \"a\", \"port\": 7000},\n {\"name\": \"b\", \"address\": \"*\", "
     "\"port\": 7000}]}",
     2, 11, "another address and port than \"a\" ("},
};

Test(config, a_refusal_says_line_column_and_what_was_expected)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *c = &refusals[i];

        cr_assert_eq(load(c->text), CONFIG_REFUSED, "%s", c->name);
        cr_expect_eq(error.line, c->line, "%s: %s", c->name, complaint());
        if (c->column > 0)
            cr_expect_eq(error.column, c->column, "%s: %s", c->name, complaint());
        cr_expect_gt(error.column, 0, "%s: %s", c->name, complaint());
        cr_expect_not_null(strstr(error.expected, c->expected), "%s: %s", c->name, complaint());
        cr_expect_null(strpbrk(complaint(), "\n\r\033"), "%s", c->name);
        cr_expect(utf8_is_valid((const uint8_t *)complaint(), strlen(complaint())), "%s", c->name);
        cr_expect_str_eq(error.file, path_of("msgd.json"), "%s", c->name);
    }
}

Test(config, an_error_is_one_line)
{
    char line[PATH_MAX + 400], wanted[400];

    cr_assert_eq(load("{\"workers\": 0}"), CONFIG_REFUSED);
    snprintf(wanted, sizeof(wanted), "%s:1:13: expected an integer from 1 to 64",
             path_of("msgd.json"));
    cr_assert_str_eq(config_error_print(&error, line, sizeof(line)), wanted);
    config_deinit(&config);
    cr_assert_eq(config_init_defaults(&config, &ordinary), 0);
    cr_assert_eq(config_load(&config, path_of("none.json"), &error), CONFIG_REFUSED);
    snprintf(wanted, sizeof(wanted),
             "%s: expected a file that can be read: No such file or directory",
             path_of("none.json"));
    cr_assert_str_eq(config_error_print(&error, line, sizeof(line)), wanted);
}

Test(config, a_directory_is_no_file)
{
    cr_assert_eq(config_load(&config, directory, &error), CONFIG_REFUSED);
    cr_assert_eq(error.line, 0);
    cr_assert_not_null(strstr(error.expected, "Is a directory"));
}

Test(config, a_name_in_two_files_is_refused_with_both)
{
    char earlier[300];

    cr_assert_eq(mkdir(path_of("endpoints.d"), 0700), 0);
    write_text("endpoints.d/a.json", "\n{\n\"name\": \"x\"}");
    write_text("endpoints.d/b.json", "[{\"name\": \"y\"},\n {\"name\": \"x\"}]");
    cr_assert_eq(load("{}"), CONFIG_REFUSED);
    snprintf(earlier, sizeof(earlier), "than \"x\" (%s:3)", path_of("endpoints.d/a.json"));
    cr_assert_not_null(strstr(error.expected, earlier), "%s", complaint());
    cr_assert_str_eq(error.file, path_of("endpoints.d/b.json"));
    cr_assert_eq(error.line, 2);
    cr_assert_eq(error.column, 11);
}

Test(config, an_error_in_endpoints_d_names_its_file)
{
    cr_assert_eq(mkdir(path_of("endpoints.d"), 0700), 0);
    write_text("endpoints.d/a.json", "{\n \"name\": \"A\"}");
    cr_assert_eq(load("{}"), CONFIG_REFUSED);
    cr_assert_str_eq(error.file, path_of("endpoints.d/a.json"));
    cr_assert_eq(error.line, 2);
    cr_assert_eq(error.column, 10);
}

Test(config, any_cut_of_the_example_is_refused_and_nothing_is_lost)
{
    json_t *example = json_load_file(EXAMPLES "/msgd.json", 0, NULL);
    char *text = json_dumps(example, JSON_INDENT(1));

    for (size_t n = 0; n < strlen(text); n += 7) {
        config_deinit(&config);
        cr_assert_eq(config_init_defaults(&config, &ordinary), 0);
        write_bytes("msgd.json", text, n);
        cr_expect_eq(config_load(&config, path_of("msgd.json"), &error), CONFIG_REFUSED, "%zu", n);
        cr_expect_gt(error.line, 0);
    }
    free(text);
    json_decref(example);
}

/* ---- Places ---- */

Test(config, finds_every_value_of_a_nested_text)
{
    static const char text[] = "{ \"a\" : [ 1, {\"b\": [[], {}, \"]\", {\"c\" : null}]} ],\n"
                               "\t\"d\": -1.5e3}";
    const struct place a = {.key = "a"}, a1 = {.in = &a, .index = 1}, b = {.in = &a1, .key = "b"},
                       b2 = {.in = &b, .index = 2}, b3 = {.in = &b, .index = 3},
                       c = {.in = &b3, .key = "c"}, d = {.key = "d"};
    const struct {
        const struct place *place;
        enum refused refused;
        int line;
        int column;
    } wanted[] = {
        {NULL, REFUSED_VALUE, 1, 1}, {&a, REFUSED_VALUE, 1, 9},   {&a, REFUSED_KEY, 1, 3},
        {&a1, REFUSED_VALUE, 1, 14}, {&b, REFUSED_KEY, 1, 15},    {&b, REFUSED_VALUE, 1, 20},
        {&b2, REFUSED_VALUE, 1, 29}, {&b3, REFUSED_VALUE, 1, 34}, {&c, REFUSED_KEY, 1, 35},
        {&c, REFUSED_VALUE, 1, 41},  {&d, REFUSED_KEY, 2, 2},     {&d, REFUSED_VALUE, 2, 7},
    };
    struct document document;

    cr_assert_eq(document_parse(&document, "x", text, strlen(text), &error), 0);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        int line, column;

        document_locate(&document, wanted[i].place, wanted[i].refused, &line, &column);
        cr_expect(line == wanted[i].line && column == wanted[i].column, "%zu: %d:%d", i, line,
                  column);
    }
    document_deinit(&document);
}

/* ---- Ranges ---- */

Test(config, ranges_overlap_when_they_share_a_port)
{
    static const struct {
        struct port_span a, b;
        bool overlaps;
    } cases[] = {
        {{10000, 24999}, {32768, 60999}, false}, {{10000, 32767}, {32768, 60999}, false},
        {{10000, 32768}, {32768, 60999}, true},  {{60999, 65535}, {32768, 60999}, true},
        {{61000, 65535}, {32768, 60999}, false}, {{40000, 40000}, {32768, 60999}, true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(port_span_overlaps(cases[i].a, cases[i].b), cases[i].overlaps, "%zu", i);
        cr_expect_eq(port_span_overlaps(cases[i].b, cases[i].a), cases[i].overlaps, "%zu", i);
    }
}

Test(config, the_kernels_range_is_parsed)
{
    static const char *const bad[] = {"", "1", "x y", "5 4", "1 65536", "99999999999 5"};
    struct port_span span;

    cr_assert(port_span_parse_kernel("32768\t60999\n", &span));
    cr_assert(span.first == 32768 && span.last == 60999);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(port_span_parse_kernel(bad[i], &span), "%s", bad[i]);
}
