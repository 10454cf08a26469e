/* SPDX-License-Identifier: MIT */
/* msgctl spool. */
#include "tools/spool.h"

#include "proto/name.h"
#include "tools/database.h"
#include "tools/endpoint.h"
#include "tools/figures.h"
#include "tools/message.h"
#include "tools/replay.h"
#include "tools/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t number_at(const json_t *json, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(json, key));
    return n > 0 ? (uint64_t)n : 0;
}

static const char *text_at(const json_t *json, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : otherwise;
}

/* ---- list ---- */

/* Of a durable endpoint what waits in memory is on disk, too. */
static bool has_something(const struct endpoint *e)
{
    bool is_durable = json_is_true(json_object_get(e->json, "durable"));
    if (e->spool == NULL)
        return false;
    return number_at(e->spool, "messages") > 0 || number_at(e->spool, "waiting") > 0 ||
           strcmp(text_at(e->spool, "state", "open"), "open") != 0 || (is_durable && e->queued > 0);
}

static int add_endpoint(struct table *t, const struct endpoint *e)
{
    char n[FIGURE_MAX], bytes[FIGURE_MAX], waiting[FIGURE_MAX], queued[FIGURE_MAX];
    char since[24] = "-";
    const char *oldest = json_string_value(json_object_get(e->spool, "since"));
    if (oldest != NULL)
        snprintf(since, sizeof since, "%.19sZ", oldest);
    const char *const cells[] = {e->name,
                                 figure_exact(number_at(e->spool, "messages"), n),
                                 figure_bytes(number_at(e->spool, "bytes"), bytes),
                                 since,
                                 figure_exact(number_at(e->spool, "waiting"), waiting),
                                 figure_exact(e->queued, queued),
                                 json_is_true(json_object_get(e->json, "durable")) ? "yes" : "no",
                                 text_at(e->spool, "state", "?")};
    return table_add(t, cells);
}

static int print_table(const json_t *endpoints)
{
    static const struct table_column columns[] = {
        {"NAME", false, 10},  {"ON DISK", true, 0},   {"BYTES", true, 0},    {"SINCE", false, 0},
        {"WAITING", true, 0}, {"IN MEMORY", true, 0}, {"DURABLE", false, 0}, {"STATE", false, 0}};
    int width = tool_columns();
    const struct layout layout = {.width = width > 0 ? (size_t)width : 80,
                                  .has_colour = tool_has_colour()};
    struct table t;
    const json_t *json;
    size_t i;
    int error = 0;
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(endpoints, i, json)
    {
        struct endpoint e;
        endpoint_read(json, &e);
        if (error == 0)
            error = add_endpoint(&t, &e);
    }
    if (error == 0)
        table_print(&t, &layout, stdout);
    table_deinit(&t);
    return error == 0 ? EXIT_DONE : tool_fail(EXIT_SYSTEM, "%s", strerror(-error));
}

static int print_json(const json_t *endpoints)
{
    json_t *rows = json_array(), *row;
    const json_t *json;
    size_t i;
    bool is_good = rows != NULL;
    json_array_foreach(endpoints, i, json)
    {
        row = json_copy(json_object_get(json, "spool"));
        is_good = is_good && row != NULL &&
                  json_object_set(row, "name", json_object_get(json, "name")) == 0 &&
                  json_object_set(row, "durable", json_object_get(json, "durable")) == 0 &&
                  json_array_append(rows, row) == 0;
        json_decref(row);
    }
    int code = is_good ? tool_print_json(rows) : tool_fail(EXIT_SYSTEM, "%s", strerror(ENOMEM));
    json_decref(rows);
    return code;
}

/* How the database is that all of them share. */
static int print_database(struct msgd *m)
{
    char text[DATABASE_TEXT_MAX];
    json_t *info;
    int code = tool_call(m, "io.msgd.GetInfo", json_object(), &info);
    if (code != EXIT_DONE)
        return code;
    const json_t *store = json_object_get(info, "store");
    printf("%s\n", database_found(store, text));
    if (database_advice(store, text) != NULL)
        printf("%s\n", text);
    json_decref(info);
    return EXIT_DONE;
}

/* Those that have something on disk, to be released; NULL: no memory. */
static json_t *choose(const json_t *reply)
{
    json_t *chosen = json_array(), *json;
    size_t i;
    json_array_foreach(json_object_get(reply, "endpoints"), i, json)
    {
        struct endpoint e;
        endpoint_read(json, &e);
        if (has_something(&e) && json_array_append(chosen, json) != 0) {
            json_decref(chosen);
            return NULL;
        }
    }
    return chosen;
}

static int list(struct msgd *m, const struct ctl_options *o, const char *name)
{
    json_t *reply;
    (void)name;
    int code = tool_call(m, "io.msgd.List", json_object(), &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *endpoints = choose(reply);
    json_decref(reply);
    if (endpoints == NULL)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(ENOMEM));
    code = o->common.json ? print_json(endpoints) : print_table(endpoints);
    if (code == EXIT_DONE && !o->common.json)
        code = print_database(m);
    json_decref(endpoints);
    return code;
}

/* ---- show and export ---- */

/* Messages on their way from the disk to stdout. */
struct printing {
    struct json_writer out;
    enum { FOR_PEOPLE, ENVELOPES, MESSAGES } form;
    bool is_terminal;
    struct number_range range;
    uint64_t n_left; /* that may still be printed */
    bool is_damaged; /* something could not be read */
};

/* "12  2026-05-04T09:30:00Z  192.0.2.7:40000  send a.1  {...}" */
static void write_for_people(struct json_writer *w, const struct message *m, bool is_terminal)
{
    char head[400];
    int n = snprintf(head, sizeof head, "%" PRIu64 "  %.19sZ  %.80s  %s%s%.*s  ", m->seq, m->time,
                     m->from, m->type, m->n_id > 0 ? " " : "", (int)(m->n_id < 64 ? m->n_id : 64),
                     m->id);
    json_put_raw_bytes(w, head, (size_t)n);
    message_write_line(w, m->data, m->length, is_terminal);
}

/* 0, or -errno: nothing more can be printed. */
static int print_message(struct printing *p, const json_t *json)
{
    struct message m;
    unsigned char *bytes = NULL;
    int error = message_read(json, &m, &bytes);
    if (error != 0)
        return error;
    json_writer_reset(&p->out);
    if (p->form == ENVELOPES)
        message_write_envelope(&p->out, &m);
    else if (p->form == FOR_PEOPLE)
        write_for_people(&p->out, &m, p->is_terminal);
    else
        message_write_line(&p->out, m.data, m.length, p->is_terminal);
    free(bytes);
    if (p->out.error != 0)
        return p->out.error;
    return fwrite(p->out.bytes, 1, p->out.length, stdout) == p->out.length ? 0 : -EPIPE;
}

static int print_messages(struct printing *p, const json_t *messages)
{
    const json_t *json;
    size_t i;
    json_array_foreach(messages, i, json)
    {
        if (number_at(json, "seq") > (uint64_t)p->range.last)
            p->n_left = 0;
        int error = p->n_left > 0 ? print_message(p, json) : 0;
        if (error != 0)
            return error;
        p->n_left -= p->n_left > 0;
    }
    return 0;
}

static json_t *parameters_of(const char *name, uint64_t from, uint64_t max)
{
    return json_pack("{s:s, s:I, s:I}", "name", name, "from_seq", (json_int_t)from, "max",
                     (json_int_t)max);
}

static int print_all(struct msgd *m, const char *name, struct printing *p)
{
    uint64_t next = (uint64_t)p->range.first;
    while (next != 0 && p->n_left > 0) {
        json_t *reply;
        int code =
            tool_call(m, "io.msgd.SpoolRead",
                      parameters_of(name, next, p->n_left < 1000 ? p->n_left : 1000), &reply);
        if (code != EXIT_DONE)
            return code;
        next = number_at(reply, "next");
        p->is_damaged = p->is_damaged || number_at(reply, "lost") > 0;
        int error = print_messages(p, json_object_get(reply, "messages"));
        json_decref(reply);
        if (error == -EPIPE)
            return EXIT_DONE; /* tool_end looks at stdout */
        if (error != 0)
            return tool_fail(EXIT_SYSTEM, "%s", strerror(-error));
    }
    if (p->is_damaged)
        tool_say("messages are missing that cannot be read any more: the database was damaged; "
                 "msgctl check-host and msgd's log have more");
    return EXIT_DONE;
}

static int print(struct msgd *m, const struct ctl_options *o, const char *name, struct printing *p)
{
    p->is_terminal = isatty(STDOUT_FILENO);
    p->n_left = o->count > 0 ? (uint64_t)o->count : UINT64_MAX;
    (void)number_range_parse(o->number, &p->range);
    json_writer_init(&p->out);
    int code = print_all(m, name, p);
    json_writer_deinit(&p->out);
    return code;
}

static int show(struct msgd *m, const struct ctl_options *o, const char *name)
{
    return print(m, o, name, &(struct printing){.form = o->common.json ? ENVELOPES : FOR_PEOPLE});
}

static int export(struct msgd *m, const struct ctl_options *o, const char *name)
{
    return print(m, o, name, &(struct printing){.form = o->bare ? MESSAGES : ENVELOPES});
}

/* ---- replay ---- */

static int replay(struct msgd *m, const struct ctl_options *o, const char *name)
{
    struct number_range range;
    if (o->to == NULL)
        return replay_quarantine(m, o, json_pack("{s:s}", "name", name));
    (void)number_range_parse(o->number, &range);
    return replay_call(m, &o->common, "io.msgd.SpoolReplay",
                       json_pack("{s:s, s:s, s:I, s:I}", "name", name, "to", o->to, "from_seq",
                                 (json_int_t)range.first, "to_seq", (json_int_t)range.last));
}

/* ---- purge ---- */

static int purge(struct msgd *m, const struct ctl_options *o, const char *name)
{
    json_t *reply;
    int code = tool_call(m, "io.msgd.SpoolPurge", json_pack("{s:s}", "name", name), &reply);
    if (code != EXIT_DONE)
        return code;
    if (o->common.json)
        code = tool_print_json(reply);
    else
        printf("%" PRIu64 " purged\n", number_at(reply, "purged"));
    json_decref(reply);
    return code;
}

/* ---- The verb ---- */

static const struct {
    struct ctl_words words;
    bool needs_name;
    int (*run)(struct msgd *m, const struct ctl_options *o, const char *name);
} verbs[] = {
    {{.verb = "spool", .word = "list"}, false, list},
    {{.verb = "spool", .word = "show", .takes_count = true, .takes_number = true}, true, show},
    {{.verb = "spool",
      .word = "export",
      .takes_count = true,
      .takes_number = true,
      .takes_bare = true},
     true,
     export},
    {{.verb = "spool", .word = "replay", .takes_number = true, .takes_to = true}, true, replay},
    {{.verb = "spool", .word = "purge"}, true, purge},
};

#define N_VERBS (sizeof verbs / sizeof verbs[0])

static int unknown(const char *word)
{
    const char *names[N_VERBS];
    for (size_t i = 0; i < N_VERBS; i++)
        names[i] = verbs[i].words.word;
    return tool_unknown_word("spool", word, names, N_VERBS);
}

/* EXIT_DONE: the words are right; else the exit code. */
static int check(size_t verb, const struct ctl_options *o, char **words, size_t n_words)
{
    const char *word = verbs[verb].words.word;
    size_t wanted = verbs[verb].needs_name ? 2 : 1;
    if (n_words > wanted)
        return tool_usage("spool %s: unexpected operand \"%s\"", word, words[wanted]);
    if (verbs[verb].needs_name && (n_words < 2 || !name_is_valid(words[1])))
        return tool_usage("spool %s: expected the NAME of an endpoint", word);
    if (o->to != NULL && n_words > 1 && strcmp(o->to, words[1]) == 0)
        return tool_usage("--to: they are there already; expected another endpoint than %s", o->to);
    return ctl_options_check(o, &verbs[verb].words);
}

int spool_run(const struct ctl_options *o, char **words, size_t n_words)
{
    const char *verb = n_words > 0 ? words[0] : "list";
    struct msgd *m;
    size_t i = 0;
    while (i < N_VERBS && strcmp(verbs[i].words.word, verb) != 0)
        i++;
    if (i == N_VERBS)
        return unknown(verb);
    int code = check(i, o, words, n_words);
    if (code == EXIT_DONE)
        code = tool_connect(&o->common, &m);
    if (code != EXIT_DONE)
        return code;
    code = verbs[i].run(m, o, n_words > 1 ? words[1] : NULL);
    m = msgd_close(m);
    return code;
}
