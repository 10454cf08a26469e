/* SPDX-License-Identifier: MIT */
/* Running a command for one message: its input, its answer, its time limit. */
#include "tools/service.h"

#include "tools/command.h"
#include "tools/ending.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a command may take to end after SIGTERM. */
#define GRACE_MS 500

/* A command under way. */
struct running {
    const struct service_call *call;
    struct service_answer *answer;
    struct command command;
    size_t written;
    bool is_too_large;
};

static void close_once(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A command need not read its input. */
static void feed(struct running *r)
{
    size_t left = r->call->n_input - r->written;
    ssize_t n = 0;
    if (left > 0) {
        n = write(r->command.input, (const char *)r->call->input + r->written, left);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
    }
    if (n > 0)
        r->written += (size_t)n;
    if (n < 0 || r->written == r->call->n_input)
        close_once(&r->command.input);
}

/* Reads what is there. True: there may be more. */
static bool drink(struct running *r)
{
    struct service_answer *a = r->answer;
    uint8_t beyond[4096];
    bool is_full = a->n == sizeof a->bytes;
    ssize_t n = is_full ? read(r->command.output, beyond, sizeof beyond)
                        : read(r->command.output, a->bytes + a->n, sizeof a->bytes - a->n);
    if (n < 0)
        return errno == EINTR;
    if (n == 0)
        close_once(&r->command.output);
    else if (is_full)
        r->is_too_large = true;
    else
        a->n += (size_t)n;
    return n > 0;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until the command has ended, its time is over, or the tool is to end. */
static int attend(struct running *r)
{
    int64_t deadline = now_ms() + r->call->timeout_ms;
    for (;;) {
        int64_t left = deadline - now_ms();
        if (ending_is_asked())
            return SERVICE_ENDED;
        if (left <= 0)
            return SERVICE_TIMED_OUT;
        struct pollfd fds[] = {{.fd = r->command.pidfd, .events = POLLIN},
                               {.fd = r->command.input, .events = POLLOUT},
                               {.fd = r->command.output, .events = POLLIN}};
        int n = poll(fds, 3, (int)left);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n <= 0)
            continue;
        if (fds[1].revents != 0)
            feed(r);
        if (fds[2].revents != 0)
            drink(r);
        if (fds[0].revents != 0)
            return 0;
    }
}

static void end_group(struct running *r, int result)
{
    if (result == SERVICE_ENDED) {
        struct pollfd fd = {.fd = r->command.pidfd, .events = POLLIN};
        int64_t deadline = now_ms() + GRACE_MS;
        command_signal(&r->command, SIGTERM);
        while (poll(&fd, 1, 20) <= 0 && now_ms() < deadline)
            continue;
    }
    command_signal(&r->command, SIGKILL);
}

static int finish(struct running *r, int result)
{
    if (result != 0)
        end_group(r, result);
    /* Its output may hold more after its end. */
    while (poll(&(struct pollfd){.fd = r->command.pidfd, .events = POLLIN}, 1, -1) < 0)
        continue;
    while (result == 0 && r->command.output >= 0 && drink(r))
        continue;
    r->answer->status = command_finish(&r->command);
    struct service_answer *a = r->answer;
    if (a->n > 0 && a->bytes[a->n - 1] == '\n')
        a->n--;
    if (result == 0 && r->answer->status != 0)
        return SERVICE_FAILED;
    if (result == 0 && (r->is_too_large || a->n > SERVICE_ANSWER_MAX))
        return SERVICE_TOO_LARGE;
    return result;
}

int service_run(const struct service_call *call, struct service_answer *answer)
{
    struct running r = {.call = call, .answer = answer};
    answer->n = 0;
    answer->status = 0;
    int result = command_start(&r.command, call->command, call->environment);
    return result == 0 ? finish(&r, attend(&r)) : result;
}
