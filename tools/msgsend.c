/* SPDX-License-Identifier: MIT */
/* msgsend: sends JSON messages by UDP. Here those that nobody acknowledges. */
#include "client/target.h"
#include "tools/message.h"
#include "tools/send_acknowledged.h"
#include "tools/send_options.h"
#include "tools/send_payload.h"
#include "tools/send_rate.h"
#include "tools/send_socket.h"
#include "tools/tool.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One run of the tool. */
struct job {
    const struct send_options *options;
    const char *target_text;
    struct address addresses[SEND_MAX_ADDRESSES];
    size_t n_addresses;
    struct msgd *m; /* NULL while it is not needed */
    struct send_socket socket;
    struct json_writer out;
    struct payload payload;
    uint64_t n_sent, n_bytes, n_refused;
    struct send_rate rate;
};

/* What was sent to, for a sentence: "localhost:7000 (tried [::1]:7000, 127.0.0.1:7000)". */
static const char *describe_target(const struct job *job, char buf[1024])
{
    char text[ADDRESS_TEXT_MAX];
    size_t length = (size_t)snprintf(buf, 1024, "%s", job->target_text);
    bool is_same =
        job->n_addresses == 1 && strcmp(address_print(&job->addresses[0], text), buf) == 0;
    for (size_t i = 0; i < job->n_addresses && !is_same && length < 900; i++)
        length += (size_t)snprintf(buf + length, 1024 - length, "%s%s", i == 0 ? " (tried " : ", ",
                                   address_print(&job->addresses[i], text));
    if (!is_same && job->n_addresses > 0)
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

static int fail_host(const char *host, int error)
{
    enum exit_code code = error == EAI_AGAIN    ? EXIT_TEMPORARY
                          : error == EAI_MEMORY ? EXIT_SYSTEM
                          : error == EAI_SYSTEM ? EXIT_SYSTEM
                                                : EXIT_NO_NAME;
    return tool_fail(code, "host \"%s\": %s", host,
                     error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
}

static int resolve_host(struct job *job, const struct target *target)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(target->host, NULL, &hints, &list);
    if (error != 0)
        return fail_host(target->host, error);
    for (struct addrinfo *a = list; a != NULL && job->n_addresses < SEND_MAX_ADDRESSES;
         a = a->ai_next) {
        struct address *address = &job->addresses[job->n_addresses];
        if (address_from_sockaddr(a->ai_addr, address) != 0)
            continue;
        address->port = target->port;
        job->n_addresses++;
    }
    freeaddrinfo(list);
    return job->n_addresses > 0 ? EXIT_DONE : fail_host(target->host, EAI_NONAME);
}

static int need_msgd(struct job *job)
{
    return job->m != NULL ? EXIT_DONE : tool_connect(&job->options->common, &job->m);
}

static int resolve_name(struct job *job, const char *name)
{
    int code = need_msgd(job);
    if (code != EXIT_DONE)
        return code;
    struct msgd_address found;
    int error = msgd_resolve(job->m, name, &found);
    if (error != 0 && strspn(name, "0123456789") == strlen(name))
        return tool_fail(EXIT_NO_NAME,
                         "no endpoint is called \"%s\"; a port of this host is 127.0.0.1:%s", name,
                         name);
    if (error != 0)
        return tool_fail_call(job->m, error);
    char text[MSGD_ADDRESS_TEXT_MAX];
    error = address_parse(msgd_address_print(&found, text), &job->addresses[0]);
    if (error != 0 || job->addresses[0].port == 0)
        return tool_fail(EXIT_UNAVAILABLE, "\"%s\" has no port yet; msgls %s says why", name, name);
    job->n_addresses = 1;
    return EXIT_DONE;
}

static int resolve_target(struct job *job)
{
    struct target target;
    const char *expected;
    if (target_parse(job->target_text, &target, &expected) != 0)
        return tool_usage("TARGET \"%s\": expected %s", job->target_text, expected);
    if (target.kind == TARGET_NAME)
        return resolve_name(job, target.name);
    if (target.kind == TARGET_HOST)
        return resolve_host(job, &target);
    job->addresses[0] = target.address;
    job->n_addresses = 1;
    return EXIT_DONE;
}

static void wait_for_turn(struct job *job)
{
    int64_t left_ns;
    while ((left_ns = send_rate_left_ns(&job->rate, send_rate_now())) > 0) {
        const struct timespec left = {.tv_sec = left_ns / 1000000000,
                                      .tv_nsec = left_ns % 1000000000};
        nanosleep(&left, NULL);
    }
    send_rate_take(&job->rate);
}

#define BUSY_TRIES    100
#define BUSY_PAUSE_US 10000

/* From an endpoint's own port. The first address that msgd takes is kept. */
static int send_from(struct job *job, const void *bytes, size_t n)
{
    char to[ADDRESS_TEXT_MAX];
    int error = -EINVAL;
    for (size_t i = 0; i < job->n_addresses; i++) {
        address_print(&job->addresses[i], to);
        int tries = BUSY_TRIES;
        while ((error = msgd_send_from(job->m, job->options->from, to, bytes, n)) == -EAGAIN &&
               tries-- > 0)
            usleep(BUSY_PAUSE_US);
        if (error == 0) {
            job->addresses[0] = job->addresses[i];
            job->n_addresses = 1;
            return EXIT_DONE;
        }
        if (strcmp(msgd_error_name(job->m), "io.msgd.BadAddress") != 0)
            break;
    }
    return tool_fail_call(job->m, error);
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

static int await_reply(struct job *job)
{
    static uint8_t room[65536];
    char text[ADDRESS_TEXT_MAX];
    struct address from;
    int timeout_ms = tool_milliseconds(job->options->timeout);
    long n = send_socket_receive(&job->socket, room, sizeof room, timeout_ms, &from);
    if (n == -ETIMEDOUT)
        return tool_fail(EXIT_TEMPORARY, "no answer from %s within %g s",
                         address_print(send_socket_address(&job->socket), text),
                         job->options->timeout);
    if (n < 0)
        return fail_send(job, (int)n);
    print_reply(job, room, (size_t)n, &from);
    return EXIT_DONE;
}

static int send_once(struct job *job, const void *bytes, size_t n)
{
    wait_for_turn(job);
    if (job->options->from != NULL) {
        int code = send_from(job, bytes, n);
        if (code != EXIT_DONE)
            return code;
    } else {
        if (job->options->reply)
            send_socket_drain(&job->socket);
        int error = send_socket_send(&job->socket, bytes, n);
        if (error != 0)
            return fail_send(job, error);
    }
    job->n_sent++;
    job->n_bytes += n;
    return job->options->reply ? await_reply(job) : EXIT_DONE;
}

static int send_message(struct job *job, const void *bytes, size_t n)
{
    int code = EXIT_DONE;
    for (int64_t i = 0; i < job->options->count && code == EXIT_DONE && !ferror(stdout); i++)
        code = send_once(job, bytes, n);
    return code;
}

/* A line that cannot be sent is named, and the lines after it go on. */
static int send_line(struct job *job, uint64_t line, const char *source)
{
    struct payload *p = &job->payload;
    char fault[PAYLOAD_FAULT_MAX];
    bool is_raw = job->options->raw;
    if (!is_raw && payload_is_blank(p->bytes, p->n) && !p->is_too_large)
        return EXIT_DONE;
    if (p->is_too_large)
        snprintf(fault, sizeof fault, "too large: a datagram holds %d bytes", PAYLOAD_MAX);
    else if (payload_check(p->bytes, p->n, is_raw, fault))
        return send_message(job, p->bytes, p->n);
    job->n_refused++;
    tool_fail(EXIT_DATA, "%s, line %llu: %s; not sent", source, (unsigned long long)line, fault);
    return EXIT_DONE;
}

static int send_lines(struct job *job, FILE *in, const char *source)
{
    int code = EXIT_DONE, result = 0;
    for (uint64_t line = 1; code == EXIT_DONE && !ferror(stdout); line++) {
        result = payload_read_line(in, &job->payload);
        if (result != 0)
            break;
        code = send_line(job, line, source);
    }
    if (result < 0)
        return tool_fail(EXIT_INPUT, "%s: %s", source, strerror(-result));
    return code;
}

static int send_whole(struct job *job, FILE *in, const char *source)
{
    int error = payload_read_all(in, &job->payload);
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
    FILE *in = is_stdin ? stdin : fopen(file, "re");
    if (in == NULL)
        return tool_fail(EXIT_INPUT, "%s: %s", file, strerror(errno));
    int code = job->options->raw && file != NULL ? send_whole(job, in, source)
                                                 : send_lines(job, in, source);
    if (!is_stdin)
        fclose(in);
    return code;
}

static int finish(struct job *job, int code)
{
    const struct send_options *o = job->options;
    if (code == EXIT_DONE && job->n_sent > 0 && o->from == NULL && !o->reply) {
        int error = send_socket_settle(&job->socket);
        code = error != 0 ? fail_send(job, error) : EXIT_DONE;
    }
    if (o->common.json && !o->reply) {
        char text[ADDRESS_TEXT_MAX];
        printf("{\"target\":\"%s\",\"sent\":%llu,\"bytes\":%llu,\"not_sent\":%llu}\n",
               address_print(
                   o->from != NULL ? &job->addresses[0] : send_socket_address(&job->socket), text),
               (unsigned long long)job->n_sent, (unsigned long long)job->n_bytes,
               (unsigned long long)job->n_refused);
    }
    return code == EXIT_DONE && job->n_refused > 0 ? EXIT_DATA : code;
}

static int send_all(struct job *job)
{
    int code = resolve_target(job);
    if (code == EXIT_DONE && job->options->from != NULL)
        code = need_msgd(job);
    if (code != EXIT_DONE)
        return code;
    send_socket_init(&job->socket, job->addresses, job->n_addresses,
                     tool_milliseconds(job->options->linger));
    const char *payload = send_options_payload(job->options);
    code = payload != NULL ? send_message(job, payload, strlen(payload)) : send_input(job);
    code = finish(job, code);
    send_socket_deinit(&job->socket);
    return code;
}

int main(int argc, char **argv)
{
    struct send_options options;
    static struct job job;
    send_options_init(&options);
    int code = tool_begin(&send_tool, argc, argv, &options);
    if (code >= 0)
        return tool_end(&send_tool, &options, code);
    code = send_options_check(&options);
    if (code == EXIT_DONE && send_options_are_framed(&options)) {
        code = send_acknowledged(&options);
    } else if (code == EXIT_DONE) {
        job.options = &options;
        job.target_text = options.common.operands[0];
        job.rate.rate = options.rate;
        json_writer_init(&job.out);
        code = send_all(&job);
        json_writer_deinit(&job.out);
        job.m = msgd_close(job.m);
    }
    return tool_end(&send_tool, &options, code);
}
