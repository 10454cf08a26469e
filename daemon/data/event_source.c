/* SPDX-License-Identifier: MIT */
/* The worker's epoll set. */
#include "daemon/data/event_source.h"

#include "daemon/data/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* So many are called between two looks at libuv's. */
#define SOURCES_PER_WAIT 256

static int set(const struct worker *w, int operation, struct event_source *source)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = source};

    return epoll_ctl(w->epoll, operation, source->descriptor, &event) == 0 ? 0 : -errno;
}

int event_sources_open(struct worker *w)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, uv_backend_fd(&w->loop), &event) != 0)
        return error_trace(-errno, "the epoll set of a worker");
    return 0;
}

void event_sources_close(struct worker *w)
{
    if (w->epoll >= 0)
        close(w->epoll);
    w->epoll = -1;
}

int event_source_start(struct worker *w, struct event_source *source,
                       void (*ready)(struct event_source *source, uint32_t events))
{
    int rc = set(w, EPOLL_CTL_ADD, source);

    if (rc == 0)
        source->ready = ready;
    return rc;
}

void event_source_stop(struct worker *w, struct event_source *source)
{
    if (source->ready == NULL)
        return;
    source->ready = NULL;
    (void)!set(w, EPOLL_CTL_DEL, source);
}

void event_source_again(struct worker *w, struct event_source *source)
{
    (void)!set(w, EPOLL_CTL_MOD, source); /* allocates nothing: it is in the set */
}

/* Of many sources none is in a cache. */
static void look_ahead(const struct epoll_event *events, int n)
{
    struct event_source *next = n > 1 ? events[1].data.ptr : NULL;

    if (next != NULL && next->soon != NULL)
        next->soon(next);
    if (n > 2)
        __builtin_prefetch(events[2].data.ptr);
}

unsigned event_sources_wait(struct worker *w, int timeout_ms, bool *is_libuv_ready)
{
    struct epoll_event events[SOURCES_PER_WAIT];
    int n = epoll_wait(w->epoll, events, SOURCES_PER_WAIT, timeout_ms);
    unsigned n_called = 0;

    uv_update_time(&w->loop);
    *is_libuv_ready = false;
    for (int i = 0; i < n; i++) {
        struct event_source *source = events[i].data.ptr;

        look_ahead(events + i, n - i);
        if (source == NULL) {
            *is_libuv_ready = true;
        } else if (source->ready != NULL) { /* one before it may have stopped it */
            source->ready(source, events[i].events);
            n_called++;
        }
    }
    return n_called;
}
