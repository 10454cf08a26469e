/* SPDX-License-Identifier: MIT */
/* posix_spawn with pipes and a pidfd. */
#include "tools/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The tool's environment and the command's; only the array is to be freed. */
static const char **environment_of(const char *const *added)
{
    size_t n = 0, n_added = 0;
    while (environ[n] != NULL)
        n++;
    while (added[n_added] != NULL)
        n_added++;
    const char **all = calloc(n + n_added + 1, sizeof *all);
    for (size_t i = 0; all != NULL && i < n + n_added; i++)
        all[i] = i < n_added ? added[i] : environ[i - n_added];
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

static int spawn_shell(struct command *c, const char *text, const char *const *added, int input,
                       int output)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    const char **environment = environment_of(added);
    if (environment == NULL)
        return -ENOMEM;
    int error = prepare_attributes(&attributes);
    if (error == 0) {
        error = -posix_spawn_file_actions_init(&actions);
        if (error == 0) {
            const char *arguments[] = {"sh", "-c", text, NULL};
            error = -posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
            if (error == 0)
                error = -posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
            if (error == 0)
                error = -posix_spawn(&c->pid, "/bin/sh", &actions, &attributes,
                                     (char *const *)(uintptr_t)arguments,
                                     (char *const *)(uintptr_t)environment);
            posix_spawn_file_actions_destroy(&actions);
        }
        posix_spawnattr_destroy(&attributes);
    }
    free(environment);
    return error;
}

static void close_once(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Both pipes, this side's ends non-blocking. */
static int open_pipes(struct command *c, int in[2], int out[2])
{
    if (pipe2(in, O_CLOEXEC) != 0)
        return -errno;
    if (pipe2(out, O_CLOEXEC) != 0) {
        int error = -errno;
        close(in[0]);
        close(in[1]);
        return error;
    }
    c->input = in[1];
    c->output = out[0];
    fcntl(c->input, F_SETFL, O_NONBLOCK);
    fcntl(c->output, F_SETFL, O_NONBLOCK);
    return 0;
}

int command_start(struct command *c, const char *text, const char *const *environment)
{
    int in[2], out[2];
    *c = (struct command){.pidfd = -1, .input = -1, .output = -1};
    int error = open_pipes(c, in, out);
    if (error != 0)
        return error;
    error = spawn_shell(c, text, environment, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    if (error == 0 && (c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0)) < 0) {
        error = -errno;
        kill(-c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
    }
    if (error != 0) {
        close_once(&c->input);
        close_once(&c->output);
    }
    return error;
}

void command_signal(const struct command *c, int number)
{
    kill(-c->pid, number);
}

int command_finish(struct command *c)
{
    int status = 0;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close_once(&c->input);
    close_once(&c->output);
    close_once(&c->pidfd);
    return status;
}
