/* SPDX-License-Identifier: MIT */
/*
 * Stands in for systemd: runs a command for ever and keeps the descriptors that it stores.
 *
 *     keeper [--listen PATH] [--max-stored N] COMMAND [ARGUMENT...]
 *
 * The command finds NOTIFY_SOCKET, and LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES: the socket of
 * --listen first, by the name "msgd.socket", then what was stored. FDSTORE=1 with FDNAME= and
 * FDPOLL=0, FDSTOREREMOVE=1 with FDNAME=, MAINPID= and BARRIER=1 do what sd_notify(3) says, at most
 * N descriptors (512) are stored, and one that is stored again is not stored twice. The command is
 * started again whenever it ends, unless by an exit status of 64, 77 or 78, or twenty times in a
 * row before READY=1. SIGTERM and SIGINT: the command gets SIGTERM, the keeper ends as it does. A
 * command whose keeper is killed is killed, too.
 *
 * Each event is a line of JSON on stdout, with the time on CLOCK_MONOTONIC; what the command prints
 * goes to stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PASSED      3
#define MAX_FAILED_STARTS 20
#define MAX_PER_MESSAGE   253
#define NAME_BYTES        256

struct stored {
    int fd;
    bool is_watched; /* given back when the other side hangs up; FDPOLL=0 says no */
    char name[NAME_BYTES];
};

struct keeper {
    char **command;
    char address[64]; /* NOTIFY_SOCKET */
    int notify, signals, listener;
    sigset_t old_mask;
    struct stored *stored;
    size_t n_stored, max_stored;
    pid_t pid; /* the main process, 0 between two of them */
    bool is_ready, is_stopping;
    unsigned n_failed_starts;
};

static void fail(const char *what)
{
    perror(what);
    exit(71);
}

/* ---- Events ---- */

/* An event begins: the caller prints its other members, the first with a comma before it, and ends
 * it. */
static void event_begin(const char *event, pid_t pid)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    printf("{\"event\":\"%s\",\"time\":%lld.%09ld,\"pid\":%d", event, (long long)t.tv_sec,
           t.tv_nsec, (int)pid);
}

static void event_end(void)
{
    puts("}");
    fflush(stdout);
}

static void tell(const char *event, pid_t pid)
{
    event_begin(event, pid);
    event_end();
}

static void tell_stored(const struct keeper *k, const char *event, const char *name, size_t n)
{
    event_begin(event, k->pid);
    printf(",\"name\":\"%s\",\"n\":%zu,\"n_stored\":%zu", name, n, k->n_stored);
    event_end();
}

/* ---- The store ---- */

static bool is_same(int a, int b)
{
    pid_t self = getpid();

    return syscall(SYS_kcmp, self, self, KCMP_FILE, a, b) == 0;
}

static bool is_stored(const struct keeper *k, int fd)
{
    for (size_t i = 0; i < k->n_stored; i++)
        if (is_same(k->stored[i].fd, fd))
            return true;
    return false;
}

/* Takes fd. Whether it is in the store now and was not before. */
static bool store(struct keeper *k, int fd, const char *name, bool is_watched)
{
    struct stored *s = &k->stored[k->n_stored];

    if (k->n_stored == k->max_stored || is_stored(k, fd)) {
        close(fd);
        return false;
    }
    *s = (struct stored){.fd = fd, .is_watched = is_watched};
    snprintf(s->name, sizeof(s->name), "%s", name);
    k->n_stored++;
    return true;
}

static void store_remove_at(struct keeper *k, size_t i)
{
    close(k->stored[i].fd);
    memmove(&k->stored[i], &k->stored[i + 1], (--k->n_stored - i) * sizeof(*k->stored));
}

static size_t store_remove(struct keeper *k, const char *name)
{
    size_t n = 0;

    for (size_t i = k->n_stored; i-- > 0;)
        if (strcmp(k->stored[i].name, name) == 0) {
            store_remove_at(k, i);
            n++;
        }
    return n;
}

/* ---- What the command says ---- */

/* The value of `key` (with its '=') in a message of lines, or NULL. Copied, because lines end in
 * LF. */
static const char *value_of(const char *message, const char *key, char out[static NAME_BYTES])
{
    size_t key_bytes = strlen(key);

    for (const char *line = message; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_bytes) == 0) {
            snprintf(out, NAME_BYTES, "%.*s", (int)strcspn(line + key_bytes, "\n"),
                     line + key_bytes);
            return out;
        }
    }
    return NULL;
}

static bool says(const char *message, const char *key, const char *value)
{
    char found[NAME_BYTES];

    return value_of(message, key, found) && strcmp(found, value) == 0;
}

/* As systemd: printable, and no colon, which stands between two names in LISTEN_FDNAMES. */
static bool is_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == ':' || *c == '"' || *c == '\\')
            return false;
    return *name != '\0';
}

static void heed_descriptors(struct keeper *k, const char *message, const int *fds, size_t n)
{
    char name[NAME_BYTES] = "stored";
    size_t n_new = 0, n_removed;

    if (!value_of(message, "FDNAME=", name) || !is_name(name))
        strcpy(name, "stored");
    for (size_t i = 0; i < n; i++) {
        if (says(message, "FDSTORE=", "1"))
            n_new += store(k, fds[i], name, !says(message, "FDPOLL=", "0"));
        else
            close(fds[i]); /* that of a barrier: its sender waits for the end of it */
    }
    if (says(message, "FDSTORE=", "1"))
        tell_stored(k, "stored", name, n_new);
    if (says(message, "FDSTOREREMOVE=", "1")) {
        n_removed = store_remove(k, name);
        tell_stored(k, "removed", name, n_removed);
    }
}

static void heed(struct keeper *k, const char *message, const int *fds, size_t n)
{
    char value[NAME_BYTES];

    heed_descriptors(k, message, fds, n);
    if (value_of(message, "MAINPID=", value) && atoi(value) > 0 && atoi(value) != k->pid) {
        k->pid = atoi(value);
        tell("mainpid", k->pid);
    }
    if (says(message, "READY=", "1")) {
        k->is_ready = true;
        k->n_failed_starts = 0;
        tell("ready", k->pid);
    }
    if (says(message, "STOPPING=", "1"))
        tell("stopping", k->pid);
}

/* Reads all that has been said; the store is complete before the next process is started from it.
 */
static void listen_to(struct keeper *k)
{
    char message[4096];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(MAX_PER_MESSAGE * sizeof(int))];
    } control;

    for (;;) {
        struct iovec text = {message, sizeof(message) - 1};
        struct msghdr m = {.msg_iov = &text,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
        ssize_t length = recvmsg(k->notify, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        int fds[MAX_PER_MESSAGE];
        size_t n = 0;

        if (length < 0 && errno == EAGAIN)
            return;
        if (length < 0)
            fail("recvmsg");
        message[length] = '\0';
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(fds, CMSG_DATA(c), n * sizeof(int));
            }
        heed(k, message, fds, n);
    }
}

/* ---- The command ---- */

/* Puts the descriptor at place `to`; those that stand there have moved up already. */
static void pass(int fd, int to)
{
    if (dup2(fd, to) < 0)
        fail("dup2");
}

static int move_up(int fd, int above)
{
    int up = fcntl(fd, F_DUPFD_CLOEXEC, above);

    if (up < 0)
        fail("fcntl");
    return up;
}

/* In the child: descriptors from 3 on, and the variables that name them. */
static void pass_descriptors(const struct keeper *k)
{
    size_t n = (k->listener >= 0) + k->n_stored, at = 0, size = (k->n_stored + 1) * NAME_BYTES;
    int above = FIRST_PASSED + (int)n;
    int listener = k->listener >= 0 ? move_up(k->listener, above) : -1;
    char *names = calloc(1, size), number[24];

    if (!names)
        fail("calloc");
    for (size_t i = 0; i < k->n_stored; i++)
        k->stored[i].fd = move_up(k->stored[i].fd, above);
    if (listener >= 0) {
        pass(listener, FIRST_PASSED);
        at += (size_t)snprintf(names, size, "msgd.socket");
    }
    for (size_t i = 0; i < k->n_stored; i++) {
        pass(k->stored[i].fd, FIRST_PASSED + (listener >= 0) + (int)i);
        at += (size_t)snprintf(names + at, size - at, "%s%s", at > 0 ? ":" : "", k->stored[i].name);
    }
    if (n == 0)
        return;
    snprintf(number, sizeof(number), "%zu", n);
    setenv("LISTEN_FDS", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    snprintf(number, sizeof(number), "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
}

static void become_command(const struct keeper *k, pid_t keeper)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(71);
    sigprocmask(SIG_SETMASK, &k->old_mask, NULL);
    if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        fail("dup2");
    setenv("NOTIFY_SOCKET", k->address, 1);
    pass_descriptors(k);
    execvp(k->command[0], k->command);
    perror(k->command[0]);
    _exit(127);
}

static void start(struct keeper *k)
{
    pid_t self = getpid();

    k->is_ready = false;
    k->pid = fork();
    if (k->pid < 0)
        fail("fork");
    if (k->pid == 0)
        become_command(k, self);
    event_begin("start", k->pid);
    printf(",\"n_stored\":%zu", k->n_stored);
    event_end();
}

static void tell_end(pid_t pid, int status)
{
    event_begin("end", pid);
    if (WIFSIGNALED(status))
        printf(",\"signal\":%d", WTERMSIG(status));
    else
        printf(",\"status\":%d", WEXITSTATUS(status));
    event_end();
}

static bool is_final(const struct keeper *k, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

    return k->is_stopping || code == 64 || code == 77 || code == 78 ||
           k->n_failed_starts == MAX_FAILED_STARTS;
}

/* The main process has ended: starts the next one, or ends as it did. */
static void on_end(struct keeper *k, int status)
{
    tell_end(k->pid, status);
    k->pid = 0;
    if (!k->is_ready)
        k->n_failed_starts++;
    if (is_final(k, status))
        exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    start(k);
}

static void reap(struct keeper *k)
{
    pid_t pid;
    int status;

    /* What the dead have said counts, first of all that another process is the main one. */
    listen_to(k);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == k->pid)
            on_end(k, status);
        else
            tell_end(pid, status); /* a former main process, or a child of one */
    }
}

static void on_signal(struct keeper *k)
{
    struct signalfd_siginfo signal;

    if (read(k->signals, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
        fail("signalfd");
    if (signal.ssi_signo == SIGCHLD) {
        reap(k);
        return;
    }
    k->is_stopping = true;
    kill(k->pid, SIGTERM);
}

/* ---- The keeper ---- */

static int bind_to(int type, const struct sockaddr_un *address, socklen_t bytes)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)address, bytes) < 0)
        fail("bind");
    return fd;
}

/* In the abstract namespace, so that a command of any user reaches it. */
static void open_notify(struct keeper *k)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(k->address, sizeof(k->address), "@msgd-keeper-%d", (int)getpid());

    memcpy(address.sun_path + 1, k->address + 1, (size_t)n - 1);
    k->notify = bind_to(SOCK_DGRAM, &address,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n));
}

static void open_listener(struct keeper *k, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(address.sun_path, path);
    (void)unlink(path);
    k->listener = bind_to(SOCK_STREAM, &address, sizeof(address));
    if (chmod(path, 0666) < 0 || listen(k->listener, 512) < 0)
        fail(path);
}

static void open_signals(struct keeper *k)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, &k->old_mask);
    k->signals = signalfd(-1, &set, SFD_CLOEXEC);
    /* A successor whose predecessor has ended is a child of the keeper's, too. */
    if (k->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        fail("keeper");
}

/* Gives back what systemd would: watched descriptors with an error, or whose other side is gone. */
static void drop_broken(struct keeper *k, const struct pollfd *polled)
{
    for (size_t i = k->n_stored; i-- > 0;)
        if (k->stored[i].is_watched && polled[i].revents != 0) {
            char name[NAME_BYTES];

            memcpy(name, k->stored[i].name, sizeof(name));
            store_remove_at(k, i);
            tell_stored(k, "broken", name, 1);
        }
}

static void turn(struct keeper *k, struct pollfd *polled)
{
    polled[0] = (struct pollfd){.fd = k->notify, .events = POLLIN};
    polled[1] = (struct pollfd){.fd = k->signals, .events = POLLIN};
    for (size_t i = 0; i < k->n_stored; i++)
        polled[2 + i] = (struct pollfd){.fd = k->stored[i].is_watched ? k->stored[i].fd : -1};
    if (poll(polled, 2 + k->n_stored, -1) < 0)
        fail("poll");
    drop_broken(k, polled + 2);
    if (polled[0].revents != 0)
        listen_to(k);
    if (polled[1].revents != 0)
        on_signal(k);
}

static void usage(void)
{
    fputs("usage: keeper [--listen PATH] [--max-stored N] COMMAND [ARGUMENT...]\n", stderr);
    exit(64);
}

static const char *parse_options(struct keeper *k, int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"max-stored", required_argument, NULL, 'm'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'l')
            path = optarg;
        else if (option == 'm')
            k->max_stored = strtoul(optarg, NULL, 10);
        else
            usage();
    }
    if (optind == argc)
        usage();
    k->command = argv + optind;
    return path;
}

int main(int argc, char **argv)
{
    struct keeper k = {.listener = -1, .max_stored = 512};
    const char *path = parse_options(&k, argc, argv);
    struct pollfd *polled;

    k.stored = calloc(k.max_stored + 1, sizeof(*k.stored));
    polled = calloc(k.max_stored + 2, sizeof(*polled));
    if (!k.stored || !polled)
        fail("keeper");
    open_notify(&k);
    open_signals(&k);
    if (path)
        open_listener(&k, path);
    start(&k);
    for (;;)
        turn(&k, polled);
}
