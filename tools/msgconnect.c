/* SPDX-License-Identifier: MIT */
/* msgconnect: a session, like netcat: lines of stdin are messages, messages are lines of stdout. */
#include "tools/ending.h"
#include "tools/lines.h"
#include "tools/message.h"
#include "tools/send_payload.h"
#include "tools/tool.h"

#include "client/deadline.h"
#include "client/target.h"
#include "proto/json_text.h"
#include "proto/name.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is printed is taken from the session only while less than this waits for stdout. */
#define OUTPUT_BYTES 65536u
/* A pipe that is ready takes this much without making the writer wait. */
#define PIPE_BYTES PIPE_BUF
/* How long the other side may take to acknowledge the last messages without any other sign. */
#define SETTLE_MS 40000
/* How long stdin may pause once the other side has finished. */
#define QUIET_MS  1000
#define LINGER_MS 1000

struct connect_options {
    struct common_options common;
    const char *identity;
    const char *from;
    double timeout;
};

static const struct option_spec specs[] = {
    {"identity", 'i', "JSON", "who this is, for the server (user, host and program)", OPTION_TEXT,
     .offset = offsetof(struct connect_options, identity)},
    {"from", 0, "NAME", "give NAME in the identity, too", OPTION_TEXT,
     .offset = offsetof(struct connect_options, from)},
    {"timeout", 't', "S", "seconds to wait for the server's decision (10)", OPTION_DECIMAL,
     .offset = offsetof(struct connect_options, timeout), .min = 0.001, .max = 1e6},
};

static const struct tool_spec tool = {
    .name = "msgconnect",
    .summary = "Opens a session: each line of stdin is a message, each message a line of stdout.",
    .synopsis = "TARGET",
    .details = "  TARGET  ip:port, [ip6]:port, host:port or the name of an endpoint\n",
    .options = specs,
    .n_options = sizeof specs / sizeof specs[0],
    .operand_kind = OPERANDS_TARGET,
    .min_operands = 1,
    .max_operands = 1,
};

/* One run of the tool. */
struct conversation {
    const struct connect_options *options;
    struct msgd_session *s;
    struct lines in;
    bool has_line; /* one that the session had no room for */
    const uint8_t *line;
    size_t n_line;
    bool is_bad;      /* a line was not sent */
    bool has_ended;   /* stdin: nothing more is sent */
    bool is_finished; /* the other side */
    int64_t quiet;    /* then: how long stdin is waited for, on deadline.h's clock */
    struct json_writer out;
    size_t printed; /* bytes of out that have gone */
    bool is_terminal;
    int failed; /* what the session has failed with; said once everything is printed */
};

/* The other side has finished: a terminal is not waited for any more, a pipe only while it goes on.
 */
static void await_stdin(struct conversation *c)
{
    c->quiet = deadline_after_ms(isatty(STDIN_FILENO) ? 0 : QUIET_MS);
}

/* ---- From the session to stdout ---- */

static void put_message(struct conversation *c, const struct msgd_text *text)
{
    struct json_writer *w = &c->out;
    if (!c->options->common.json) {
        message_write_line(w, text->data, text->length, c->is_terminal);
        return;
    }
    w->wants_comma = false;
    json_begin_object(w, NULL);
    json_put_string(w, "session", msgd_session_id(c->s));
    json_put_string(w, "from", msgd_session_peer(c->s));
    message_put(w, text->data, text->length);
    json_end_object(w);
    json_put_raw_bytes(w, "\n", 1);
}

/* 0, or what the session has failed with. */
static int take_messages(struct conversation *c)
{
    struct msgd_text text;
    int rc = 1;
    while (!c->is_finished && rc == 1 && c->out.length < OUTPUT_BYTES && c->out.error == 0) {
        rc = msgd_session_read(c->s, &text, 0);
        if (rc == 1)
            put_message(c, &text);
    }
    if (rc == 0) {
        c->is_finished = true;
        await_stdin(c);
    }
    return rc < 0 && rc != -EAGAIN && rc != -EINTR ? rc : 0;
}

/* Writes what stdout takes at once. False: it is closed or broken. */
static bool print(struct conversation *c, bool is_ready)
{
    struct json_writer *w = &c->out;
    if (!is_ready || c->printed == w->length)
        return true;
    size_t left = w->length - c->printed;
    ssize_t n = write(STDOUT_FILENO, w->bytes + c->printed, left < PIPE_BYTES ? left : PIPE_BYTES);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    c->printed += (size_t)n;
    if (c->printed < w->length)
        return true;
    json_writer_reset(w);
    c->printed = 0;
    return true;
}

/* ---- From stdin to the session ---- */

/* A line that cannot be sent is named, and the lines after it go on. */
static void refuse_line(struct conversation *c, const char *fault)
{
    tool_fail(EXIT_DATA, "stdin, line %llu: %s; not sent", (unsigned long long)c->in.number, fault);
    c->is_bad = true;
}

/* The next line that can be a message. False: there is none in hand. */
static bool next_line(struct conversation *c)
{
    char fault[PAYLOAD_FAULT_MAX];
    while (!c->has_line) {
        enum lines_outcome outcome = lines_next(&c->in, &c->line, &c->n_line);
        if (outcome == LINES_NONE)
            return false;
        if (outcome == LINES_TOO_LONG)
            refuse_line(c, "too large: a message has at most 16 MiB");
        else if (payload_is_blank(c->line, c->n_line))
            continue;
        else if (payload_check_json(c->line, c->n_line, fault))
            c->has_line = true;
        else
            refuse_line(c, fault);
    }
    return true;
}

/* 0, or what the session has failed with. */
static int send_lines(struct conversation *c)
{
    int error = 0;
    while (error == 0 && next_line(c)) {
        error = msgd_session_queue(c->s, c->line, c->n_line);
        c->has_line = error == -EAGAIN;
    }
    if (error == 0 && c->in.is_at_end && !c->has_ended) {
        c->has_ended = true;
        error = msgd_session_finish(c->s);
    }
    return error == -EAGAIN || error == -EINTR ? 0 : error;
}

/* 0, or the exit code. */
static int read_stdin(struct conversation *c)
{
    int error = lines_read(&c->in, STDIN_FILENO);
    if (c->is_finished)
        await_stdin(c);
    if (error == -EBADF)
        c->in.is_at_end = true;
    else if (error != 0 && error != -EAGAIN)
        return tool_fail(EXIT_INPUT, "stdin: %s", strerror(-error));
    return 0;
}

/* ---- Both ---- */

static int fail_session(const struct conversation *c)
{
    enum exit_code code = c->failed == -ENOMEM                              ? EXIT_SYSTEM
                          : c->failed == -EBADMSG || c->failed == -EMSGSIZE ? EXIT_DATA
                                                                            : EXIT_UNAVAILABLE;
    return tool_fail(code, "%s", msgd_session_error(c->s));
}

/* One turn of what can go on without waiting. -1, or the exit code. */
static int go_on(struct conversation *c)
{
    int error = c->failed == 0 ? send_lines(c) : 0;
    if (c->failed == 0 && error == 0)
        error = msgd_session_process(c->s);
    int failed = c->failed == 0 ? take_messages(c) : 0;
    if (error != 0 || failed != 0)
        c->failed = failed != 0 ? failed : error;
    if (c->out.error != 0)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(-c->out.error));
    return c->failed != 0 && c->out.length == 0 ? fail_session(c) : -1;
}

enum { WATCH_SESSION, WATCH_STDOUT, WATCH_STDIN, WATCHED };

/* Waits for what can go on. Once the other side has finished, only what stdin has already is sent.
 */
static void wait_for_more(const struct conversation *c, struct pollfd fds[WATCHED])
{
    bool wants_input = !c->in.is_at_end && !c->has_line;
    bool has_output = c->out.length > 0;
    fds[WATCH_SESSION] =
        (struct pollfd){.fd = c->failed == 0 ? msgd_session_fd(c->s) : -1, .events = POLLIN};
    fds[WATCH_STDOUT] = (struct pollfd){.fd = has_output ? STDOUT_FILENO : -1, .events = POLLOUT};
    fds[WATCH_STDIN] = (struct pollfd){.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN};
    bool is_ending = c->is_finished && !has_output && wants_input;
    if (poll(fds, WATCHED, is_ending ? deadline_left_ms(c->quiet) : -1) < 0)
        for (int i = 0; i < WATCHED; i++)
            fds[i].revents = 0;
}

/* Until both sides have finished. -1: they have; else the exit code. */
static int converse(struct conversation *c)
{
    struct pollfd fds[WATCHED] = {{0}};
    while (!ending_is_asked()) {
        int code = go_on(c);
        if (code >= 0 || (c->is_finished && c->has_ended && c->out.length == 0))
            return code;
        wait_for_more(c, fds);
        if (!print(c, fds[WATCH_STDOUT].revents != 0))
            return errno == EPIPE
                       ? EXIT_DONE
                       : tool_fail(EXIT_SYSTEM, "cannot write to stdout: %s", strerror(errno));
        if (fds[WATCH_STDIN].revents != 0)
            code = read_stdin(c);
        else if (c->is_finished && !c->has_line && c->out.length == 0 &&
                 deadline_left_ms(c->quiet) == 0)
            c->in.is_at_end = true;
        if (code > 0)
            return code;
    }
    return EXIT_DONE;
}

/* Both have finished: until the other side has everything. */
static int settle(struct conversation *c)
{
    struct pollfd fd = {.fd = msgd_session_fd(c->s), .events = POLLIN};
    int error = 0, n = 1;
    while (error == 0 && n != 0 && msgd_session_state(c->s) == MSGD_SESSION_OPEN &&
           !ending_is_asked()) {
        n = poll(&fd, 1, SETTLE_MS);
        error = msgd_session_process(c->s);
    }
    c->failed = error;
    if (error != 0)
        return fail_session(c);
    if (n == 0)
        return tool_fail(EXIT_UNAVAILABLE, "%s did not acknowledge the last messages",
                         msgd_session_peer(c->s));
    error = msgd_session_close(c->s, LINGER_MS);
    c->s = NULL;
    (void)error; /* everything is acknowledged */
    return c->is_bad ? EXIT_DATA : EXIT_DONE;
}

/* ---- Beginning ---- */

static int fail_connect(int error)
{
    enum exit_code code = error == -ENOENT ? EXIT_NO_NAME : exit_code_of("", error);
    return tool_fail(code, "%s", msgd_session_error(NULL));
}

/* The library's identity with a name. Returns text to be freed, or NULL. */
static char *identity_from(const char *name)
{
    char host[HOST_NAME_MAX + 1] = "";
    (void)!gethostname(host, sizeof host - 1);
    json_t *identity = json_pack("{s:s,s:s,s:s,s:s}", "user", tool_user_of(geteuid()), "host", host,
                                 "program", tool.name, "name", name);
    char *text = identity != NULL ? json_dumps(identity, JSON_COMPACT) : NULL;
    json_decref(identity);
    return text;
}

static int open_session(struct conversation *c)
{
    const struct connect_options *o = c->options;
    char *made = NULL;
    if (o->from != NULL && (made = identity_from(o->from)) == NULL)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(ENOMEM));
    const struct msgd_connect_options options = {
        .identity = made != NULL ? made : o->identity,
        .socket_path = o->common.socket,
        .timeout_ms = tool_milliseconds(o->timeout),
    };
    int error = msgd_connect(&c->s, o->common.operands[0], &options);
    free(made);
    if (error == -EINTR || ending_is_asked())
        return EXIT_DONE;
    if (error != 0)
        return fail_connect(error);
    tool_say("session %s with %s", msgd_session_id(c->s), msgd_session_peer(c->s));
    return -1;
}

static int check_options(const struct connect_options *o)
{
    struct target target;
    const char *expected;
    if (target_parse(o->common.operands[0], &target, &expected) != 0)
        return tool_usage("TARGET \"%s\": expected %s", o->common.operands[0], expected);
    if (o->from != NULL && o->identity != NULL)
        return tool_usage("--from: there is an --identity already; give one of them");
    if (o->from != NULL && !name_is_valid(o->from))
        return tool_usage("--from \"%s\": expected a name such as that of an endpoint", o->from);
    if (o->identity != NULL &&
        !json_text_is_valid((const uint8_t *)o->identity, strlen(o->identity)))
        return tool_usage("--identity \"%s\": expected JSON (a string needs its quotes, as in "
                          "'\"text\"')",
                          o->identity);
    return -1;
}

static int run(const struct connect_options *options)
{
    static struct conversation c;
    c.options = options;
    c.is_terminal = isatty(STDOUT_FILENO);
    int error = ending_init();
    if (error != 0)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(-error));
    lines_init(&c.in, MSGD_TEXT_MAX);
    json_writer_init(&c.out);
    int code = open_session(&c);
    if (code < 0)
        code = converse(&c);
    if (code < 0)
        code = settle(&c);
    c.s = msgd_session_abort(c.s, code == EXIT_DONE ? "interrupted" : "failed");
    json_writer_deinit(&c.out);
    lines_deinit(&c.in);
    ending_deinit();
    return code;
}

int main(int argc, char **argv)
{
    struct connect_options options = {.timeout = 10};
    int code = tool_begin(&tool, argc, argv, &options);
    if (code < 0)
        code = check_options(&options);
    if (code < 0)
        code = run(&options);
    return tool_end(&tool, &options, code);
}
