/* SPDX-License-Identifier: MIT */
/* The old msgd's part of an upgrade. */
#include "daemon/upgrade.h"

#include "daemon/handover.h"
#include "daemon/store/stash.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN_FILE          "/proc/self/exe"
#define CHECK_PATIENCE_MS 30000
#define READY_PATIENCE_MS 60000
#define END_PATIENCE_MS   1000
#define SUCCESSOR_FD      3 /* the successor's end, in the successor */
#define BUFFER_BYTES      (256 * 1024)

static int fail(struct upgrade *u, int error, const char *what)
{
    snprintf(u->why, sizeof(u->why), "%s: %s", what, strerrordesc_np(-error));
    return error;
}

/* ---- Starting it ---- */

/* The environment with the handover in it; free it, not what it points to. */
static char **environment_with(char *handover)
{
    size_t n = 0, n_kept = 0;
    char **copy;

    while (environ[n])
        n++;
    copy = calloc(n + 2, sizeof(copy[0]));
    if (!copy)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], HANDOVER_VARIABLE "=", strlen(HANDOVER_VARIABLE "=")) != 0)
            copy[n_kept++] = environ[i];
    copy[n_kept] = handover;
    return copy;
}

static int spawn(pid_t *pid, char **argv, int fd)
{
    char variable[64];
    posix_spawn_file_actions_t actions;
    char **environment;
    int r;

    snprintf(variable, sizeof(variable), HANDOVER_VARIABLE "=%d", SUCCESSOR_FD);
    environment = environment_with(variable);
    if (!environment)
        return -ENOMEM;
    r = posix_spawn_file_actions_init(&actions);
    if (r == 0) {
        /* Closed in the successor, if it is this very number, unless it is set again. */
        r = posix_spawn_file_actions_adddup2(&actions, fd, SUCCESSOR_FD);
        if (r == 0)
            r = posix_spawnp(pid, argv[0], &actions, NULL, argv, environment);
        if (r != 0 && r != ENOMEM)
            r = posix_spawn(pid, OWN_FILE, &actions, NULL, argv, environment);
        posix_spawn_file_actions_destroy(&actions);
    }
    free(environment);
    return -r;
}

static int make_pair(int ends[2])
{
    int bytes = BUFFER_BYTES;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    return 0;
}

static int start(struct upgrade *u, char **argv)
{
    int ends[2];
    int r = make_pair(ends);

    if (r < 0)
        return fail(u, r, "cannot make a socket to the successor");
    r = handover_send(ends[0], HANDOVER_VERSIONS, layouts_text());
    if (r == 0)
        r = spawn(&u->child, argv, ends[1]);
    close(ends[1]);
    if (r == 0) {
        u->fd = ends[0];
        u->pid = u->child;
        return 0;
    }
    close(ends[0]);
    return fail(u, r, "cannot start the successor");
}

/* ---- Its answer ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct upgrade *u = handle->data;

    u->n_handles--;
}

void upgrade_leave_loop(struct upgrade *u)
{
    if (u->n_handles == 0 || uv_is_closing((uv_handle_t *)&u->poll))
        return;
    uv_close((uv_handle_t *)&u->poll, on_handle_closed);
    uv_close((uv_handle_t *)&u->patience, on_handle_closed);
}

/* Waits for the end of a process that is about to; at: by pidfd_open, or -1 where that failed. */
static void wait_for_end(int at)
{
    struct pollfd end = {.fd = at, .events = POLLIN};

    if (at < 0)
        return;
    (void)poll(&end, 1, END_PATIENCE_MS);
    close(at);
}

static int open_process(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void kill_child(const struct upgrade *u, int *status)
{
    (void)kill(u->child, SIGKILL);
    while (waitpid(u->child, status, 0) < 0 && errno == EINTR)
        continue;
}

/* The successor is gone after this, whatever it was about to do: it dies with the child. */
static void end_successor(struct upgrade *u, int *status)
{
    int successor = u->pid == u->child ? -1 : open_process(u->pid);

    kill_child(u, status);
    wait_for_end(successor);
    close(u->fd);
    u->is_under_way = false;
}

void upgrade_cancel(struct upgrade *u)
{
    int status;

    if (!u->is_under_way)
        return;
    upgrade_leave_loop(u);
    end_successor(u, &status);
}

/* What it said, or that it ended without a word. */
static void explain(struct upgrade *u, int r, const struct handover_message *m)
{
    int status = 0;

    if (r == -EPIPE) /* it has ended by itself: its status is its own */
        wait_for_end(open_process(u->child));
    end_successor(u, &status);
    if (r == 0 && m->word == HANDOVER_NO)
        snprintf(u->why, sizeof(u->why), "%.500s", m->text);
    else if (r == -ETIMEDOUT)
        snprintf(u->why, sizeof(u->why), "the successor did not answer in time");
    else if (r == -EPIPE && WIFEXITED(status))
        snprintf(u->why, sizeof(u->why), "the successor ended with status %d; its log says why",
                 WEXITSTATUS(status));
    else if (r == -EPIPE)
        snprintf(u->why, sizeof(u->why), "the successor was ended by signal %d", WTERMSIG(status));
    else
        snprintf(u->why, sizeof(u->why), "the successor does not speak as it should");
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
    struct upgrade *u = poll->data;
    struct handover_message m = {.word = HANDOVER_NO};
    int r = handover_receive(u->fd, 0, &m);

    (void)status;
    (void)events;
    upgrade_leave_loop(u);
    if (r == 0 && m.word == HANDOVER_CHECKED) {
        if (m.text[0] != '\0')
            u->pid = atoi(m.text);
        u->checked(u->context, NULL);
        return;
    }
    explain(u, r, &m);
    u->checked(u->context, u->why);
}

static void on_patience(uv_timer_t *timer)
{
    struct upgrade *u = timer->data;

    upgrade_leave_loop(u);
    explain(u, -ETIMEDOUT, NULL);
    u->checked(u->context, u->why);
}

int upgrade_begin(struct upgrade *u, uv_loop_t *loop, char **argv)
{
    int status, r;

    if (u->is_under_way || u->n_handles > 0) {
        snprintf(u->why, sizeof(u->why), "an upgrade is under way");
        return -EALREADY;
    }
    r = start(u, argv);
    if (r < 0)
        return r;
    u->is_under_way = true;
    r = uv_poll_init(loop, &u->poll, u->fd);
    if (r < 0) {
        end_successor(u, &status);
        return fail(u, r, "cannot watch the successor");
    }
    (void)uv_timer_init(loop, &u->patience);
    u->poll.data = u->patience.data = u;
    u->n_handles = 2;
    r = uv_poll_start(&u->poll, UV_READABLE, on_answer);
    if (r < 0) {
        upgrade_cancel(u);
        return fail(u, r, "cannot watch the successor");
    }
    uv_timer_start(&u->patience, on_patience, CHECK_PATIENCE_MS, 0);
    return 0;
}

/* ---- Giving ---- */

static int send_ends(int fd, const struct stash *stash)
{
    size_t n = stash_ends(stash, NULL, 0);
    int *ends = calloc(n + 1, sizeof(ends[0]));
    int r = ends ? 0 : -ENOMEM;

    if (ends)
        (void)stash_ends(stash, ends, n);
    for (size_t i = 0; r == 0 && i < n; i += HANDOVER_BATCH)
        r = handover_send_descriptors(fd, HANDOVER_DESCRIPTORS, "", ends + i,
                                      n - i < HANDOVER_BATCH ? n - i : HANDOVER_BATCH);
    free(ends);
    return r;
}

static int send_all(int fd, const struct upgrade_gift *gift)
{
    char pid[16];
    int r = handover_send_descriptors(fd, HANDOVER_LISTENER, gift->owns_socket_file ? "own" : "",
                                      &gift->listener, 1);

    if (r == 0)
        r = send_ends(fd, gift->stash);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    return r == 0 ? handover_send(fd, HANDOVER_GO, pid) : r;
}

int upgrade_give(struct upgrade *u, const struct upgrade_gift *gift)
{
    struct handover_message m = {.word = HANDOVER_NO};
    int r;

    handover_tell_main(u->pid);
    r = send_all(u->fd, gift);
    if (r == 0)
        r = handover_receive(u->fd, READY_PATIENCE_MS, &m);
    if (r == 0 && m.word == HANDOVER_READY) {
        int status;

        snprintf(u->version, sizeof(u->version), "%.31s", m.text);
        if (u->pid != u->child)
            kill_child(u, &status);
        handover_tell_main(u->pid);
        u->is_under_way = false;
        close(u->fd);
        return 0;
    }
    explain(u, r, &m);
    handover_tell_main(getpid());
    return r < 0 ? r : -ECANCELED;
}

int upgrade_start_over(char **argv, const struct upgrade_gift *gift)
{
    char number[32];
    int ends[2];
    int r = make_pair(ends);

    if (r < 0)
        return r;
    r = handover_send(ends[0], HANDOVER_VERSIONS, layouts_text());
    if (r == 0)
        r = send_all(ends[0], gift);
    if (r == 0) {
        snprintf(number, sizeof(number), "%d" HANDOVER_AGAIN, ends[1]);
        (void)setenv(HANDOVER_VARIABLE, number, 1);
        (void)fcntl(ends[1], F_SETFD, 0);
        execv(OWN_FILE, argv);
        r = -errno;
    }
    close(ends[0]);
    close(ends[1]);
    return r;
}
