/* SPDX-License-Identifier: MIT */
/* msgrecv: registers a name and prints, or answers, what is sent there. */
#include "tools/ending.h"
#include "tools/message.h"
#include "tools/recv_options.h"
#include "tools/service.h"
#include "tools/session_server.h"
#include "tools/tool.h"

#include "proto/json_input.h"
#include "proto/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64

/* How often an answer that msgd has no room for is tried again, and after how long. */
#define REPLY_TRIES    200
#define REPLY_PAUSE_US 5000

/* One run of the tool. */
struct receiver {
    const struct recv_options *options;
    struct msgd *m;
    struct json_writer out;
    struct service_answer answer;
    int64_t n_done;
    int64_t deadline_ms; /* INT64_MAX: none */
    bool is_terminal;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void set_deadline(struct receiver *r)
{
    double timeout = r->options->timeout;
    r->deadline_ms = timeout < 0 ? INT64_MAX : now_ms() + tool_milliseconds(timeout);
}

static int time_left(const struct receiver *r)
{
    if (r->deadline_ms == INT64_MAX)
        return -1;
    int64_t left = r->deadline_ms - now_ms();
    return left > 0 ? (int)left : 0;
}

static const char *const types[] = {"plain", "send", "request", "reply"}; /* enum msgd_type */

static void write_envelope(struct json_writer *w, const struct msgd_message *m)
{
    char from[MSGD_ADDRESS_TEXT_MAX], to[MSGD_ADDRESS_TEXT_MAX], time[TIME_TEXT_MAX];
    const struct message message = {
        .name = m->name,
        .generation = m->generation,
        .seq = m->seq,
        .type = types[m->type],
        .id = m->id,
        .n_id = m->id_length,
        .time = time_print(m->time_ns, time),
        .from = msgd_address_print(&m->from, from),
        .to = msgd_address_print(&m->to, to),
        .is_redelivered = m->is_redelivered != 0,
        .deliveries = m->deliveries,
        .data = m->data,
        .length = m->length,
    };
    message_write_envelope(w, &message);
}

/* Writes a batch and flushes. False: stdout is closed or broken, and nothing may be released. */
static bool print_batch(struct receiver *r, const struct msgd_message *messages, int n)
{
    struct json_writer *w = &r->out;
    json_writer_reset(w);
    for (int i = 0; i < n; i++) {
        if (r->options->common.json)
            write_envelope(w, &messages[i]);
        else
            message_write_line(w, messages[i].data, messages[i].length, r->is_terminal);
    }
    return w->error == 0 && fwrite(w->bytes, 1, w->length, stdout) == w->length &&
           fflush(stdout) == 0;
}

static int fail_print(const struct receiver *r)
{
    if (r->out.error != 0)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(-r->out.error));
    if (errno == EPIPE || ending_is_asked())
        return EXIT_DONE;
    return tool_fail(EXIT_SYSTEM, "cannot write to stdout: %s; what was not written stays in msgd",
                     strerror(errno));
}

static void say_failed(const struct receiver *r, const struct msgd_message *m, int outcome)
{
    char from[MSGD_ADDRESS_TEXT_MAX], how[80];
    int status = r->answer.status;
    if (outcome == SERVICE_TIMED_OUT)
        snprintf(how, sizeof how, "was ended after %g s", r->options->exec_timeout);
    else if (outcome == SERVICE_TOO_LARGE)
        snprintf(how, sizeof how, "printed more than %d bytes", SERVICE_ANSWER_MAX);
    else if (outcome < 0)
        snprintf(how, sizeof how, "could not be started: %s", strerror(-outcome));
    else if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "was ended by signal %d", WTERMSIG(status));
    else
        snprintf(how, sizeof how, "failed with exit status %d", WEXITSTATUS(status));
    tool_fail(EXIT_SYSTEM, "the command for message %llu from %s %s; no reply sent",
              (unsigned long long)m->seq, msgd_address_print(&m->from, from), how);
}

static void reply(struct receiver *r, const struct msgd_message *m)
{
    char from[MSGD_ADDRESS_TEXT_MAX];
    int tries = REPLY_TRIES, error;
    while ((error = msgd_reply(r->m, m, r->answer.bytes, r->answer.n)) == -EAGAIN && tries-- > 0 &&
           !ending_is_asked())
        usleep(REPLY_PAUSE_US);
    if (error != 0)
        tool_fail(EXIT_SYSTEM, "no reply to message %llu from %s: %s", (unsigned long long)m->seq,
                  msgd_address_print(&m->from, from), msgd_error(r->m));
}

#define N_VARIABLES 6

struct environment {
    char texts[N_VARIABLES][MSGD_ADDRESS_TEXT_MAX + 24];
    const char *list[N_VARIABLES + 1];
};

static void describe(const struct msgd_message *m, struct environment *e)
{
    char text[MSGD_ADDRESS_TEXT_MAX];
    const size_t size = sizeof e->texts[0];
    snprintf(e->texts[0], size, "MSGD_FROM=%s", msgd_address_print(&m->from, text));
    snprintf(e->texts[1], size, "MSGD_TO=%s", msgd_address_print(&m->to, text));
    snprintf(e->texts[2], size, "MSGD_SEQ=%llu", (unsigned long long)m->seq);
    snprintf(e->texts[3], size, "MSGD_NAME=%s", m->name);
    snprintf(e->texts[4], size, "MSGD_TYPE=%s", types[m->type]);
    snprintf(e->texts[5], size, "MSGD_ID=%.*s", (int)m->id_length, m->id);
    for (size_t i = 0; i < N_VARIABLES; i++)
        e->list[i] = e->texts[i];
    e->list[N_VARIABLES] = NULL;
}

/* True: the message is done with. */
static bool serve(struct receiver *r, const struct msgd_message *m)
{
    const struct recv_options *o = r->options;
    struct environment environment;
    describe(m, &environment);
    struct service_call call = {.command = o->exec,
                                .input = m->data,
                                .n_input = m->length,
                                .environment = environment.list,
                                .timeout_ms = tool_milliseconds(o->exec_timeout)};
    if (o->common.json) {
        json_writer_reset(&r->out);
        write_envelope(&r->out, m);
        call.input = r->out.bytes;
        call.n_input = r->out.error == 0 ? r->out.length : 0;
    }
    int outcome = service_run(&call, &r->answer);
    if (outcome == SERVICE_ENDED)
        return false;
    if (outcome != 0)
        say_failed(r, m, outcome);
    else if (r->answer.n > 0)
        reply(r, m);
    return true;
}

/* Returns -1 to go on, else the exit code. */
static int handle(struct receiver *r, const struct msgd_message *messages, int n)
{
    bool is_done = r->options->exec != NULL ? serve(r, messages) : print_batch(r, messages, n);
    if (!is_done)
        return r->options->exec != NULL ? EXIT_DONE : fail_print(r);
    msgd_release(r->m, &messages[n - 1]);
    r->n_done += n;
    if (r->options->count == 0)
        set_deadline(r);
    return -1;
}

static int end_of_time(const struct receiver *r)
{
    if (r->options->count == 0)
        return EXIT_DONE;
    return tool_fail(EXIT_TEMPORARY, "%lld of %lld messages within %g s", (long long)r->n_done,
                     (long long)r->options->count, r->options->timeout);
}

static size_t batch_size(const struct receiver *r)
{
    int64_t left = r->options->count - r->n_done;
    if (r->options->exec != NULL)
        return 1;
    return r->options->count == 0 || left > BATCH ? BATCH : (size_t)left;
}

static int receive(struct receiver *r)
{
    struct msgd_message messages[BATCH];
    int code = -1;
    set_deadline(r);
    while (code < 0 && !ending_is_asked()) {
        if (r->options->count != 0 && r->n_done >= r->options->count)
            break;
        int n = msgd_receive(r->m, messages, batch_size(r), time_left(r));
        if (n > 0)
            code = handle(r, messages, n);
        else if (n == 0 && time_left(r) == 0)
            code = end_of_time(r);
        else if (n < 0 && n != -EINTR)
            code = tool_fail_call(r->m, n);
    }
    return code < 0 ? EXIT_DONE : code;
}

/* What came outside of sessions. Returns -1 to go on, else the exit code. */
static int receive_beside(void *context)
{
    struct receiver *r = context;
    struct msgd_message messages[BATCH];
    int n;
    while ((n = msgd_receive(r->m, messages, BATCH, 0)) > 0) {
        if (!print_batch(r, messages, n))
            return fail_print(r);
        msgd_release(r->m, &messages[n - 1]);
    }
    return n == 0 || n == -EINTR ? -1 : tool_fail_call(r->m, n);
}

static int serve_sessions(struct receiver *r, struct msgd_listener *listener)
{
    const struct recv_options *o = r->options;
    const struct session_server_options server = {
        .m = r->m,
        .listener = listener,
        .command = o->exec,
        .has_envelope = o->common.json,
        .is_terminal = r->is_terminal,
        .count = o->count,
        .timeout = o->timeout,
        .receive = receive_beside,
        .context = r,
    };
    return session_server_run(&server);
}

/*
 * Without settings of its own, is the endpoint one to join as it stands: a static one, a shared one
 * that somebody serves, or somebody else's (which an administrator may)?
 */
static bool is_to_be_joined(struct receiver *r)
{
    char parameters[128];
    char *text = NULL;
    snprintf(parameters, sizeof parameters, "{\"names\":[\"%s\"]}", r->options->common.operands[0]);
    if (msgd_call(r->m, "io.msgd.List", parameters, &text) != 0)
        return false;
    json_t *root;
    json_error_t fault;
    int error = json_input_parse(text, strlen(text), 0, &root, &fault);
    free(text);
    if (error != 0)
        return false;
    const json_t *e = json_array_get(json_object_get(root, "endpoints"), 0);
    const char *state = json_string_value(json_object_get(e, "state"));
    const char *mode = json_string_value(json_object_get(e, "mode"));
    const json_t *uid = json_object_get(json_object_get(e, "owner"), "uid");
    bool is_attached = state != NULL && strcmp(state, "attached") == 0;
    bool is_exclusive = mode == NULL || strcmp(mode, "exclusive") == 0;
    bool is_others = json_is_integer(uid) && json_integer_value(uid) != (json_int_t)geteuid();
    bool is_joined = e != NULL && (json_is_true(json_object_get(e, "static")) ||
                                   (is_attached ? !is_exclusive : is_others));
    json_decref(root);
    return is_joined;
}

/* Registered: says so, once whoever hears it can rely on it. */
static int attend(struct receiver *r, const struct msgd_endpoint *endpoint)
{
    struct msgd_listener *listener = NULL;
    bool is_v6 = strchr(endpoint->address, ':') != NULL;
    if (r->options->sessions) {
        int error = msgd_listen(&listener, r->m, endpoint->name);
        if (error != 0)
            return tool_fail_call(r->m, error);
    }
    tool_say("%s at %s%s%s:%u", endpoint->name, is_v6 ? "[" : "", endpoint->address,
             is_v6 ? "]" : "", endpoint->port);
    int code = listener != NULL ? serve_sessions(r, listener) : receive(r);
    listener = msgd_listener_close(listener);
    return code;
}

static int enrol(struct receiver *r)
{
    const struct recv_options *o = r->options;
    struct msgd_endpoint endpoint;
    struct msgd_registration registration;
    int error;
    if (!recv_options_have_settings(o) && is_to_be_joined(r)) {
        error = msgd_attach(r->m, o->common.operands[0], &endpoint);
    } else {
        recv_options_registration(o, &registration);
        error = msgd_register(r->m, &registration, &endpoint);
    }
    if (error == -EINTR)
        return EXIT_DONE;
    if (error != 0)
        return tool_fail_call(r->m, error);
    return attend(r, &endpoint);
}

static int run(const struct recv_options *options)
{
    static struct receiver r;
    r.options = options;
    r.is_terminal = isatty(STDOUT_FILENO);
    int error = ending_init();
    if (error != 0)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(-error));
    json_writer_init(&r.out);
    int code = tool_connect(&options->common, &r.m);
    if (code == EXIT_DONE)
        code = enrol(&r);
    r.m = msgd_close(r.m);
    json_writer_deinit(&r.out);
    r.options = NULL;
    ending_deinit();
    return code;
}

int main(int argc, char **argv)
{
    struct recv_options options;
    recv_options_init(&options);
    int code = tool_begin(&recv_tool, argc, argv, &options);
    if (code < 0)
        code = recv_options_check(&options);
    if (code < 0)
        code = run(&options);
    return tool_end(&recv_tool, &options, code);
}
