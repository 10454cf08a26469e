/* SPDX-License-Identifier: MIT */
/* msgsend: sends JSON messages by UDP. Here those that nobody acknowledges. */
#include "client/feed.h"
#include "tools/lines.h"
#include "tools/message.h"
#include "tools/send_acknowledged.h"
#include "tools/send_options.h"
#include "tools/send_payload.h"
#include "tools/send_rate.h"
#include "tools/send_reply.h"
#include "tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One run of the tool. */
struct job {
    const struct send_options *options;
    const char *target_text;
    struct msgd_feed *feed;            /* NULL: --from */
    struct msgd *m;                    /* --from */
    struct target_addresses addresses; /* --from: those that msgd has not refused */
    struct json_writer out;
    struct lines lines;
    struct payload payload;
    uint64_t n_sent, n_bytes, n_refused;
    struct send_rate rate;
};

/* ---- Failures ---- */

static const struct target_addresses *addresses_of(const struct job *job)
{
    return job->feed != NULL ? &job->feed->socket.addresses : &job->addresses;
}

/* What was sent to, for a sentence: "localhost:7000 (tried [::1]:7000, 127.0.0.1:7000)". */
static const char *describe_target(const struct job *job, char buf[1024])
{
    const struct target_addresses *a = addresses_of(job);
    char text[ADDRESS_TEXT_MAX];
    size_t length = (size_t)snprintf(buf, 1024, "%s", job->target_text);
    bool is_same = a->n == 1 && strcmp(address_print(&a->items[0], text), buf) == 0;
    for (size_t i = 0; i < a->n && !is_same && length < 900; i++)
        length += (size_t)snprintf(buf + length, 1024 - length, "%s%s", i == 0 ? " (tried " : ", ",
                                   address_print(&a->items[i], text));
    if (!is_same && a->n > 0)
        snprintf(buf + length, 1024 - length, ")");
    return buf;
}

static int fail_send(const struct job *job, int error)
{
    char where[1024];
    describe_target(job, where);
    switch (error) {
    case -ECONNREFUSED:
        return tool_fail(EXIT_UNAVAILABLE,
                         "nobody listens on %s; start the receiver, or register the port with "
                         "msgrecv",
                         where);
    case -EMSGSIZE:
        return tool_fail(EXIT_DATA, "%s: the message is too large for a datagram", where);
    case -EPERM:
        return tool_fail(EXIT_NOT_PERMITTED, "%s: a firewall rule of this host forbids it", where);
    case -EACCES:
        return tool_fail(EXIT_NOT_PERMITTED, "%s: %s", where, strerror(EACCES));
    default:
        return tool_fail(exit_code_of("", error), "%s: %s", where, strerror(-error));
    }
}

/* ---- One message ---- */

/* Everything that was put leaves. */
static int flush(struct job *job)
{
    int error;
    if (job->feed == NULL)
        return EXIT_DONE;
    do
        error = msgd_feed_flush(job->feed, -1);
    while (error == -EINTR);
    return error != 0 ? fail_send(job, error) : EXIT_DONE;
}

static int wait_for_turn(struct job *job)
{
    int64_t left_ns;
    int code = EXIT_DONE;
    while (code == EXIT_DONE && (left_ns = send_rate_left_ns(&job->rate, send_rate_now())) > 0) {
        const struct timespec left = {.tv_sec = left_ns / 1000000000,
                                      .tv_nsec = left_ns % 1000000000};
        code = flush(job);
        if (code == EXIT_DONE)
            nanosleep(&left, NULL);
    }
    send_rate_take(&job->rate);
    return code;
}

#define BUSY_TRIES    100
#define BUSY_PAUSE_US 10000

/* From an endpoint's own port. The first address that msgd takes is kept. */
static int send_from(struct job *job, const void *bytes, size_t n)
{
    struct target_addresses *a = &job->addresses;
    char to[ADDRESS_TEXT_MAX];
    int error = -EINVAL;
    for (size_t i = 0; i < a->n; i++) {
        address_print(&a->items[i], to);
        int tries = BUSY_TRIES;
        while ((error = msgd_send_from(job->m, job->options->from, to, bytes, n)) == -EAGAIN &&
               tries-- > 0)
            usleep(BUSY_PAUSE_US);
        if (error == 0) {
            a->items[0] = a->items[i];
            a->n = 1;
            return EXIT_DONE;
        }
        if (strcmp(msgd_error_name(job->m), "io.msgd.BadAddress") != 0)
            break;
    }
    return tool_fail_call(job->m, error);
}

static int put(struct job *job, const void *bytes, size_t n)
{
    int error, code = EXIT_DONE;
    while ((error = msgd_feed_put(job->feed, bytes, n)) == -EAGAIN && code == EXIT_DONE)
        code = flush(job);
    return code != EXIT_DONE || error == 0 ? code : fail_send(job, error);
}

static void print_reply(struct job *job, const void *bytes, size_t n, const struct address *from)
{
    char text[ADDRESS_TEXT_MAX];
    struct json_writer *w = &job->out;
    json_writer_reset(w);
    if (job->options->common.json) {
        w->wants_comma = false;
        json_begin_object(w, NULL);
        json_put_string(w, "from", address_print(from, text));
        message_put(w, bytes, n);
        json_end_object(w);
        json_put_raw_bytes(w, "\n", 1);
    } else {
        message_write_line(w, bytes, n, isatty(STDOUT_FILENO));
    }
    if (w->error == 0)
        fwrite(w->bytes, 1, w->length, stdout);
    fflush(stdout);
}

/* A plain request: the datagram that comes back is the answer. */
static int ask(struct job *job, const void *bytes, size_t n)
{
    static uint8_t room[65536];
    char text[ADDRESS_TEXT_MAX];
    struct address from;
    send_reply_drain(msgd_feed_fd(job->feed));
    int code = put(job, bytes, n);
    if (code == EXIT_DONE)
        code = flush(job);
    if (code != EXIT_DONE)
        return code;
    int timeout_ms = tool_milliseconds(job->options->timeout);
    long length = send_reply_receive(msgd_feed_fd(job->feed), room, sizeof room, timeout_ms, &from);
    if (length == -ETIMEDOUT)
        return tool_fail(EXIT_TEMPORARY, "no answer from %s within %g s",
                         address_print(feed_socket_address(&job->feed->socket), text),
                         job->options->timeout);
    if (length < 0)
        return fail_send(job, (int)length);
    print_reply(job, room, (size_t)length, &from);
    return EXIT_DONE;
}

static int send_once(struct job *job, const void *bytes, size_t n)
{
    int code = wait_for_turn(job);
    if (code == EXIT_DONE)
        code = job->feed == NULL     ? send_from(job, bytes, n)
               : job->options->reply ? ask(job, bytes, n)
                                     : put(job, bytes, n);
    if (code == EXIT_DONE) {
        job->n_sent++;
        job->n_bytes += n;
    }
    return code;
}

static int send_message(struct job *job, const void *bytes, size_t n)
{
    int code = EXIT_DONE;
    for (int64_t i = 0; i < job->options->count && code == EXIT_DONE && !ferror(stdout); i++)
        code = send_once(job, bytes, n);
    return code;
}

/* ---- Many messages ---- */

static void refuse_line(struct job *job, const char *source, const char *fault)
{
    job->n_refused++;
    tool_fail(EXIT_DATA, "%s, line %llu: %s; not sent", source,
              (unsigned long long)job->lines.number, fault);
}

/* A line that cannot be sent is named, and the lines after it go on. */
static int send_line(struct job *job, const char *source, const uint8_t *text, size_t n)
{
    char fault[PAYLOAD_FAULT_MAX];
    bool is_raw = job->options->raw;
    if (!is_raw && payload_is_blank(text, n))
        return EXIT_DONE;
    if (payload_check(text, n, is_raw, fault))
        return send_message(job, text, n);
    refuse_line(job, source, fault);
    return EXIT_DONE;
}

/* Reads on. What was put does not wait for what may come much later. */
static int read_more(struct job *job, int fd, const char *source)
{
    struct pollfd input = {.fd = fd, .events = POLLIN};
    int code = poll(&input, 1, 0) == 0 ? flush(job) : EXIT_DONE;
    int error = code == EXIT_DONE ? lines_read(&job->lines, fd) : 0;
    if (error == -EAGAIN)
        (void)poll(&input, 1, -1);
    else if (error != 0)
        code = tool_fail(EXIT_INPUT, "%s: %s", source, strerror(-error));
    return code;
}

static int send_lines(struct job *job, int fd, const char *source)
{
    int code = EXIT_DONE;
    while (code == EXIT_DONE && !ferror(stdout)) {
        const uint8_t *text;
        size_t n;
        enum lines_outcome outcome = lines_next(&job->lines, &text, &n);
        if (outcome == LINES_LINE)
            code = send_line(job, source, text, n);
        else if (outcome == LINES_TOO_LONG)
            refuse_line(job, source, "too large for a datagram");
        else if (job->lines.is_at_end)
            break;
        else
            code = read_more(job, fd, source);
    }
    return code;
}

static int send_whole(struct job *job, int fd, const char *source)
{
    int error = payload_read_all(fd, &job->payload);
    if (error != 0)
        return tool_fail(EXIT_INPUT, "%s: %s", source, strerror(-error));
    if (job->payload.is_too_large)
        return tool_fail(EXIT_DATA, "%s: too large: a datagram holds %d bytes", source,
                         PAYLOAD_MAX);
    return send_message(job, job->payload.bytes, job->payload.n);
}

static int send_input(struct job *job)
{
    const char *file = job->options->file;
    bool is_stdin = file == NULL || strcmp(file, "-") == 0;
    const char *source = is_stdin ? "stdin" : file;
    int fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tool_fail(EXIT_INPUT, "%s: %s", file, strerror(errno));
    int code = job->options->raw && file != NULL ? send_whole(job, fd, source)
                                                 : send_lines(job, fd, source);
    if (!is_stdin)
        close(fd);
    return code;
}

/* ---- All of it ---- */

static void print_summary(const struct job *job)
{
    struct msgd_feed_figures f = {.sent = job->n_sent, .datagrams = job->n_sent};
    const struct address *to = &job->addresses.items[0];
    char text[ADDRESS_TEXT_MAX];
    if (job->feed != NULL) {
        msgd_feed_figures(job->feed, &f);
        to = feed_socket_address(&job->feed->socket);
    }
    printf(
        "{\"target\":\"%s\",\"sent\":%llu,\"bytes\":%llu,\"not_sent\":%llu,\"datagrams\":%llu}\n",
        address_print(to, text), (unsigned long long)f.sent, (unsigned long long)job->n_bytes,
        (unsigned long long)job->n_refused, (unsigned long long)f.datagrams);
}

static int finish(struct job *job, int code)
{
    const struct send_options *o = job->options;
    if (code == EXIT_DONE && job->feed != NULL && !o->reply) {
        code = flush(job);
        int error = code == EXIT_DONE && job->n_sent > 0 ? feed_settle(job->feed) : 0;
        if (error != 0)
            code = fail_send(job, error);
    }
    if (o->common.json && !o->reply)
        print_summary(job);
    return code == EXIT_DONE && job->n_refused > 0 ? EXIT_DATA : code;
}

/* The feed, or with --from what msgd needs to send. */
static int open_target(struct job *job)
{
    const struct send_options *o = job->options;
    int linger_ms = tool_milliseconds(o->linger);
    const struct msgd_feed_options options = {.socket_path = o->common.socket,
                                              .is_batch = o->batch,
                                              .is_raw = 1, /* payload_check has looked at it */
                                              .linger_ms = linger_ms > 0 ? linger_ms : -1};
    struct failure failure = {0};
    if (o->from == NULL) {
        int error = msgd_feed_open(&job->feed, job->target_text, &options);
        if (error != 0)
            return send_fail_target(error, msgd_feed_error(NULL));
        return EXIT_DONE;
    }
    int error = target_find(job->target_text, o->common.socket, &job->addresses, &failure);
    int code = error != 0 ? send_fail_target(error, failure.sentence) : EXIT_DONE;
    failure_deinit(&failure);
    return code == EXIT_DONE ? tool_connect(&o->common, &job->m) : code;
}

static int send_all(struct job *job)
{
    const char *payload = send_options_payload(job->options);
    int code = open_target(job);
    if (code != EXIT_DONE)
        return code;
    code = payload != NULL ? send_message(job, payload, strlen(payload)) : send_input(job);
    return finish(job, code);
}

static int send_plain(const struct send_options *options)
{
    static struct job job;
    job.options = options;
    job.target_text = options->common.operands[0];
    job.rate.rate = options->rate;
    json_writer_init(&job.out);
    lines_init(&job.lines, PAYLOAD_MAX);
    int code = send_all(&job);
    lines_deinit(&job.lines);
    json_writer_deinit(&job.out);
    job.feed = msgd_feed_close(job.feed);
    job.m = msgd_close(job.m);
    return code;
}

int main(int argc, char **argv)
{
    struct send_options options;
    send_options_init(&options);
    int code = tool_begin(&send_tool, argc, argv, &options);
    if (code >= 0)
        return tool_end(&send_tool, &options, code);
    code = send_options_check(&options);
    if (code == EXIT_DONE)
        code =
            send_options_are_framed(&options) ? send_acknowledged(&options) : send_plain(&options);
    return tool_end(&send_tool, &options, code);
}
