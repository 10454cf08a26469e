/* SPDX-License-Identifier: MIT */
/* msgsend --ack and msgsend --reply: messages whose fate is awaited, many at a time. */
#include "tools/send_acknowledged.h"

#include "tools/lines.h"
#include "tools/message.h"
#include "tools/quantiles.h"
#include "tools/send_payload.h"
#include "tools/send_rate.h"
#include "tools/send_verdict.h"
#include "tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define RESULTS_MAX 64

/* So many that failed are named; the rest is counted. */
#define NAMED_MAX 10

#define IN_FLIGHT_DEFAULT 256

/* One run of the tool. */
struct job {
    const struct send_options *options;
    const char *where;  /* TARGET */
    const char *source; /* of the lines: "stdin", or a file's name */
    struct msgd_sender *s;
    enum msgd_wish wish;
    struct send_rate rate;
    struct lines lines;
    int fd;              /* they come from; -1: PAYLOAD is all */
    const uint8_t *text; /* the message in hand */
    size_t n_text;
    int64_t n_left;   /* how often it is still to be sent */
    uint64_t line;    /* it stands in; 0: PAYLOAD */
    bool is_at_end;   /* no further message comes */
    bool is_stopped;  /* nothing more is sent: it would fare no better */
    int code;         /* of the first that failed */
    int64_t begin_ns; /* when the first was put */
    uint64_t n_sent, n_bytes, n_not_sent, n_failed;
    uint64_t outcomes[MSGD_OUTCOME_UNREACHABLE + 1];
    struct quantiles took_us;
    struct json_writer out;
};

static void fail(struct job *job, int code)
{
    if (job->code == EXIT_DONE)
        job->code = code;
}

/* ---- What became of messages ---- */

static void say_failure(struct job *job, uint64_t line, const struct send_verdict *verdict)
{
    job->n_failed++;
    fail(job, verdict->code);
    if (job->is_stopped)
        return;
    if (job->n_failed <= NAMED_MAX) {
        if (line > 0 && !verdict->is_of_all)
            tool_fail(verdict->code, "%s, line %llu: %s", job->source, (unsigned long long)line,
                      verdict->sentence);
        else
            tool_fail(verdict->code, "%s", verdict->sentence);
    }
    job->is_stopped = verdict->is_of_all || job->options->reply;
}

static void print_reply(struct job *job, const struct msgd_result *result)
{
    char text[MSGD_ADDRESS_TEXT_MAX];
    struct msgd_address from;
    struct json_writer *w = &job->out;
    msgd_sender_address(job->s, &from);
    json_writer_reset(w);
    if (job->options->common.json) {
        w->wants_comma = false;
        json_begin_object(w, NULL);
        json_put_string(w, "from", msgd_address_print(&from, text));
        message_put(w, result->reply, result->reply_length);
        json_end_object(w);
        json_put_raw_bytes(w, "\n", 1);
    } else {
        message_write_line(w, result->reply, result->reply_length, isatty(STDOUT_FILENO));
    }
    if (w->error == 0)
        fwrite(w->bytes, 1, w->length, stdout);
    fflush(stdout);
}

static void take_result(struct job *job, const struct msgd_result *result)
{
    struct send_verdict verdict;
    job->outcomes[result->outcome]++;
    send_verdict(result, job->wish, job->where, job->options->timeout, &verdict);
    if (verdict.code != EXIT_DONE) {
        say_failure(job, (uint64_t)(uintptr_t)result->token, &verdict);
        return;
    }
    quantiles_add(&job->took_us, (uint64_t)result->took_ns / 1000);
    if (result->outcome == MSGD_OUTCOME_REPLIED)
        print_reply(job, result);
}

/* Fetches results, waiting at most timeout_ms for the first. */
static void take_results(struct job *job, int timeout_ms)
{
    struct msgd_result results[RESULTS_MAX];
    int n = msgd_sender_results(job->s, results, RESULTS_MAX, timeout_ms);
    for (int i = 0; i < n; i++)
        take_result(job, &results[i]);
    if (n < 0 && n != -EINTR) {
        fail(job, tool_fail(EXIT_SYSTEM, "%s", msgd_sender_error(job->s)));
        job->is_stopped = true;
    }
}

/* ---- Messages ---- */

/* The message in hand cannot be sent: it is named, and those after it go on. */
static void refuse_line(struct job *job, const char *fault)
{
    job->n_not_sent++;
    job->n_left = 0;
    fail(job, tool_fail(EXIT_DATA, "%s, line %llu: %s; not sent", job->source,
                        (unsigned long long)job->line, fault));
}

/* A line is the message in hand, unless it is blank or cannot be one. */
static void take_line(struct job *job, const uint8_t *text, size_t n)
{
    char fault[PAYLOAD_FAULT_MAX];
    if (payload_is_blank(text, n))
        return;
    if (!payload_check(text, n, false, fault)) {
        refuse_line(job, fault);
        return;
    }
    job->text = text;
    job->n_text = n;
    job->n_left = job->options->count;
}

/* Is there a message to be put? False: not yet, or is_at_end. */
static bool has_message(struct job *job)
{
    while (job->n_left == 0 && !job->is_at_end) {
        const uint8_t *text;
        size_t n;
        enum lines_outcome outcome = lines_next(&job->lines, &text, &n);
        job->line = job->lines.number;
        if (outcome == LINES_TOO_LONG) {
            refuse_line(job, "too large for a datagram");
        } else if (outcome == LINES_LINE) {
            take_line(job, text, n);
        } else {
            job->is_at_end = job->fd < 0 || job->lines.is_at_end;
            return false;
        }
    }
    return job->n_left > 0;
}

static void put_failed(struct job *job, int error)
{
    if (error == -EMSGSIZE && job->line > 0) {
        refuse_line(job, "too large for a datagram with a header");
        return;
    }
    int code = error == -EINVAL || error == -EEXIST ? EXIT_USAGE
               : error == -EMSGSIZE                 ? EXIT_DATA
                                                    : EXIT_SYSTEM;
    fail(job, tool_fail(code, "%s", msgd_sender_error(job->s)));
    job->is_stopped = true;
}

/* Puts what may go now. Returns how long the next message has to wait for its turn, 0: not for
 * that.
 */
static int64_t put_messages(struct job *job)
{
    while (!job->is_stopped && has_message(job)) {
        const struct msgd_send message = {.data = job->text,
                                          .length = job->n_text,
                                          .wish = job->wish,
                                          .id = job->options->id,
                                          .token = (void *)(uintptr_t)job->line};
        int64_t left_ns = send_rate_left_ns(&job->rate, send_rate_now());
        if (left_ns > 0)
            return left_ns;
        int error = msgd_sender_put(job->s, &message);
        if (error == -EAGAIN)
            return 0;
        if (error != 0) {
            put_failed(job, error);
            continue;
        }
        send_rate_take(&job->rate);
        if (job->n_sent == 0)
            job->begin_ns = send_rate_now();
        job->n_left--;
        job->n_sent++;
        job->n_bytes += job->n_text;
    }
    return 0;
}

/* ---- Running ---- */

static int milliseconds(int64_t ns)
{
    int64_t ms = (ns + 999999) / 1000000;
    return ms < 60000 ? (int)ms : 60000;
}

/* Waits for the next line, or for something that is to be done meanwhile. */
static void wait_for_input(struct job *job)
{
    struct pollfd fds[] = {{.fd = job->fd, .events = POLLIN},
                           {.fd = msgd_sender_fd(job->s), .events = POLLIN}};
    if (fds[1].fd < 0) {
        fail(job, tool_fail(EXIT_SYSTEM, "%s", msgd_sender_error(job->s)));
        job->is_stopped = true;
        return;
    }
    if (poll(fds, 2, -1) <= 0 || fds[0].revents == 0)
        return;
    int error = lines_read(&job->lines, job->fd);
    if (error != 0 && error != -EAGAIN) {
        fail(job, tool_fail(EXIT_INPUT, "%s: %s", job->source, strerror(-error)));
        job->is_at_end = true;
    }
}

static void run(struct job *job)
{
    for (;;) {
        int64_t left_ns = put_messages(job);
        bool is_over = job->is_stopped || (job->is_at_end && job->n_left == 0);
        bool wants_input = !is_over && job->n_left == 0;
        if (wants_input) {
            take_results(job, 0);
            if (!job->is_stopped)
                wait_for_input(job);
        } else if (left_ns > 0 && msgd_sender_unanswered(job->s) == 0) {
            poll(NULL, 0, milliseconds(left_ns));
        } else if (is_over && msgd_sender_unanswered(job->s) == 0) {
            return;
        } else {
            take_results(job, left_ns > 0 ? milliseconds(left_ns) : -1);
        }
        if (ferror(stdout))
            job->is_stopped = true;
    }
}

static void put_count(struct json_writer *w, const struct job *job, enum msgd_outcome outcome)
{
    json_put_uint(w, msgd_outcome_name(outcome), job->outcomes[outcome]);
}

static void print_summary(struct job *job)
{
    struct json_writer *w = &job->out;
    struct msgd_sender_figures figures;
    struct msgd_address to;
    char text[MSGD_ADDRESS_TEXT_MAX];
    double seconds = job->n_sent > 0 ? (double)(send_rate_now() - job->begin_ns) / 1e9 : 0;
    msgd_sender_figures(job->s, &figures);
    msgd_sender_address(job->s, &to);
    json_writer_reset(w);
    w->wants_comma = false;
    json_begin_object(w, NULL);
    json_put_string(w, "target", msgd_address_print(&to, text));
    json_put_uint(w, "sent", job->n_sent);
    json_put_uint(w, "bytes", job->n_bytes);
    json_put_uint(w, "not_sent", job->n_not_sent);
    put_count(w, job, MSGD_OUTCOME_STORED);
    put_count(w, job, MSGD_OUTCOME_RELEASED);
    put_count(w, job, MSGD_OUTCOME_REFUSED);
    put_count(w, job, MSGD_OUTCOME_TIMED_OUT);
    put_count(w, job, MSGD_OUTCOME_UNREACHABLE);
    json_put_uint(w, "datagrams", figures.sent);
    json_put_uint(w, "resent", figures.resent);
    json_put_double(w, "seconds", seconds);
    json_put_uint(w, "p50_us", quantiles_at(&job->took_us, 0.5));
    json_put_uint(w, "p99_us", quantiles_at(&job->took_us, 0.99));
    json_put_uint(w, "max_us", job->took_us.max);
    json_end_object(w);
    json_put_raw_bytes(w, "\n", 1);
    if (w->error == 0)
        fwrite(w->bytes, 1, w->length, stdout);
}

/* One message has had its sentence; of many it is said how many. */
static void say_sum(const struct job *job)
{
    if (job->n_failed == 0 || job->n_sent <= 1 || job->options->reply)
        return;
    tool_say("%llu of %llu messages were not %s: %llu refused, %llu without an answer in time, "
             "%llu with nobody there",
             (unsigned long long)job->n_failed, (unsigned long long)job->n_sent,
             job->wish == MSGD_WISH_RELEASED ? "released" : "stored",
             (unsigned long long)job->outcomes[MSGD_OUTCOME_REFUSED],
             (unsigned long long)job->outcomes[MSGD_OUTCOME_TIMED_OUT],
             (unsigned long long)job->outcomes[MSGD_OUTCOME_UNREACHABLE]);
}

static int open_sender(struct job *job)
{
    const struct send_options *o = job->options;
    int64_t in_flight = o->reply ? 1 : o->in_flight > 0 ? o->in_flight : IN_FLIGHT_DEFAULT;
    int timeout_ms = tool_milliseconds(o->timeout);
    const struct msgd_sender_options options = {.socket_path = o->common.socket,
                                                .max_unanswered = (uint32_t)in_flight,
                                                .timeout_ms = timeout_ms > 0 ? timeout_ms : 1};
    int error = msgd_sender_open(&job->s, job->where, &options);
    return error != 0 ? send_fail_target(error, msgd_sender_error(NULL)) : EXIT_DONE;
}

static int open_input(struct job *job)
{
    const char *payload = send_options_payload(job->options), *file = job->options->file;
    bool is_stdin = file == NULL || strcmp(file, "-") == 0;
    job->fd = -1;
    if (payload != NULL) {
        job->text = (const uint8_t *)payload;
        job->n_text = strlen(payload);
        job->n_left = job->options->count;
        return EXIT_DONE;
    }
    job->fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (job->fd < 0)
        return tool_fail(EXIT_INPUT, "%s: %s", file, strerror(errno));
    job->source = is_stdin ? "stdin" : file;
    return EXIT_DONE;
}

static void close_all(struct job *job)
{
    if (job->fd > STDIN_FILENO)
        close(job->fd);
    job->s = msgd_sender_close(job->s);
    lines_deinit(&job->lines);
    json_writer_deinit(&job->out);
}

int send_acknowledged(const struct send_options *options)
{
    static struct job job;
    job.options = options;
    job.where = options->common.operands[0];
    job.rate.rate = options->rate;
    job.wish = options->reply      ? MSGD_WISH_REPLY
               : options->ack == 1 ? MSGD_WISH_RELEASED
                                   : MSGD_WISH_STORED;
    json_writer_init(&job.out);
    lines_init(&job.lines, PAYLOAD_MAX);
    int code = open_input(&job);
    if (code == EXIT_DONE)
        code = open_sender(&job);
    if (code == EXIT_DONE) {
        run(&job);
        say_sum(&job);
        if (options->common.json && !options->reply)
            print_summary(&job);
        code = job.code;
    }
    close_all(&job);
    return code;
}
