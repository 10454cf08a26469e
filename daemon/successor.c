/* SPDX-License-Identifier: MIT */
/* The new msgd's part of an upgrade. */
#include "daemon/successor.h"

#include "daemon/config/config.h"
#include "daemon/handover.h"
#include "daemon/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The old one may take that long to write what is to be written. */
#define PATIENCE_MS           60000
#define LAST_WORD_PATIENCE_MS 5000

/* systemd's watchdog is for the process that this variable names. */
static void claim_watchdog(void)
{
    char pid[16];

    if (!getenv("WATCHDOG_PID"))
        return;
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)setenv("WATCHDOG_PID", pid, 1);
}

/* The process between: ends as the successor does, so that the old msgd hears how. */
static _Noreturn void stand_between(pid_t successor)
{
    int status = 0;

    while (waitpid(successor, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status)) {
        (void)signal(WTERMSIG(status), SIG_DFL);
        (void)raise(WTERMSIG(status));
    }
    _exit(WEXITSTATUS(status));
}

/*
 * systemd watches over processes whose parent it is. So the successor is a grandchild of the old
 * msgd, whose child is killed when the successor serves; until then the successor dies with it.
 */
static void become_grandchild(struct successor *s)
{
    pid_t parent = getpid(), pid = fork();

    if (pid > 0) {
        close(s->fd);
        stand_between(pid);
    }
    if (pid < 0)
        return; /* a child, then: systemd says that it may not notice when this one ends */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
}

void successor_init(struct successor *s)
{
    const char *text = getenv(HANDOVER_VARIABLE);

    *s = (struct successor){.is_one = text != NULL, .fd = -1, .listener = -1};
    if (!text)
        return;
    s->fd = atoi(text);
    (void)fcntl(s->fd, F_SETFD, FD_CLOEXEC);
    if (!strstr(text, HANDOVER_AGAIN))
        become_grandchild(s);
    (void)unsetenv(HANDOVER_VARIABLE);
    claim_watchdog();
}

void successor_deinit(struct successor *s)
{
    if (!s->is_one)
        return;
    for (size_t i = 0; i < s->n_ends; i++)
        close(s->ends[i]);
    free(s->ends);
    if (s->listener >= 0)
        close(s->listener);
    close(s->fd);
    *s = (struct successor){0};
}

void successor_refuse(struct successor *s, const char *why)
{
    if (s->is_one)
        (void)!handover_send(s->fd, HANDOVER_NO, why);
}

void successor_ready(struct successor *s)
{
    struct handover_message end;

    if (!s->is_one)
        return;
    if (s->old)
        handover_tell_main(s->old);
    (void)prctl(PR_SET_PDEATHSIG, 0);
    (void)!handover_send(s->fd, HANDOVER_READY, MSGD_VERSION);
    /* Nothing is said to systemd before it listens to this process again. */
    if (s->old)
        (void)!handover_receive(s->fd, LAST_WORD_PATIENCE_MS, &end);
}

/* ---- Looking ---- */

static int refuse(struct successor *s, const char *why)
{
    log_error("this msgd does not take over: %s", why);
    successor_refuse(s, why);
    return SUCCESSOR_REFUSED;
}

static int check_layouts(struct successor *s)
{
    struct handover_message m;
    char why[HANDOVER_TEXT_MAX];
    int r = handover_receive(s->fd, PATIENCE_MS, &m);

    if (r < 0 || m.word != HANDOVER_VERSIONS)
        return refuse(s, "the msgd that started it does not speak as it should");
    if (strcmp(m.text, layouts_text()) == 0)
        return 0;
    snprintf(why, sizeof(why), "it knows the layouts %s, the running msgd has %.200s",
             layouts_text(), m.text);
    return refuse(s, why);
}

static int check_database(struct successor *s, const struct config *config)
{
    char why[HANDOVER_TEXT_MAX];
    int r = store_check(config->state_directory);

    if (r == 0)
        return 0;
    if (r == -EPROTONOSUPPORT)
        return refuse(s, "the database is of a version that it does not know");
    snprintf(why, sizeof(why), "it cannot read the database: %s", strerrordesc_np(-r));
    return refuse(s, why);
}

/* ---- Receiving ---- */

static int keep_ends(struct successor *s, const struct handover_message *m)
{
    int *ends = reallocarray(s->ends, s->n_ends + m->n_fds, sizeof(ends[0]));

    if (!ends) {
        for (size_t i = 0; i < m->n_fds; i++)
            close(m->fds[i]);
        return -ENOMEM;
    }
    memcpy(ends + s->n_ends, m->fds, m->n_fds * sizeof(ends[0]));
    s->ends = ends;
    s->n_ends += m->n_fds;
    return 0;
}

static int take(struct successor *s, const struct handover_message *m)
{
    if (m->word == HANDOVER_DESCRIPTORS && m->n_fds > 0)
        return keep_ends(s, m);
    if (m->word == HANDOVER_GO) {
        s->old = atoi(m->text) == getpid() ? 0 : atoi(m->text);
        return 0;
    }
    if (m->word != HANDOVER_LISTENER || m->n_fds != 1 || s->listener >= 0)
        return -EBADMSG;
    s->listener = m->fds[0];
    s->owns_socket_file = strcmp(m->text, "own") == 0;
    return 0;
}

static int receive_all(struct successor *s)
{
    struct handover_message m;
    int r;

    do {
        r = handover_receive(s->fd, PATIENCE_MS, &m);
        if (r == 0)
            r = take(s, &m);
    } while (r == 0 && m.word != HANDOVER_GO);
    if (r == 0 && s->listener < 0)
        r = -EBADMSG;
    return r < 0 ? error_trace(r, "the running msgd has not handed over") : 0;
}

int successor_take_over(struct successor *s, const struct config *config)
{
    char pid[16];
    int r;

    if (!s->is_one)
        return 0;
    r = check_layouts(s);
    if (r == 0)
        r = check_database(s, config);
    if (r != 0)
        return r;
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)!handover_send(s->fd, HANDOVER_CHECKED, pid);
    return receive_all(s);
}
