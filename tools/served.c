/* SPDX-License-Identifier: MIT */
/* Between a session and a command, or stdout. */
#include "tools/served.h"

#include "tools/message.h"
#include "tools/send_payload.h"
#include "tools/tool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_once(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/*
 * To be called before a descriptor is closed: another command that is being started has all of them
 * until its program runs, and so long epoll would go on to name this struct, which may be freed.
 */
static void unwatch(const struct served *v, int fd)
{
    if (fd >= 0)
        (void)!epoll_ctl(v->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void abort_session(struct served *v, const char *reason)
{
    if (v->s == NULL)
        return;
    unwatch(v, msgd_session_fd(v->s));
    v->s = msgd_session_abort(v->s, reason);
}

static void close_session(struct served *v)
{
    unwatch(v, msgd_session_fd(v->s));
    (void)!msgd_session_close(v->s, 0);
    v->s = NULL;
}

static void close_input(struct served *v)
{
    unwatch(v, v->command.input);
    close_once(&v->command.input);
}

/* Waits for the command, which closes all but its output. */
static int finish_command(struct served *v)
{
    int output = v->command.output;
    unwatch(v, v->command.input);
    unwatch(v, v->command.pidfd);
    v->command.output = -1;
    int status = command_finish(&v->command);
    v->command.output = output;
    v->has_command = false;
    return status;
}

/* ---- Beginning ---- */

#define N_VARIABLES 5

/* "NAME=value" for each; free each, and the array ends with NULL. 0 or -ENOMEM. */
static int describe(const struct msgd_offer *offer, char *variables[N_VARIABLES + 1])
{
    const char *identity = offer->identity != NULL ? offer->identity : "";
    const char *const values[N_VARIABLES][2] = {{"MSGD_FROM", offer->peer},
                                                {"MSGD_TO", offer->address},
                                                {"MSGD_NAME", offer->name},
                                                {"MSGD_SESSION", offer->session},
                                                {"MSGD_IDENTITY", identity}};
    for (size_t i = 0; i < N_VARIABLES; i++)
        if (asprintf(&variables[i], "%s=%s", values[i][0], values[i][1]) < 0) {
            variables[i] = NULL;
            return -ENOMEM;
        }
    return 0;
}

static int watch(struct served *v, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = v};
    return epoll_ctl(v->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int start_command(struct served *v, const struct msgd_offer *offer, const char *command)
{
    char *variables[N_VARIABLES + 1] = {NULL};
    int error = describe(offer, variables);
    if (error == 0)
        error = command_start(&v->command, command, (const char *const *)variables);
    for (size_t i = 0; i < N_VARIABLES; i++)
        free(variables[i]);
    if (error != 0)
        return error;
    v->is_command = v->has_command = true;
    error = watch(v, v->command.pidfd, EPOLLIN | EPOLLET);
    if (error == 0)
        error = watch(v, v->command.input, EPOLLOUT | EPOLLET);
    if (error == 0)
        error = watch(v, v->command.output, EPOLLIN | EPOLLET);
    return error;
}

int served_new(struct served **out, struct msgd_session *s, const struct msgd_offer *offer,
               const char *command, int epoll)
{
    struct served *v = calloc(1, sizeof *v);
    *out = NULL;
    if (v == NULL) {
        msgd_session_abort(s, "no_memory");
        return -ENOMEM;
    }
    *v = (struct served){.epoll = epoll, .s = s, .name = offer->name, .kill_ms = INT64_MAX};
    snprintf(v->id, sizeof v->id, "%s", offer->session);
    json_writer_init(&v->input);
    lines_init(&v->output, MSGD_TEXT_MAX);
    int error = watch(v, msgd_session_fd(s), EPOLLIN);
    if (error == 0 && command != NULL)
        error = start_command(v, offer, command);
    if (error == 0) {
        *out = v;
        return 0;
    }
    abort_session(v, "server failed");
    (void)served_free(v);
    return error;
}

/* ---- Ending ---- */

void served_end(struct served *v, const char *reason, int64_t now_ms)
{
    abort_session(v, reason);
    if (!v->has_command || v->kill_ms != INT64_MAX)
        return;
    close_input(v);
    command_signal(&v->command, SIGTERM);
    v->kill_ms = now_ms + SERVED_GRACE_MS;
}

struct served *served_free(struct served *v)
{
    abort_session(v, "server ended");
    if (v->has_command) {
        command_signal(&v->command, SIGKILL);
        (void)finish_command(v);
    }
    if (v->is_command) {
        unwatch(v, v->command.output);
        close_once(&v->command.output);
    }
    json_writer_deinit(&v->input);
    lines_deinit(&v->output);
    free(v);
    return NULL;
}

static void fail(struct served *v, int64_t now_ms)
{
    tool_fail(EXIT_SYSTEM, "session %s: %s", v->id, msgd_session_error(v->s));
    served_end(v, NULL, now_ms);
}

/* ---- What the client says ---- */

static void put_message(struct served *v, struct json_writer *w, const struct msgd_text *text)
{
    const char *identity = msgd_session_identity(v->s);
    if (!v->has_envelope) {
        message_write_line(w, text->data, text->length, v->is_terminal && !v->has_command);
        return;
    }
    w->wants_comma = false;
    json_begin_object(w, NULL);
    json_put_string(w, "name", v->name);
    json_put_string(w, "session", v->id);
    json_put_string(w, "from", msgd_session_peer(v->s));
    if (identity != NULL)
        json_put_raw(w, "identity", identity, strlen(identity));
    else
        json_put_null(w, "identity");
    message_put(w, text->data, text->length);
    json_end_object(w);
    json_put_raw_bytes(w, "\n", 1);
}

/* The next message as a line in v->input. 1; 0: none; or what the session has failed with. */
static int next_message(struct served *v)
{
    struct msgd_text text;
    int rc = v->is_finished ? -EAGAIN : msgd_session_read(v->s, &text, 0);
    if (rc == 0)
        v->is_finished = true;
    if (rc != 1)
        return rc == -EAGAIN || rc == -EINTR ? 0 : rc;
    json_writer_reset(&v->input);
    v->input_at = 0;
    put_message(v, &v->input, &text);
    return v->input.error != 0 ? v->input.error : 1;
}

/* 0; or what the session has failed with. *is_printing: false where stdout is closed. */
static int print_messages(struct served *v, bool *is_printing)
{
    int rc;
    *is_printing = true;
    while ((rc = next_message(v)) == 1) {
        *is_printing = fwrite(v->input.bytes, 1, v->input.length, stdout) == v->input.length;
        if (!*is_printing)
            return 0;
    }
    *is_printing = fflush(stdout) == 0;
    return rc;
}

/* Writes what is in hand. True: it has all gone, or nobody reads it. */
static bool feed(struct served *v)
{
    while (v->input_at < v->input.length && v->command.input >= 0) {
        ssize_t n =
            write(v->command.input, v->input.bytes + v->input_at, v->input.length - v->input_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0)
            close_input(v); /* a command need not read */
        else
            v->input_at += (size_t)n;
    }
    return true;
}

static int feed_messages(struct served *v)
{
    while (feed(v)) {
        int rc = next_message(v);
        if (rc < 0)
            return rc;
        if (rc == 0 && v->is_finished)
            close_input(v);
        if (rc == 0)
            break;
    }
    return 0;
}

/* ---- What the command says ---- */

/* A line that is no message is named and passed over: the others still are. */
static void refuse_line(struct served *v, const char *fault)
{
    tool_fail(EXIT_DATA, "session %s: line %llu of the command: %s; not sent", v->id,
              (unsigned long long)v->output.number, fault);
}

static bool next_line(struct served *v)
{
    char fault[PAYLOAD_FAULT_MAX];
    while (!v->has_line) {
        enum lines_outcome outcome = lines_next(&v->output, &v->line, &v->n_line);
        if (outcome == LINES_NONE)
            return false;
        if (outcome == LINES_TOO_LONG)
            refuse_line(v, "too large: a message has at most 16 MiB");
        else if (payload_is_blank(v->line, v->n_line))
            continue;
        else if (payload_check_json(v->line, v->n_line, fault))
            v->has_line = true;
        else
            refuse_line(v, fault);
    }
    return true;
}

/* What the command has printed goes to the client. 0, or what the session has failed with. */
static int take_lines(struct served *v)
{
    for (;;) {
        while (next_line(v)) {
            int error = msgd_session_queue(v->s, v->line, v->n_line);
            v->has_line = error == -EAGAIN;
            if (error != 0)
                return error == -EAGAIN || error == -EINTR ? 0 : error;
        }
        if (v->output.is_at_end)
            return 0;
        int error = lines_read(&v->output, v->command.output);
        if (error == -EAGAIN && !v->has_command)
            v->output.is_at_end = true; /* what it left running is not waited for */
        else if (error != 0)
            return error == -EAGAIN ? 0 : error;
    }
}

static bool has_exited(const struct served *v)
{
    struct pollfd fd = {.fd = v->command.pidfd, .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

/* Waits for the command, which has ended; its output may hold more. */
static void reap(struct served *v)
{
    int status = finish_command(v);
    if (status == 0 || v->kill_ms != INT64_MAX)
        return;
    if (WIFSIGNALED(status))
        tool_fail(EXIT_SYSTEM, "session %s: the command was ended by signal %d", v->id,
                  WTERMSIG(status));
    else
        tool_fail(EXIT_SYSTEM, "session %s: the command failed with exit status %d", v->id,
                  WEXITSTATUS(status));
}

/* ---- Both ---- */

/* Its session is over; the command may still be there. */
static enum served_outcome await_command(struct served *v, int64_t now_ms)
{
    if (v->has_command && has_exited(v))
        reap(v);
    if (v->has_command && now_ms >= v->kill_ms)
        command_signal(&v->command, SIGKILL);
    return v->has_command ? SERVED_GOES_ON : SERVED_OVER;
}

/* Says that nothing more comes, once that is so. 0, or what the session has failed with. */
static int finish(struct served *v)
{
    bool has_said_all = v->is_command ? v->output.is_at_end && !v->has_line : v->is_finished;
    if (!has_said_all || v->has_finished)
        return msgd_session_process(v->s);
    v->has_finished = true;
    return msgd_session_finish(v->s);
}

enum served_outcome served_go_on(struct served *v, int64_t now_ms)
{
    bool is_printing = true;
    if (v->s == NULL)
        return await_command(v, now_ms);
    int error = v->is_command ? feed_messages(v) : print_messages(v, &is_printing);
    if (!is_printing)
        return SERVED_NO_PRINT;
    if (v->has_command && has_exited(v))
        reap(v);
    if (error == 0 && v->is_command)
        error = take_lines(v);
    if (error == 0)
        error = finish(v);
    if (error != 0)
        fail(v, now_ms);
    else if (msgd_session_state(v->s) == MSGD_SESSION_DONE)
        close_session(v);
    return v->s == NULL ? await_command(v, now_ms) : SERVED_GOES_ON;
}
