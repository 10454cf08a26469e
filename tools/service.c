/* SPDX-License-Identifier: MIT */
/* Running a command: pipes, time limit, process group. */
#include "tools/service.h"

#include "tools/ending.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a command may take to end after SIGTERM. */
#define GRACE_MS 500

/* A command under way. Descriptors are -1 once they are closed. */
struct running {
    const struct service_call *call;
    struct service_answer *answer;
    pid_t pid;
    int pidfd;
    int input;
    int output;
    size_t written;
    bool is_too_large;
};

static void close_once(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The tool's environment and the call's; only the array is to be freed. */
static const char **environment_of(const struct service_call *call)
{
    size_t n = 0, n_added = 0;
    while (environ[n] != NULL)
        n++;
    while (call->environment[n_added] != NULL)
        n_added++;
    const char **all = calloc(n + n_added + 1, sizeof *all);
    for (size_t i = 0; all != NULL && i < n + n_added; i++)
        all[i] = i < n_added ? call->environment[i] : environ[i - n_added];
    return all;
}

static int prepare_attributes(posix_spawnattr_t *attributes)
{
    sigset_t defaults, none;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGCHLD);
    int error = posix_spawnattr_init(attributes);
    if (error != 0)
        return -error;
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    posix_spawnattr_setsigmask(attributes, &none);
    return 0;
}

static int spawn_shell(struct running *r, int input, int output)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    const char **environment = environment_of(r->call);
    if (environment == NULL)
        return -ENOMEM;
    int error = prepare_attributes(&attributes);
    if (error == 0) {
        error = -posix_spawn_file_actions_init(&actions);
        if (error == 0) {
            const char *arguments[] = {"sh", "-c", r->call->command, NULL};
            error = -posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
            if (error == 0)
                error = -posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
            if (error == 0)
                error = -posix_spawn(&r->pid, "/bin/sh", &actions, &attributes,
                                     (char *const *)(uintptr_t)arguments,
                                     (char *const *)(uintptr_t)environment);
            posix_spawn_file_actions_destroy(&actions);
        }
        posix_spawnattr_destroy(&attributes);
    }
    free(environment);
    return error;
}

static int start(struct running *r)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0)
        return -errno;
    if (pipe2(out, O_CLOEXEC) != 0) {
        int error = -errno;
        close(in[0]);
        close(in[1]);
        return error;
    }
    r->input = in[1];
    r->output = out[0];
    fcntl(r->input, F_SETFL, O_NONBLOCK);
    fcntl(r->output, F_SETFL, O_NONBLOCK);
    int error = spawn_shell(r, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    if (error == 0 && (r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0)) < 0) {
        error = -errno;
        kill(-r->pid, SIGKILL);
        waitpid(r->pid, NULL, 0);
    }
    return error;
}

/* A command need not read its input. */
static void feed(struct running *r)
{
    size_t left = r->call->n_input - r->written;
    ssize_t n = 0;
    if (left > 0) {
        n = write(r->input, (const char *)r->call->input + r->written, left);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
    }
    if (n > 0)
        r->written += (size_t)n;
    if (n < 0 || r->written == r->call->n_input)
        close_once(&r->input);
}

/* Reads what is there. True: there may be more. */
static bool drink(struct running *r)
{
    struct service_answer *a = r->answer;
    uint8_t beyond[4096];
    bool is_full = a->n == sizeof a->bytes;
    ssize_t n = is_full ? read(r->output, beyond, sizeof beyond)
                        : read(r->output, a->bytes + a->n, sizeof a->bytes - a->n);
    if (n < 0)
        return errno == EINTR;
    if (n == 0)
        close_once(&r->output);
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
        struct pollfd fds[] = {{.fd = r->pidfd, .events = POLLIN},
                               {.fd = r->input, .events = POLLOUT},
                               {.fd = r->output, .events = POLLIN}};
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
        struct pollfd fd = {.fd = r->pidfd, .events = POLLIN};
        int64_t deadline = now_ms() + GRACE_MS;
        kill(-r->pid, SIGTERM);
        while (poll(&fd, 1, 20) <= 0 && now_ms() < deadline)
            continue;
    }
    kill(-r->pid, SIGKILL);
}

static int finish(struct running *r, int result)
{
    if (result != 0)
        end_group(r, result);
    while (waitpid(r->pid, &r->answer->status, 0) < 0 && errno == EINTR)
        continue;
    while (result == 0 && r->output >= 0 && drink(r))
        continue;
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
    struct running r = {.call = call, .answer = answer, .pidfd = -1, .input = -1, .output = -1};
    answer->n = 0;
    answer->status = 0;
    int result = start(&r);
    if (result == 0)
        result = finish(&r, attend(&r));
    close_once(&r.input);
    close_once(&r.output);
    close_once(&r.pidfd);
    return result;
}
