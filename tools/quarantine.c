/* SPDX-License-Identifier: MIT */
/* msgctl quarantine. */
#include "tools/quarantine.h"

#include "proto/base64.h"
#include "proto/name.h"
#include "tools/figures.h"
#include "tools/replay.h"
#include "tools/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a subcommand is about: everything, an entry, or an endpoint. */
struct subject {
    int64_t id; /* -1: none */
    const char *name;
};

static const char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "?";
}

static long long number_at(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

/* A word of digits is the number of an entry. -1, or the exit code. */
static int subject_parse(const char *word, struct subject *out)
{
    *out = (struct subject){.id = -1};
    if (word == NULL)
        return -1;
    size_t n = strlen(word);
    if (n > 0 && n <= 18 && strspn(word, "0123456789") == n)
        out->id = atoll(word);
    else if (name_is_valid(word))
        out->name = word;
    else
        return tool_usage("\"%s\": expected the ID of an entry or the NAME of an endpoint", word);
    return -1;
}

static json_t *parameters_of(const struct subject *s, bool with_payload)
{
    json_t *p = json_object();
    if (s->id >= 0)
        json_object_set_new(p, "id", json_integer(s->id));
    if (s->name != NULL)
        json_object_set_new(p, "name", json_string(s->name));
    if (with_payload)
        json_object_set_new(p, "payload", json_true());
    return p;
}

static int add_entry(struct table *t, const json_t *entry)
{
    char id[24], bytes[24];
    snprintf(id, sizeof id, "%lld", number_at(entry, "id"));
    snprintf(bytes, sizeof bytes, "%lld", number_at(entry, "bytes"));
    char time[24];
    snprintf(time, sizeof time, "%.19sZ", text_at(entry, "time"));
    const char *const cells[] = {
        id, text_at(entry, "name"), time, text_at(entry, "from"), text_at(entry, "reason"), bytes};
    return table_add(t, cells);
}

static int print_table(const json_t *reply)
{
    static const struct table_column columns[] = {{"ID", true, 0},      {"NAME", false, 10},
                                                  {"TIME", false, 0},   {"FROM", false, 15},
                                                  {"REASON", false, 0}, {"BYTES", true, 0}};
    struct table t;
    const json_t *entry;
    size_t i;
    int error = 0;
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(json_object_get(reply, "entries"), i, entry) if (error == 0) error =
        add_entry(&t, entry);
    int width = tool_columns();
    const struct layout layout = {.width = width > 0 ? (size_t)width : 80,
                                  .has_colour = tool_has_colour()};
    if (error == 0)
        table_print(&t, &layout, stdout);
    table_deinit(&t);
    if (number_at(reply, "discarded") > 0)
        printf("%lld older ones had to go to keep within quarantine_bytes\n",
               number_at(reply, "discarded"));
    return error == 0 ? EXIT_DONE : tool_fail(EXIT_SYSTEM, "%s", strerror(-error));
}

static int list(struct msgd *m, const struct ctl_options *o, const struct subject *s)
{
    json_t *reply;
    int code = tool_call(m, "io.msgd.Quarantine", parameters_of(s, false), &reply);
    if (code != EXIT_DONE)
        return code;
    code = o->common.json ? tool_print_json(json_object_get(reply, "entries")) : print_table(reply);
    json_decref(reply);
    return code;
}

void quarantine_dump(const unsigned char *bytes, size_t n, FILE *out)
{
    for (size_t at = 0; at < n; at += 16) {
        size_t length = n - at < 16 ? n - at : 16;
        fprintf(out, "%06zx ", at);
        for (size_t i = 0; i < 16; i++)
            i < length ? fprintf(out, " %02x", bytes[at + i]) : fprintf(out, "   ");
        fprintf(out, "  ");
        for (size_t i = 0; i < length; i++)
            fputc(bytes[at + i] >= 0x20 && bytes[at + i] < 0x7f ? bytes[at + i] : '.', out);
        fputc('\n', out);
    }
}

static int print_entry(const json_t *entry)
{
    printf("id      %lld\nname    %s\ntime    %s\nfrom    %s\nto      %s\nreason  %s\nbytes   "
           "%lld\n\n",
           number_at(entry, "id"), text_at(entry, "name"), text_at(entry, "time"),
           text_at(entry, "from"), text_at(entry, "to"), text_at(entry, "reason"),
           number_at(entry, "bytes"));
    const char *base64 = json_string_value(json_object_get(entry, "payload_base64"));
    size_t n = base64 != NULL ? strlen(base64) : 0, length = 0;
    unsigned char *bytes = malloc(base64_decoded_max(n) + 1);
    if (bytes == NULL)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(ENOMEM));
    if (n > 0 && base64_decode(base64, n, bytes, &length) == 0)
        quarantine_dump(bytes, length, stdout);
    free(bytes);
    return EXIT_DONE;
}

static int show(struct msgd *m, const struct ctl_options *o, const struct subject *s)
{
    json_t *reply;
    if (s->id < 0)
        return tool_usage(
            "quarantine show: expected the ID of an entry; quarantine list shows them");
    int code = tool_call(m, "io.msgd.Quarantine", parameters_of(s, true), &reply);
    if (code != EXIT_DONE)
        return code;
    const json_t *entry = json_array_get(json_object_get(reply, "entries"), 0);
    if (entry == NULL)
        code = tool_fail(EXIT_NO_NAME, "no entry %lld is in the quarantine (any more)",
                         (long long)s->id);
    else
        code = o->common.json ? tool_print_json(entry) : print_entry(entry);
    json_decref(reply);
    return code;
}

static int replay(struct msgd *m, const struct ctl_options *o, const struct subject *s)
{
    return replay_quarantine(m, o, parameters_of(s, false));
}

static int purge(struct msgd *m, const struct ctl_options *o, const struct subject *s)
{
    json_t *reply;
    int code = tool_call(m, "io.msgd.QuarantinePurge", parameters_of(s, false), &reply);
    if (code != EXIT_DONE)
        return code;
    if (o->common.json)
        code = tool_print_json(reply);
    else
        printf("%lld purged\n", number_at(reply, "purged"));
    json_decref(reply);
    return code;
}

static const struct {
    const char *name;
    int (*run)(struct msgd *m, const struct ctl_options *o, const struct subject *s);
} verbs[] = {{"list", list}, {"show", show}, {"replay", replay}, {"purge", purge}};

#define N_VERBS (sizeof verbs / sizeof verbs[0])

static int unknown(const char *word)
{
    const char *names[N_VERBS];
    for (size_t i = 0; i < N_VERBS; i++)
        names[i] = verbs[i].name;
    return tool_unknown_word("quarantine", word, names, N_VERBS);
}

/* EXIT_DONE, or the exit code: what was given does not go together. */
static int check(const struct ctl_options *o, const char *verb, const struct subject *s)
{
    bool is_replay = strcmp(verb, "replay") == 0;
    const struct ctl_words words = {
        .verb = "quarantine", .word = verb, .takes_number = is_replay, .takes_to = is_replay};
    int code = ctl_options_check(o, &words);
    if (code == EXIT_DONE && o->number != NULL && s->name == NULL)
        return tool_usage("--number: expected the NAME of the endpoint whose entries they are");
    return code;
}

int quarantine_run(const struct ctl_options *o, char **words, size_t n_words)
{
    const char *verb = n_words > 0 ? words[0] : "list";
    struct subject subject;
    struct msgd *m;
    size_t i = 0;
    while (i < N_VERBS && strcmp(verbs[i].name, verb) != 0)
        i++;
    if (i == N_VERBS)
        return unknown(verb);
    if (n_words > 2)
        return tool_usage("quarantine %s: unexpected operand \"%s\"", verb, words[2]);
    int code = subject_parse(n_words > 1 ? words[1] : NULL, &subject);
    if (code >= 0)
        return code;
    code = check(o, verb, &subject);
    if (code == EXIT_DONE)
        code = tool_connect(&o->common, &m);
    if (code != EXIT_DONE)
        return code;
    code = verbs[i].run(m, o, &subject);
    m = msgd_close(m);
    return code;
}
