/* SPDX-License-Identifier: MIT */
/* msgtap: shows copies of live messages, taking none. */
#include "tools/ending.h"
#include "tools/filter.h"
#include "tools/message.h"
#include "tools/tool.h"

#include "proto/json_input.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tap_options {
    struct common_options common;
    struct option_list filter;
    int64_t count;  /* 0: no end */
    double timeout; /* -1: for ever */
};

static const struct option_spec specs[] = {
    {"filter", 'f', "FILTER",
     "show only messages from=NETWORK, or that contain match=TEXT; may be "
     "given several times",
     OPTION_LIST, .offset = offsetof(struct tap_options, filter)},
    {"count", 'n', "N", "end after N messages", OPTION_INTEGER,
     .offset = offsetof(struct tap_options, count), .min = 1, .max = 1e15},
    {"timeout", 't', "S",
     "with --count: end with 75 after S seconds; else end after S seconds of "
     "silence",
     OPTION_DECIMAL, .offset = offsetof(struct tap_options, timeout), .max = 1e6},
};

static const struct tool_spec tool = {
    .name = "msgtap",
    .summary = "Shows copies of the messages that reach an endpoint, taking none.",
    .synopsis = "NAME",
    .details = "  NAME  the endpoint, one of yours\n",
    .options = specs,
    .n_options = sizeof specs / sizeof specs[0],
    .operand_kind = OPERANDS_NAMES,
    .min_operands = 1,
    .max_operands = 1,
};

struct tap {
    const struct tap_options *options;
    struct filter filter;
    struct json_writer out;
    int64_t n_shown;
    uint64_t missed;
    bool is_terminal;
    int code; /* of a failure in the middle */
};

enum { TAP_END = 1 };

static int write_message(struct tap *t, const struct message *m)
{
    struct json_writer *w = &t->out;
    json_writer_reset(w);
    if (t->options->common.json)
        message_write_envelope(w, m);
    else
        message_write_line(w, m->data, m->length, t->is_terminal);
    if (w->error != 0)
        return w->error;
    return fwrite(w->bytes, 1, w->length, stdout) == w->length && fflush(stdout) == 0 ? 0 : TAP_END;
}

/* 0, TAP_END or -errno. */
static int show(struct tap *t, const struct message *m)
{
    const struct tap_options *o = t->options;
    if (!filter_fits(&t->filter, m->from, m->data, m->length))
        return 0;
    int result = write_message(t, m);
    t->n_shown++;
    if (o->count == 0 && o->timeout >= 0)
        ending_set_time(tool_milliseconds(o->timeout));
    return result == 0 && o->count != 0 && t->n_shown >= o->count ? TAP_END : result;
}

static int on_reply(void *context, const char *text)
{
    struct tap *t = context;
    struct message m;
    unsigned char *bytes;
    json_t *json;
    json_error_t fault;
    int error = json_input_parse(text, strlen(text), JSON_ALLOW_NUL, &json, &fault);
    if (error != 0)
        return error;
    t->missed = (uint64_t)json_integer_value(json_object_get(json, "missed"));
    int result = message_read(json, &m, &bytes);
    m.missed = &t->missed;
    if (result == 0)
        result = show(t, &m);
    free(bytes);
    json_decref(json);
    return ending_is_asked() ? TAP_END : result;
}

static int end_code(const struct tap *t, const struct msgd *m, int result)
{
    const struct tap_options *o = t->options;
    bool is_short = o->count != 0 && t->n_shown < o->count;
    if (t->missed > 0)
        tool_say("%llu messages were not shown: they came faster than they were read",
                 (unsigned long long)t->missed);
    if (ending_is_time() && is_short)
        return tool_fail(EXIT_TEMPORARY, "%lld of %lld messages within %g s", (long long)t->n_shown,
                         (long long)o->count, o->timeout);
    if (result == TAP_END || ending_is_asked())
        return EXIT_DONE;
    return result == -ENOMEM ? tool_fail(EXIT_SYSTEM, "%s", strerror(ENOMEM))
           : result < 0      ? tool_fail_call(m, result)
                             : tool_fail(EXIT_UNAVAILABLE,
                                         "\"%s\" is gone: it was released, or its "
                                              "lease ended",
                                         o->common.operands[0]);
}

/* Says where the endpoint is, as msgrecv does. */
static int announce(struct msgd *m, const char *name)
{
    char text[MSGD_ADDRESS_TEXT_MAX];
    struct msgd_address address;
    int error = msgd_resolve(m, name, &address);
    if (error != 0)
        return tool_fail_call(m, error);
    return tool_say("%s at %s", name, msgd_address_print(&address, text));
}

static int tap(struct tap *t)
{
    struct msgd *m = NULL;
    char parameters[128];
    const struct tap_options *o = t->options;
    int code = tool_connect(&o->common, &m);
    if (code != EXIT_DONE)
        return code;
    code = announce(m, o->common.operands[0]);
    if (code != EXIT_DONE) {
        m = msgd_close(m);
        return code;
    }
    snprintf(parameters, sizeof parameters, "{\"name\":\"%s\"}", o->common.operands[0]);
    if (o->timeout >= 0)
        ending_set_time(tool_milliseconds(o->timeout));
    int result = msgd_call_more(m, "io.msgd.Tap", parameters, -1, on_reply, t);
    code = end_code(t, m, result);
    m = msgd_close(m);
    return code;
}

static int run(const struct tap_options *options)
{
    struct tap t = {.options = options, .is_terminal = isatty(STDOUT_FILENO)};
    const char *wrong;
    if (!name_is_valid(options->common.operands[0]))
        return tool_usage("NAME \"%s\": expected the name of an endpoint",
                          options->common.operands[0]);
    int error = filter_init(&t.filter, options->filter.items, options->filter.n, &wrong);
    if (error == FILTER_WRONG)
        return tool_usage("--filter \"%s\": expected from=NETWORK, such as from=10.0.0.0/8, or "
                          "match=TEXT",
                          wrong);
    if (error == 0)
        error = ending_init();
    if (error != 0)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(-error));
    json_writer_init(&t.out);
    int code = tap(&t);
    json_writer_deinit(&t.out);
    ending_deinit();
    filter_deinit(&t.filter);
    return code;
}

int main(int argc, char **argv)
{
    struct tap_options options = {.timeout = -1};
    int code = tool_begin(&tool, argc, argv, &options);
    if (code < 0)
        code = run(&options);
    return tool_end(&tool, &options, code);
}
