/* SPDX-License-Identifier: MIT */
/* Signals and a closed stdout, made one flag. */
#include "tools/ending.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t is_asked;
static volatile sig_atomic_t is_time;
static pthread_t watcher;
static pthread_t main_thread;
static int watcher_end = -1; /* an eventfd; -1: no watcher runs */

static void on_signal(int number)
{
    int saved = errno;
    if (number == SIGALRM && !is_asked)
        is_time = 1;
    is_asked = 1;
    const struct itimerval often = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};
    setitimer(ITIMER_REAL, &often, NULL);
    errno = saved;
}

static void *watch_stdout(void *context)
{
    (void)context;
    struct pollfd fds[] = {{.fd = STDOUT_FILENO}, {.fd = watcher_end, .events = POLLIN}};
    int n = 0;
    do
        n = poll(fds, 2, -1);
    while (n < 0 && errno == EINTR);
    if (n > 0 && fds[1].revents == 0)
        pthread_kill(main_thread, SIGTERM);
    return NULL;
}

/* Only a pipe or a socket can lose its reader. */
static int start_watcher(void)
{
    struct stat status;
    if (fstat(STDOUT_FILENO, &status) != 0 ||
        (!S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode)))
        return 0;
    watcher_end = eventfd(0, EFD_CLOEXEC);
    if (watcher_end < 0)
        return -errno;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&watcher, NULL, watch_stdout, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        close(watcher_end);
        watcher_end = -1;
    }
    return -error;
}

int ending_init(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM};
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction old;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
            continue; /* nohup */
        if (sigaction(signals[i], &action, NULL) != 0)
            return -errno;
    }
    main_thread = pthread_self();
    return start_watcher();
}

void ending_deinit(void)
{
    if (watcher_end < 0)
        return;
    uint64_t one = 1;
    if (write(watcher_end, &one, sizeof one) == sizeof one)
        pthread_join(watcher, NULL);
    close(watcher_end);
    watcher_end = -1;
}

bool ending_is_asked(void)
{
    return is_asked != 0;
}

void ending_set_time(int ms)
{
    const struct itimerval once = {.it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}};
    if (!is_asked)
        setitimer(ITIMER_REAL, &once, NULL);
    /* A signal may have come in between, and what it set was overwritten. */
    if (is_asked)
        ending_ask();
}

bool ending_is_time(void)
{
    return is_time != 0;
}

void ending_ask(void)
{
    on_signal(0);
}
