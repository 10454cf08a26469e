/* SPDX-License-Identifier: MIT */
/* When sessions are to be looked at again: one timerfd for all of a worker, in nanoseconds and on a
 * clock that goes on while the machine sleeps, which libuv's timers are not. */
#include "daemon/data/carrier.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void pump_due(struct worker *w)
{
    int64_t now_ns = (int64_t)session_now_ns();
    struct timer *first;

    while ((first = timers_first(&w->sessions->timers)) != NULL && first->at <= now_ns) {
        struct carrier *c = CONTAINER_OF(first, struct carrier, timer);
        timers_set(&w->sessions->timers, first, INT64_MAX);
        carrier_touch(c);
    }
}

static void on_due(uv_poll_t *poll, int status, int events)
{
    struct sessions *s = CONTAINER_OF(poll, struct sessions, clock);
    struct worker *w = poll->data;
    uint64_t n;
    (void)status;
    (void)events;

    (void)!read(s->clock_fd, &n, sizeof(n));
    s->armed_ns = INT64_MAX;
    pump_due(w);
    worker_flush(w);
}

int session_clock_open(struct worker *w)
{
    struct sessions *s = w->sessions;

    s->armed_ns = INT64_MAX;
    s->clock_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (s->clock_fd < 0)
        return error_trace(-errno, "a timer for sessions");
    int r = uv_poll_init(&w->loop, &s->clock, s->clock_fd);
    if (r < 0)
        return error_trace(r, "a timer for sessions");
    s->clock.data = w;
    r = worker_watch(w, &s->clock, UV_READABLE, on_due);
    return r < 0 ? error_trace(r, "a timer for sessions") : 0;
}

void session_clock_close(struct worker *w)
{
    if (w->sessions->clock_fd >= 0)
        close(w->sessions->clock_fd);
}

void session_clock_set(struct carrier *c, uint64_t at_ns)
{
    int64_t at = at_ns < INT64_MAX ? (int64_t)at_ns : INT64_MAX;

    if (c->has_timer && c->timer.at != at)
        timers_set(&c->worker->sessions->timers, &c->timer, at);
}

void session_clock_arm(struct worker *w)
{
    struct sessions *s = w->sessions;
    struct timer *first = timers_first(&s->timers);
    struct itimerspec when = {0};

    /* One that comes too early is cheaper than setting it each time. */
    if (first == NULL || first->at >= s->armed_ns)
        return;
    when.it_value.tv_sec = first->at / 1000000000;
    when.it_value.tv_nsec = first->at % 1000000000;
    if (timerfd_settime(s->clock_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
        s->armed_ns = first->at;
}
