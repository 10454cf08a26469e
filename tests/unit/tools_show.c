/* SPDX-License-Identifier: MIT */
/* What the tools print: messages, figures, tables, troubles, and what a tap lets through. */
#include "tools/database.h"
#include "tools/endpoint.h"
#include "tools/figures.h"
#include "tools/filter.h"
#include "tools/message.h"
#include "tools/table.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void expect_bytes(const struct json_writer *w, const char *text)
{
    cr_expect_eq(w->length, strlen(text));
    cr_expect(w->length == strlen(text) && memcmp(w->bytes, text, w->length) == 0, "%.*s",
              (int)w->length, w->bytes);
}

Test(tools_show, prints_a_message_on_one_line)
{
    static const struct {
        const char *name;
        const char *payload;
        size_t n;
        bool is_terminal;
        const char *line;
    } cases[] = {
        {"plain", "1", 1, false, "1\n"},
        {"inner", " {\"a\":\r\n 1}\n", 12, false, "{\"a\":   1}\n"},
        {"escaped", "\"a\\nb\"", 6, false, "\"a\\nb\"\n"},
        {"raw", "not json", 8, false, "not json\n"},
        {"raw with a line end", "a\nb\n", 4, false, "a\nb\n"},
        {"empty", "", 0, false, "\n"},
        {"escape sequence", "\x1b[2J\x7f", 5, false, "\x1b[2J\x7f\n"},
        {"escape sequence on a terminal", "\x1b[2J\x7f", 5, true, "?[2J?\n"},
        {"tab on a terminal", "a\tb", 3, true, "a\tb\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_writer w;
        json_writer_init(&w);
        message_write_line(&w, cases[i].payload, cases[i].n, cases[i].is_terminal);
        expect_bytes(&w, cases[i].line);
        json_writer_deinit(&w);
    }
}

Test(tools_show, prints_several_messages_one_after_the_other)
{
    struct json_writer w;
    json_writer_init(&w);
    message_write_line(&w, "1", 1, false);
    message_write_line(&w, "", 0, false);
    message_write_line(&w, "[2]", 3, false);
    expect_bytes(&w, "1\n\n[2]\n");
    json_writer_deinit(&w);
}

Test(tools_show, puts_the_text_itself_into_the_envelope)
{
    const uint64_t missed = 3;
    struct message m = {.name = "thermo",
                        .generation = 2,
                        .seq = 7,
                        .type = "plain",
                        .time = "T",
                        .from = "[::1]:5",
                        .to = "[::1]:7000",
                        .deliveries = 1,
                        .data = "\n1e999 ",
                        .length = 7};
    struct json_writer w;
    json_writer_init(&w);
    message_write_envelope(&w, &m);
    expect_bytes(&w, "{\"name\":\"thermo\",\"generation\":2,\"seq\":7,\"type\":\"plain\","
                     "\"id\":null,\"time\":\"T\","
                     "\"from\":\"[::1]:5\",\"to\":\"[::1]:7000\",\"redelivered\":false,"
                     "\"deliveries\":1,\"message\":1e999}\n");
    json_writer_reset(&w);
    m.data = "\0\xff";
    m.length = 2;
    m.missed = &missed;
    m.type = "request";
    m.id = "a.1 and what is not of it";
    m.n_id = 3;
    message_write_envelope(&w, &m);
    cr_expect_not_null(memmem(w.bytes, w.length, "\"type\":\"request\",\"id\":\"a.1\",", 27));
    cr_expect_not_null(
        memmem(w.bytes, w.length, "\"message_base64\":\"AP8=\",\"missed\":3}\n", 36));
    json_writer_deinit(&w);
}

Test(tools_show, reads_a_message_as_the_interface_gives_it)
{
    json_t *json =
        json_loads("{\"name\":\"a\",\"generation\":2,\"seq\":7,\"type\":\"send\",\"id\":\"x\","
                   "\"time\":\"T\",\"from\":\"1.2.3.4:5\",\"to\":\"1.2.3.4:6\","
                   "\"redelivered\":true,\"deliveries\":3,\"payload\":\"[1]\"}",
                   0, NULL);
    unsigned char *bytes;
    struct message m;

    cr_assert_eq(message_read(json, &m, &bytes), 0);
    cr_expect_null(bytes);
    cr_expect_str_eq(m.name, "a");
    cr_expect(m.generation == 2 && m.seq == 7 && m.deliveries == 3 && m.is_redelivered);
    cr_expect_str_eq(m.type, "send");
    cr_expect(m.n_id == 1 && m.id[0] == 'x');
    cr_expect_str_eq(m.from, "1.2.3.4:5");
    cr_expect_str_eq(m.to, "1.2.3.4:6");
    cr_expect(m.length == 3 && memcmp(m.data, "[1]", 3) == 0);
    json_object_del(json, "payload");
    cr_expect_eq(message_read(json, &m, &bytes), -EPROTO);
    json_object_set_new(json, "payload_base64", json_string("AP8="));
    cr_assert_eq(message_read(json, &m, &bytes), 0);
    cr_expect(m.length == 2 && memcmp(m.data, "\0\xff", 2) == 0);
    free(bytes);
    json_object_set_new(json, "payload_base64", json_string("?"));
    cr_expect_eq(message_read(json, &m, &bytes), -EPROTO);
    cr_expect_null(bytes);
    json_decref(json);
}

Test(tools_show, figures_are_short)
{
    static const struct {
        uint64_t n;
        const char *count, *exact, *bytes;
    } cases[] = {
        {0, "0", "0", "0 B"},
        {999, "999", "999", "999 B"},
        {1000, "1.0k", "1,000", "1000 B"},
        {1048576, "1.0M", "1,048,576", "1.0 MiB"},
        {999949, "1000k", "999,949", "977 KiB"},
        {999999, "1.0M", "999,999", "977 KiB"},
        {12345678, "12.3M", "12,345,678", "11.8 MiB"},
        {UINT64_MAX, "18.4E", "18,446,744,073,709,551,615", "16384 PiB"},
    };
    char buf[FIGURE_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_str_eq(figure_count(cases[i].n, buf), cases[i].count);
        cr_expect_str_eq(figure_exact(cases[i].n, buf), cases[i].exact);
        cr_expect_str_eq(figure_bytes(cases[i].n, buf), cases[i].bytes);
    }
    cr_expect_str_eq(figure_duration(-5, buf), "0 s");
    cr_expect_str_eq(figure_duration(59, buf), "59 s");
    cr_expect_str_eq(figure_duration(60, buf), "1 min");
    cr_expect_str_eq(figure_duration(252, buf), "4 min 12 s");
    cr_expect_str_eq(figure_duration(7260, buf), "2 h 1 min");
    cr_expect_str_eq(figure_duration(90000, buf), "1 d 1 h");
    cr_expect_str_eq(figure_rate(0, buf), "0");
    cr_expect_str_eq(figure_rate(0.5, buf), "0.5");
    cr_expect_str_eq(figure_rate(1234.5, buf), "1.2k");
    cr_expect_eq(figure_seconds("1970-01-02T00:00:01.5Z"), 86401);
    cr_expect_eq(figure_seconds("yesterday"), -1);
    cr_expect_eq(figure_seconds(NULL), -1);
}

static void print(const struct table *t, const struct layout *layout, char *out, size_t size)
{
    FILE *file = fmemopen(out, size, "w");
    cr_assert_not_null(file);
    table_print(t, layout, file);
    fclose(file);
}

Test(tools_show, cuts_the_middle_of_texts_until_a_table_fits)
{
    static const struct table_column columns[] = {
        {"NAME", false, 6}, {"N", true, 0}, {"WHO", false, 5}};
    static const char *const rows[][3] = {{"a-rather-long-name", "12", "somebody"},
                                          {"short", "3", "me"}};
    static const char wide[] = "NAME                 N  WHO\n"
                               "a-rather-long-name  12  somebody\n"
                               "short                3  me\n";
    static const char narrow[] = "NAME     N  WHO\n"
                                 "a-r~me  12  som~dy\n"
                                 "short    3  me\n";
    struct layout layout = {.width = 0};
    char out[400];
    struct table t;

    table_init(&t, columns, 3);
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(table_add(&t, rows[i]), 0);
    print(&t, &layout, out, sizeof out);
    cr_expect_str_eq(out, wide);
    layout.width = 18;
    print(&t, &layout, out, sizeof out);
    cr_expect_str_eq(out, narrow);
    layout.width = 1; /* what cannot be cut further stays */
    print(&t, &layout, out, sizeof out);
    cr_expect_not_null(strstr(out, "short"));
    table_deinit(&t);
}

Test(tools_show, prints_no_spaces_at_the_end_of_a_line)
{
    static const struct table_column columns[] = {
        {"NAME", false, 0}, {"N", true, 0}, {"", false, 0}};
    static const char *const rows[][3] = {{"a", "10", "stalled"}, {"b", "2", ""}, {"c", "", ""}};
    struct table t;
    char out[200];
    table_init(&t, columns, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(table_add(&t, rows[i]), 0);
    print(&t, &(struct layout){.indent = 1}, out, sizeof out);
    cr_expect_str_eq(out, " NAME   N\n a     10  stalled\n b      2\n c\n");
    table_deinit(&t);
}

Test(tools_show, breaks_paragraphs_at_spaces)
{
    const struct layout layout = {.width = 12, .indent = 2};
    char out[200];
    FILE *file = fmemopen(out, sizeof out, "w");
    layout_print(&layout, "one two three four averyverylongword", 2, file);
    fclose(file);
    cr_expect_str_eq(out, "  one two\n    three\n    four\n    averyverylongword\n");
}

struct told {
    char text[2000];
    size_t n;
};

static void tell(void *context, const char *sentence)
{
    struct told *told = context;
    strncat(told->text, sentence, sizeof told->text - strlen(told->text) - 1);
    told->n++;
}

Test(tools_show, says_in_words_what_is_wrong)
{
    static const struct {
        const char *name;
        const char *json;
        size_t n;
        const char *words[3];
    } cases[] = {
        {"nothing",
         "{\"name\":\"a\",\"state\":\"attached\",\"mailbox\":{\"bytes\":100,\"used\":9}}",
         0,
         {NULL}},
        {"pending",
         "{\"name\":\"a\",\"address\":\"::1\",\"port\":7,\"state\":\"pending\",\"error\":\"in "
         "use\"}",
         1,
         {"a: pending", "[::1]:7", "in use"}},
        {"away",
         "{\"name\":\"a\",\"state\":\"away\",\"away_since\":\"1970-01-01T00:01:00.5Z\","
         "\"lease_left_s\":48,\"ledger\":{\"queued\":1}}",
         1,
         {"away since 1970-01-01T00:01:00Z (4 min 12 s)", "lease ends in 48 s", "1 message waits"}},
        {"away for ever",
         "{\"name\":\"a\",\"state\":\"away\",\"lease_left_s\":null}",
         1,
         {"kept forever", "0 messages wait"}},
        {"full",
         "{\"name\":\"a\",\"mailbox\":{\"bytes\":1048576,\"used\":1048000}}",
         1,
         {"the mailbox is full", "1.0 MiB"}},
        {"was full",
         "{\"name\":\"a\",\"when_full\":\"drop-old\",\"mailbox\":{\"bytes\":1048576,\"used\":0},"
         "\"ledger\":{\"dropped\":{\"mailbox_full\":1204}}}",
         1,
         {"the mailbox was full", "1,204 messages were dropped (drop-old)"}},
        {"kernel",
         "{\"name\":\"a\",\"receive_buffer_bytes\":4194304,\"receive_buffer_granted\":212992,"
         "\"ledger\":{\"kernel_dropped\":5,\"kernel_dropped_exact\":false}}",
         2,
         {"at least 5 datagrams", "net.core.rmem_max=4194304", "--receive-buffer-bytes 4194304"}},
        {"a mailbox whose rest goes to disk",
         "{\"name\":\"a\",\"when_full\":\"spool\",\"mailbox\":{\"bytes\":1048576,\"used\":1048000},"
         "\"spool\":{\"messages\":5,\"bytes\":900,\"state\":\"open\"}}",
         0,
         {NULL}},
        {"a full spool",
         "{\"name\":\"a\",\"spool\":{\"messages\":1,\"bytes\":2048,\"state\":\"full\"},"
         "\"ledger\":{\"spooled\":1,\"dropped\":{\"spool_full\":1204}}}",
         1,
         {"its spool is full (1 message, 2.0 KiB on disk now)", "1,204 messages were dropped",
          "--spool-bytes"}},
        {"a spool that was full",
         "{\"name\":\"a\",\"spool\":{\"state\":\"open\"},"
         "\"ledger\":{\"dropped\":{\"spool_full\":1}}}",
         1,
         {"was full", "1 message was dropped"}},
        {"a failed spool",
         "{\"name\":\"a\",\"spool\":{\"state\":\"failed\"}}",
         1,
         {"has failed", "start msgd again"}},
        {"away, with more on disk",
         "{\"name\":\"a\",\"state\":\"away\",\"ledger\":{\"queued\":1,\"spooled\":1000}}",
         1,
         {"1,001 messages wait"}},
        {"nonsense", "[]", 0, {NULL}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct surroundings around = {.now_s = 312, .rmem_max = 212992};
        struct told told = {.n = 0};
        struct endpoint e;
        json_t *json = json_loads(cases[i].json, 0, NULL);
        cr_assert_not_null(json);
        endpoint_read(json, &e);
        endpoint_troubles(&e, &around, tell, &told);
        cr_expect_eq(told.n, cases[i].n, "%s: %s", cases[i].name, told.text);
        for (size_t j = 0; j < 3 && cases[i].words[j] != NULL; j++)
            cr_expect_not_null(strstr(told.text, cases[i].words[j]), "%s: %s", cases[i].name,
                               told.text);
        json_decref(json);
    }
}

Test(tools_show, counts_drops_by_the_law_of_the_ledger)
{
    struct endpoint e;
    json_t *json = json_loads("{\"ledger\":{\"received\":10,\"delivered\":4,\"queued\":3,"
                              "\"spooled\":0,\"protocol\":1,\"dropped\":{}}}",
                              0, NULL);
    endpoint_read(json, &e);
    cr_expect_eq(e.dropped, 2);
    json_decref(json);
}

Test(tools_show, filters_by_network_and_text)
{
    static const struct {
        const char *name;
        const char *filters[4];
        bool fits;
    } cases[] = {
        {"none", {NULL}, true},
        {"network", {"from=10.0.0.0/8"}, true},
        {"address", {"from=10.1.2.3"}, true},
        {"another network", {"from=192.168.0.0/16"}, false},
        {"one of two networks", {"from=192.168.0.0/16", "from=10.0.0.0/8"}, true},
        {"text", {"match=temp"}, true},
        {"another text", {"match=error"}, false},
        {"one of two texts", {"match=error", "match=21"}, true},
        {"both", {"from=10.0.0.0/8", "match=error"}, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct filter f;
        const char *wrong;
        size_t n = 0;
        while (cases[i].filters[n] != NULL)
            n++;
        cr_assert_eq(filter_init(&f, cases[i].filters, n, &wrong), 0);
        cr_expect_eq(filter_fits(&f, "10.1.2.3:4000", "{\"temp\":21}", 11), cases[i].fits, "%s",
                     cases[i].name);
        filter_deinit(&f);
    }
}

Test(tools_show, names_a_filter_that_is_none)
{
    static const char *const filters[] = {"from=10.0.0.0/8", "to=1",
                                          "from=", "match=", "from=10/8"};
    struct filter f;
    const char *wrong = NULL;

    cr_expect_eq(filter_init(&f, filters, 2, &wrong), FILTER_WRONG);
    cr_expect_str_eq(wrong, "to=1");
    for (size_t i = 1; i < sizeof filters / sizeof *filters; i++)
        cr_expect_eq(filter_init(&f, filters + i, 1, &wrong), FILTER_WRONG, "%s", filters[i]);
}

Test(tools_show, says_how_the_database_is_and_what_to_do)
{
    static const struct {
        const char *json, *found, *advice;
    } cases[] = {
        {"{\"path\":\"/v/msgd.db\",\"state\":\"open\",\"error\":null,\"used_bytes\":1024,"
         "\"max_bytes\":1048576,\"free_bytes\":2048,\"damaged_rows\":0}",
         "/v/msgd.db: open, 1.0 KiB of 1.0 MiB used, the disk has 2.0 KiB left", NULL},
        {"{\"state\":\"full\",\"error\":null}", "full,", "limits.spool_bytes"},
        {"{\"state\":\"full\",\"error\":\"No space left on device\"}",
         "full (No space left on device),", "make room on this disk"},
        {"{\"state\":\"failed\",\"error\":\"Input/output error\"}", "failed (Input/output error),",
         "start msgd again"},
        {"{\"state\":\"open\",\"damaged_rows\":2}", "left, 2 damaged rows", "have what was left"},
        {"{\"state\":\"open\",\"damaged_rows\":1,\"log_mended\":3,\"log_broke_off\":false}",
         "1 damaged row, its log was wrong in 3 places", "have what was left"},
        {"{\"state\":\"open\",\"log_mended\":1}", "left, its log was wrong in 1 place",
         "nothing is lost"},
        {"{\"state\":\"open\",\"log_broke_off\":true}", "its log broke off when msgd was started",
         NULL},
    };
    char text[DATABASE_TEXT_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *store = json_loads(cases[i].json, 0, NULL);
        cr_expect_not_null(strstr(database_found(store, text), cases[i].found), "%s", text);
        const char *advice = database_advice(store, text);
        if (cases[i].advice == NULL)
            cr_expect_null(advice);
        else
            cr_expect(advice != NULL && strstr(advice, cases[i].advice) != NULL, "%s",
                      cases[i].json);
        json_decref(store);
    }
    cr_expect_null(database_advice(NULL, text), "an older msgd");
}
