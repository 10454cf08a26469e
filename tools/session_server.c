/* SPDX-License-Identifier: MIT */
/* The loop of msgrecv --sessions: offers, sessions, commands, and messages beside them. */
#include "tools/session_server.h"

#include "tools/ending.h"
#include "tools/served.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 64

struct server {
    const struct session_server_options *options;
    int epoll;
    struct served *first; /* of all */
    struct served *over;  /* by next: an event in hand may still name them */
    size_t n_served;
    int64_t n_done;
    int64_t deadline_ms; /* INT64_MAX: none */
    int64_t kill_ms;     /* the next command to be killed; INT64_MAX: none */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void set_deadline(struct server *v)
{
    double timeout = v->options->timeout;
    v->deadline_ms = timeout < 0 ? INT64_MAX : now_ms() + tool_milliseconds(timeout);
}

/* ---- Those that are served ---- */

static void link_in(struct server *v, struct served *one)
{
    one->next = v->first;
    if (v->first != NULL)
        v->first->previous = one;
    v->first = one;
    v->n_served++;
}

static void link_out(struct server *v, struct served *one)
{
    if (one->previous != NULL)
        one->previous->next = one->next;
    else
        v->first = one->next;
    if (one->next != NULL)
        one->next->previous = one->previous;
    one->is_over = true;
    one->next = v->over;
    v->over = one;
    v->n_served--;
    v->n_done++;
}

static void free_over(struct server *v)
{
    while (v->over != NULL) {
        struct served *one = v->over;
        v->over = one->next;
        (void)served_free(one);
    }
}

/* Returns -1 to go on, else the exit code. */
static int go_on(struct server *v, struct served *one)
{
    enum served_outcome outcome = one->is_over ? SERVED_GOES_ON : served_go_on(one, now_ms());
    if (outcome == SERVED_OVER)
        link_out(v, one);
    else if (one->kill_ms < v->kill_ms)
        v->kill_ms = one->kill_ms;
    if (outcome != SERVED_NO_PRINT)
        return -1;
    if (errno == EPIPE || ending_is_asked())
        return EXIT_DONE;
    return tool_fail(EXIT_SYSTEM, "cannot write to stdout: %s", strerror(errno));
}

/* ---- Those that come ---- */

static void say_unserved(const struct msgd_offer *offer, const char *why)
{
    tool_fail(EXIT_SYSTEM, "session %s with %s: %s", offer->session, offer->peer, why);
}

/* Returns -1 to go on, else the exit code. */
static int accept_one(struct server *v, const struct msgd_offer *offer)
{
    const struct session_server_options *o = v->options;
    struct msgd_session *s;
    struct served *one;
    int error = msgd_accept(o->listener, offer, &s);
    if (error == -ENOENT) /* its client has gone already */
        return -1;
    if (error == -EMFILE || error == -ENFILE || error == -ENOMEM) {
        say_unserved(offer, msgd_error(o->m));
        (void)!msgd_refuse(o->listener, offer, "full");
        return -1;
    }
    if (error != 0)
        return tool_fail_call(o->m, error);
    error = served_new(&one, s, offer, o->command, v->epoll);
    if (error != 0) {
        say_unserved(offer, strerror(-error));
        return -1;
    }
    one->has_envelope = o->has_envelope;
    one->is_terminal = o->is_terminal;
    link_in(v, one);
    return go_on(v, one);
}

static int accept_all(struct server *v)
{
    const struct session_server_options *o = v->options;
    struct msgd_offer offer;
    int code = -1, n;
    while (code < 0 && (n = msgd_next_offer(o->listener, &offer, 0)) == 1)
        code = accept_one(v, &offer);
    if (code < 0 && n < 0 && n != -EINTR)
        code = tool_fail_call(o->m, n);
    return code;
}

/* ---- The loop ---- */

static int watch(struct server *v, int fd, void *data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};
    return epoll_ctl(v->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

/* Until the next thing that time brings. */
static int time_left(const struct server *v)
{
    bool is_idle = v->options->count != 0 || v->n_served == 0;
    int64_t until = is_idle && v->deadline_ms < v->kill_ms ? v->deadline_ms : v->kill_ms;
    int64_t left = until == INT64_MAX ? -1 : until - now_ms();
    return until == INT64_MAX ? -1 : left > 0 ? (int)left : 0;
}

/* Commands whose time is over. */
static int kill_late(struct server *v)
{
    int code = -1;
    if (v->kill_ms == INT64_MAX || now_ms() < v->kill_ms)
        return -1;
    v->kill_ms = INT64_MAX;
    for (struct served *one = v->first, *next; one != NULL && code < 0; one = next) {
        next = one->next;
        if (one->kill_ms != INT64_MAX)
            code = go_on(v, one);
    }
    return code;
}

/* Returns -1 to go on, else the exit code. */
static int handle(struct server *v, const struct epoll_event *events, int n)
{
    const struct session_server_options *o = v->options;
    int code = kill_late(v);
    for (int i = 0; i < n && code < 0; i++)
        if (events[i].data.ptr != NULL)
            code = go_on(v, events[i].data.ptr);
    free_over(v);
    if (code < 0)
        code = accept_all(v);
    if (code < 0)
        code = o->receive(o->context);
    if (n > 0 && o->count == 0)
        set_deadline(v);
    return code;
}

static int end_of_time(const struct server *v)
{
    const struct session_server_options *o = v->options;
    if (o->count == 0)
        return EXIT_DONE;
    return tool_fail(EXIT_TEMPORARY, "%lld of %lld sessions within %g s", (long long)v->n_done,
                     (long long)o->count, o->timeout);
}

static int serve(struct server *v)
{
    const struct session_server_options *o = v->options;
    struct epoll_event events[MAX_EVENTS];
    int code = -1, n = 0;
    set_deadline(v);
    while (code < 0 && !ending_is_asked()) {
        code = handle(v, events, n > 0 ? n : 0);
        if (code >= 0 || (o->count != 0 && v->n_done >= o->count))
            break;
        int left = time_left(v);
        n = epoll_wait(v->epoll, events, MAX_EVENTS, left);
        if (n < 0 && errno != EINTR)
            code = tool_fail(EXIT_SYSTEM, "cannot wait: %s", strerror(errno));
        if (n == 0 && left != -1 && now_ms() >= v->deadline_ms &&
            (o->count != 0 || v->n_served == 0))
            code = end_of_time(v);
    }
    return code < 0 ? EXIT_DONE : code;
}

/* Commands get their time to end, all at once. */
static void end_all(struct server *v)
{
    int64_t until = now_ms() + SERVED_GRACE_MS;
    struct epoll_event events[MAX_EVENTS];
    for (struct served *one = v->first; one != NULL; one = one->next)
        served_end(one, "server ended", until - SERVED_GRACE_MS);
    while (v->first != NULL && now_ms() < until) {
        for (struct served *one = v->first, *next; one != NULL; one = next) {
            next = one->next;
            if (served_go_on(one, 0) == SERVED_OVER)
                link_out(v, one);
        }
        if (v->first != NULL)
            epoll_wait(v->epoll, events, MAX_EVENTS, 20);
    }
    while (v->first != NULL)
        link_out(v, v->first);
    free_over(v);
}

/* Each session has a few descriptors. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int session_server_run(const struct session_server_options *o)
{
    struct server v = {.options = o, .epoll = epoll_create1(EPOLL_CLOEXEC), .kill_ms = INT64_MAX};
    raise_limit();
    int error = v.epoll < 0 ? -errno : watch(&v, msgd_listener_fd(o->listener), NULL);
    if (error == 0)
        error = watch(&v, msgd_fd(o->m), NULL);
    int code = error == 0 ? serve(&v) : tool_fail(EXIT_SYSTEM, "cannot wait: %s", strerror(-error));
    end_all(&v);
    if (v.epoll >= 0)
        close(v.epoll);
    return code;
}
