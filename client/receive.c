/* SPDX-License-Identifier: MIT */
/* Receiving, waiting for messages, and releasing them. */
#include "client/call.h"
#include "client/deadline.h"
#include "client/reconnect.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* How soon to look again where msgd was changing something. */
#define BUSY_WAIT_MS 1
#define MAX_EVENTS   16
#define MAX_POLL_US  1000u

/* Tells that msgd has detached this consumer, and what it knows of the endpoint. */
static int say_detached(struct msgd *m, const char *name)
{
    struct varlink_reply reply;
    int error = call_about(m, "io.msgd.Resolve", name, &reply);

    if (error == 0)
        varlink_reply_deinit(&reply);
    if (error == -ENOENT)
        return failure_set(&m->failure, -EPIPE, "endpoint \"%s\" has been released by somebody",
                           name);
    return failure_set(&m->failure, -EPIPE,
                       "msgd has detached this consumer of \"%s\": another one has replaced it, an "
                       "endpoint of its was released, or it did wrong; msgd's log says which",
                       name);
}

/* What stands in the way of waiting for messages. */
static int check_receivable(struct msgd *m)
{
    if (m->state == CLIENT_STREAMING)
        return failure_set(&m->failure, -EBUSY,
                           "a call with \"more\" has this connection; open another");
    if (m->registrations.n_active > 0)
        return 0;
    if (m->detached_name != NULL)
        return say_detached(m, m->detached_name);
    return failure_set(&m->failure, -ENOTCONN,
                       "nothing is registered on this connection; call msgd_register first");
}

/* What the end of handing out means for the connection. 0: go on waiting. */
static int look_after_connection(struct msgd *m, int taken)
{
    if (taken == -EPROTO || (m->state == CLIENT_UP && inbox_is_stuck(&m->inbox))) {
        /* A msgd that died in the middle of a write leaves the same. */
        bool is_alive = m->state == CLIENT_UP && connection_probe(&m->connection) == 0;
        reconnect_lose(m, is_alive ? LOST_BY_US : LOST_BY_MSGD);
        if (is_alive)
            return failure_set(&m->failure, -EPROTO,
                               "what msgd wrote into shared memory makes no sense; are msgd and "
                               "libmsgd of one version?");
    } else if (taken == -EAGAIN) {
        reconnect_set_timer(m, BUSY_WAIT_MS);
    } else if (taken < 0) {
        return failure_set(&m->failure, taken, "cannot receive: %s", strerror(-taken));
    } else if (m->state == CLIENT_UP && inbox_has_ended(&m->inbox)) {
        /* It has detached us, or is about to end: who answers next tells. */
        reconnect_lose(m, LOST_BY_MSGD);
    }
    return m->state == CLIENT_UP ? 0 : reconnect_advance(m);
}

static void clear_timer(struct msgd *m)
{
    uint64_t n;

    /* Nothing to do where it was read by nobody: it is non-blocking. */
    if (read(m->timer, &n, sizeof(n)) < 0)
        return;
}

/*
 * Sleeps until something may have changed. 1: look again; 0: the time is over; -EINTR.
 * Wake descriptors are edge-triggered: having been told is enough.
 */
static int sleep_until(struct msgd *m, int64_t deadline)
{
    struct epoll_event events[MAX_EVENTS];
    int n = epoll_wait(m->epoll, events, MAX_EVENTS, deadline_left_ms(deadline));

    if (n < 0)
        return failure_set(&m->failure, -errno, "cannot wait for messages: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
        if (events[i].data.fd == m->timer)
            clear_timer(m);
        else if (events[i].data.fd == m->connection.fd && m->state == CLIENT_UP)
            /* Nothing was asked: whatever comes is the end, or not msgd's language. */
            reconnect_lose(m,
                           connection_probe(&m->connection) == -EPROTO ? LOST_BY_US : LOST_BY_MSGD);
    }
    return n > 0;
}

/* ---- Looking before sleeping ---- */

/* As inbox_take, for as long as it is worth it. */
static int look(struct msgd *m, struct msgd_message *messages, size_t max, int64_t deadline)
{
    int64_t budget = (int64_t)busy_wait_ns(&m->busy_wait);
    int64_t now = budget > 0 ? deadline_now() : 0;
    int64_t end = now + budget;
    int n = 0;

    if (budget == 0 || deadline < end)
        return 0;
    while (n == 0 && now < end) {
        ring_pause();
        n = inbox_take(&m->inbox, messages, max);
        now = deadline_now();
    }
    if (n == 0)
        busy_wait_in_vain(&m->busy_wait, (uint64_t)now);
    return n;
}

enum waited { NOT_AT_ALL, LOOKING, ASLEEP };

static int have_taken(struct msgd *m, int n, enum waited waited)
{
    busy_wait_took(&m->busy_wait, n);
    if (waited != NOT_AT_ALL)
        busy_wait_ended(&m->busy_wait, (uint64_t)deadline_now(), waited == LOOKING);
    return n;
}

int msgd_set_poll_us(struct msgd *m, unsigned us)
{
    if (us > MAX_POLL_US)
        return failure_set(&m->failure, -EINVAL, "more than %u us of looking", MAX_POLL_US);
    busy_wait_init(&m->busy_wait, us * UINT64_C(1000));
    return 0;
}

/* ---- Receiving ---- */

int msgd_receive(struct msgd *m, struct msgd_message *messages, size_t max, int timeout_ms)
{
    int64_t deadline = 0;

    if (max == 0)
        return failure_set(&m->failure, -EINVAL, "msgd_receive needs room for a message");
    for (bool is_first = true;; is_first = false) {
        int n = inbox_take(&m->inbox, messages, max);
        if (n > 0)
            return have_taken(m, n, is_first ? NOT_AT_ALL : ASLEEP);
        if (is_first)
            deadline = deadline_after_ms(timeout_ms);
        int error = look_after_connection(m, n);
        if (error == 0)
            error = check_receivable(m);
        if (error != 0)
            return error;
        if (n == 0 && is_first) {
            n = look(m, messages, max, deadline);
            if (n > 0)
                return have_taken(m, n, LOOKING);
            if (n < 0)
                continue; /* as if it had been met at first */
        }
        if (n != -EAGAIN && !inbox_prepare_wait(&m->inbox))
            continue;
        int rc = sleep_until(m, deadline);
        if (rc <= 0)
            return rc;
    }
}

void msgd_release(struct msgd *m, const struct msgd_message *last)
{
    inbox_release(&m->inbox, last);
}

int msgd_fd(const struct msgd *m)
{
    return m->epoll;
}
