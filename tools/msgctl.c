/* SPDX-License-Identifier: MIT */
/* msgctl: what an administrator does with msgd. */
#include "tools/figures.h"
#include "tools/host_facts.h"
#include "tools/info.h"
#include "tools/quarantine.h"
#include "tools/replay.h"
#include "tools/spool.h"
#include "tools/table.h"
#include "tools/tool.h"

#include "proto/json_writer.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const verb_names[] = {"reload", "release",    "quarantine", "spool", "metrics",
                                         "info",   "check-host", "upgrade",    NULL};

static const struct option_spec specs[] = {
    {"count", 'n', "N", "with spool show and spool export: N messages at most", OPTION_INTEGER,
     .offset = offsetof(struct ctl_options, count), .min = 1, .max = 1e15},
    {"number", 0, "FROM[-TO]",
     "with spool show, spool export and replay NAME: only these; FROM- for all from there on",
     OPTION_TEXT, .offset = offsetof(struct ctl_options, number)},
    {"to", 0, "NAME", "with replay: to this endpoint", OPTION_TEXT,
     .offset = offsetof(struct ctl_options, to)},
    {"bare", 0, NULL, "with spool export: the messages alone, as msgsend reads them", OPTION_FLAG,
     .offset = offsetof(struct ctl_options, bare)},
};

static const struct tool_spec tool = {
    .name = "msgctl",
    .summary = "Controls msgd.",
    .synopsis = "VERB [WORD...]",
    .details =
        "  reload                      read the configuration again\n"
        "  release NAME                end an endpoint and close its port\n"
        "  quarantine [list [NAME]]    datagrams that could not be messages\n"
        "  quarantine show ID          one of them, with its bytes\n"
        "  quarantine replay [ID|NAME] give them to their endpoint again\n"
        "  quarantine purge [ID|NAME]  forget them\n"
        "  spool [list]                endpoints that have messages on disk\n"
        "  spool show NAME             what an endpoint has on disk\n"
        "  spool export NAME           the same, a line of JSON each\n"
        "  spool replay NAME           give what is in quarantine of it to it again; with --to:\n"
        "                              copies of what is on disk to another endpoint\n"
        "  spool purge NAME            throw away what is on disk alone\n"
        "  metrics                     all counters, as Prometheus text\n"
        "  info                        the daemon itself: what it runs with\n"
        "  check-host                  is this host set up to lose nothing?\n"
        "  upgrade                     let msgd's program, as it is now, take over\n",
    .options = specs,
    .n_options = sizeof specs / sizeof specs[0],
    .operand_kind = OPERANDS_VERBS,
    .verbs = verb_names,
    .min_operands = 1,
    .max_operands = 4,
};

static long long number_at(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

/* One call on a connection of its own. */
static int call(const struct common_options *common, const char *method, json_t *parameters,
                json_t **reply)
{
    struct msgd *m;
    int code = tool_connect(common, &m);
    if (code != EXIT_DONE) {
        json_decref(parameters);
        return code;
    }
    code = tool_call(m, method, parameters, reply);
    m = msgd_close(m);
    return code;
}

static int reload(const struct common_options *common, char **words, size_t n_words)
{
    json_t *reply;
    (void)words;
    (void)n_words;
    int code = call(common, "io.msgd.Reload", json_object(), &reply);
    if (code != EXIT_DONE)
        return code;
    if (common->json)
        code = tool_print_json(reply);
    else
        printf("%lld endpoints added, %lld removed, %lld changed\n", number_at(reply, "added"),
               number_at(reply, "removed"), number_at(reply, "changed"));
    json_decref(reply);
    return code;
}

static int release(const struct common_options *common, char **words, size_t n_words)
{
    json_t *reply;
    if (n_words != 1 || !name_is_valid(words[0]))
        return tool_usage("release: expected the NAME of one endpoint");
    int code = call(common, "io.msgd.Release", json_pack("{s:s}", "name", words[0]), &reply);
    if (code != EXIT_DONE)
        return code;
    const json_t *ledger = json_object_get(reply, "ledger");
    if (common->json)
        code = tool_print_json(ledger);
    else
        printf("%s: released; received %lld, delivered %lld, dropped on release %lld\n", words[0],
               number_at(ledger, "received"), number_at(ledger, "delivered"),
               number_at(json_object_get(ledger, "dropped"), "released"));
    json_decref(reply);
    return code;
}

static int metrics(const struct common_options *common, char **words, size_t n_words)
{
    json_t *reply;
    (void)words;
    (void)n_words;
    int code = call(common, "io.msgd.Metrics", json_object(), &reply);
    if (code != EXIT_DONE)
        return code;
    const char *text = json_string_value(json_object_get(reply, "text"));
    if (common->json)
        code = tool_print_json(reply);
    else
        fputs(text != NULL ? text : "", stdout);
    json_decref(reply);
    return code;
}

static int info(const struct common_options *common, char **words, size_t n_words)
{
    json_t *reply;
    (void)words;
    (void)n_words;
    int code = call(common, "io.msgd.GetInfo", json_object(), &reply);
    if (code != EXIT_DONE)
        return code;
    if (common->json)
        code = tool_print_json(reply);
    else
        info_print(reply, stdout);
    json_decref(reply);
    return code;
}

static int upgrade(const struct common_options *common, char **words, size_t n_words)
{
    json_t *reply;
    (void)words;
    (void)n_words;
    int code = call(common, "io.msgd.Upgrade", json_object(), &reply);
    if (code != EXIT_DONE)
        return code;
    if (common->json)
        code = tool_print_json(reply);
    else
        printf("msgd %s serves, pid %lld\n", json_string_value(json_object_get(reply, "version")),
               number_at(reply, "pid"));
    json_decref(reply);
    return code;
}

static int print_checks_json(const struct host_check *checks)
{
    struct json_writer w;
    json_writer_init(&w);
    json_begin_array(&w, NULL);
    for (size_t i = 0; i < HOST_CHECKS; i++) {
        json_begin_object(&w, NULL);
        json_put_string(&w, "check", checks[i].name);
        json_put_string(&w, "state", checks[i].is_ok ? "ok" : "warn");
        json_put_string(&w, "found", checks[i].found);
        json_put_string(&w, "advice", *checks[i].advice != '\0' ? checks[i].advice : NULL);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_put_raw_bytes(&w, "\n", 1);
    int error = w.error;
    if (error == 0)
        fwrite(w.bytes, 1, w.length, stdout);
    json_writer_deinit(&w);
    return error == 0 ? EXIT_DONE : tool_fail(EXIT_SYSTEM, "%s", strerror(-error));
}

static int print_checks(const struct host_check *checks)
{
    int width = tool_columns();
    bool has_colour = tool_has_colour();
    const struct layout layout = {.width = width > 0 ? (size_t)width : 80};
    for (size_t i = 0; i < HOST_CHECKS; i++) {
        char line[2 * HOST_TEXT_MAX + 64];
        snprintf(line, sizeof line, "%s  %s: %s%s%s", checks[i].is_ok ? "ok  " : "warn",
                 checks[i].name, checks[i].found, *checks[i].advice != '\0' ? "; " : "",
                 checks[i].advice);
        if (has_colour)
            fputs(checks[i].is_ok ? "\033[32m" : "\033[33m", stdout);
        layout_print(&layout, line, 6, stdout);
        if (has_colour)
            fputs("\033[0m", stdout);
    }
    return EXIT_DONE;
}

static int check(const struct common_options *common, char **words, size_t n_words)
{
    static struct host_facts facts;
    static struct host_check checks[HOST_CHECKS];
    struct msgd *m = NULL;
    (void)words;
    (void)n_words;
    bool is_up = msgd_open(&m, common->socket) == 0;
    host_facts_gather(is_up ? m : NULL, &facts);
    m = msgd_close(m);
    check_host(&facts, checks);
    int code = common->json ? print_checks_json(checks) : print_checks(checks);
    if (code == EXIT_DONE && !facts.is_msgd_up)
        return EXIT_UNAVAILABLE;
    for (size_t i = 0; i < HOST_CHECKS && code == EXIT_DONE; i++)
        code = checks[i].is_ok ? EXIT_DONE : EXIT_TEMPORARY;
    return code;
}

/* The verbs get what every tool has; these two know of more. */
static int spool(const struct common_options *common, char **words, size_t n_words)
{
    return spool_run((const struct ctl_options *)(const void *)common, words, n_words);
}

static int quarantine(const struct common_options *common, char **words, size_t n_words)
{
    return quarantine_run((const struct ctl_options *)(const void *)common, words, n_words);
}

static const struct {
    const char *name;
    size_t max_words;
    int (*run)(const struct common_options *common, char **words, size_t n_words);
} verbs[] = {
    {"reload", 0, reload},    {"release", 1, release}, {"quarantine", 3, quarantine},
    {"spool", 3, spool},      {"metrics", 0, metrics}, {"info", 0, info},
    {"check-host", 0, check}, {"upgrade", 0, upgrade},
};

static int unknown(const char *word)
{
    const size_t n = sizeof verb_names / sizeof verb_names[0] - 1;
    const char *near = options_nearest(word, strlen(word), verb_names, n);
    return tool_usage("unknown verb \"%s\"%s%s%s", word, near != NULL ? ", did you mean " : "",
                      near != NULL ? near : "", near != NULL ? "?" : "");
}

static int run(const struct ctl_options *options)
{
    const struct common_options *common = &options->common;
    const char *verb = common->operands[0];
    char **words = common->operands + 1;
    size_t n_words = common->n_operands - 1;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, verb) != 0)
            continue;
        if (n_words > verbs[i].max_words)
            return tool_usage("%s: unexpected operand \"%s\"", verb, words[verbs[i].max_words]);
        bool has_words = verbs[i].run == spool || verbs[i].run == quarantine;
        int code =
            has_words ? EXIT_DONE : ctl_options_check(options, &(struct ctl_words){.verb = verb});
        return code != EXIT_DONE ? code : verbs[i].run(common, words, n_words);
    }
    return unknown(verb);
}

int main(int argc, char **argv)
{
    struct ctl_options options = {0};
    int code = tool_begin(&tool, argc, argv, &options);
    if (code < 0)
        code = run(&options);
    return tool_end(&tool, &options, code);
}
