/* SPDX-License-Identifier: MIT */
/* Connecting again with a growing delay, and registering what was registered. */
#include "client/reconnect.h"

#include "client/deadline.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define FIRST_DELAY_MS 10u
#define LAST_DELAY_MS  1000u
/* A connection that has lived so long was a good one: the next loss begins with no delay. */
#define GOOD_NS (1000 * NS_PER_MS)

void reconnect_set_timer(struct msgd *m, uint32_t after_ms)
{
    /* Zero would disarm it. */
    const struct itimerspec when = {
        .it_value = {.tv_sec = after_ms / 1000, .tv_nsec = (long)(after_ms % 1000) * NS_PER_MS + 1},
    };

    timerfd_settime(m->timer, 0, &when, NULL);
}

/* xorshift32; any spread will do. */
static uint32_t spread(struct msgd *m, uint32_t below)
{
    m->jitter ^= m->jitter << 13;
    m->jitter ^= m->jitter >> 17;
    m->jitter ^= m->jitter << 5;
    return m->jitter % below;
}

/* Half of the delay is certain, the other half chance, so that clients do not come all at once. */
static void plan_attempt(struct msgd *m)
{
    uint32_t wait_ms = 0;

    if (m->delay_ms > 0)
        wait_ms = m->delay_ms / 2 + spread(m, m->delay_ms / 2 + 1);
    m->next_attempt = deadline_now() + wait_ms * NS_PER_MS;
    m->delay_ms = m->delay_ms == 0 ? FIRST_DELAY_MS : m->delay_ms * 2;
    if (m->delay_ms > LAST_DELAY_MS)
        m->delay_ms = LAST_DELAY_MS;
    reconnect_set_timer(m, wait_ms);
}

/* Nothing is registered any more. */
static void detach(struct msgd *m)
{
    for (size_t i = m->registrations.n; i > 0; i--) {
        struct registration *r = m->registrations.items[i - 1];
        if (r->state == REGISTRATION_ACTIVE)
            m->detached_name = r->name;
        registration_end(&m->registrations, r);
    }
}

void reconnect_lose(struct msgd *m, enum reconnect_cause cause)
{
    if (m->state == CLIENT_UP && deadline_now() - m->up_since > GOOD_NS)
        m->delay_ms = 0;
    if (m->state == CLIENT_UP && cause == LOST_BY_MSGD)
        m->is_suspect = true;
    m->daemon.is_current = false;
    /* Closing is not enough where a forked child has the descriptor too. */
    if (connection_is_open(&m->connection))
        epoll_ctl(m->epoll, EPOLL_CTL_DEL, m->connection.fd, NULL);
    connection_close(&m->connection);
    enrolment_cancel(&m->enrolment, &m->registrations);
    inbox_end_links(&m->inbox);
    m->state = CLIENT_LOST;
    plan_attempt(m);
}

/* Watches the control socket: for the end and for replies, and for room to write if that is wanted.
 */
static int watch(struct msgd *m, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = m->connection.fd};

    if (connection_has_output(&m->connection))
        event.events |= EPOLLOUT;
    return epoll_ctl(m->epoll, operation, m->connection.fd, &event) == 0 ? 0 : -errno;
}

static void set_up(struct msgd *m)
{
    m->state = CLIENT_UP;
    m->is_suspect = false;
    m->up_since = deadline_now();
}

int reconnect_adopt(struct msgd *m)
{
    int error = watch(m, EPOLL_CTL_ADD);

    if (error == 0)
        set_up(m);
    return error;
}

/* Appends what is ours and may, or may not, have to wait for its name. 0 or -ENOMEM. */
static int append_active(const struct registrations *all, bool may_queue,
                         struct registration **todo, size_t *n)
{
    for (size_t i = 0; i < all->n; i++) {
        struct registration *r = all->items[i];
        if (r->state != REGISTRATION_ACTIVE || r->may_queue != may_queue)
            continue;
        if (registration_want_again(r) != 0)
            return -ENOMEM;
        todo[(*n)++] = r;
    }
    return 0;
}

/* Everything that is ours, for registering it again; what may wait holds up the replies behind it.
 */
static int begin_enrolment(struct msgd *m)
{
    const struct registrations *all = &m->registrations;
    struct registration **todo = malloc((all->n_active + 1) * sizeof(struct registration *));
    size_t n = 0;

    if (todo == NULL)
        return -ENOMEM;
    if (append_active(all, false, todo, &n) != 0 || append_active(all, true, todo, &n) != 0) {
        free(todo);
        return -ENOMEM;
    }
    enrolment_begin(&m->enrolment, todo, n, true);
    m->enrolment.is_suspect = m->is_suspect;
    m->state = CLIENT_ENROLLING;
    return 0;
}

static int no_memory(struct msgd *m, int error)
{
    reconnect_lose(m, LOST_BY_US);
    return failure_set(&m->failure, error, "cannot connect to msgd at %s again: %s", m->path,
                       strerror(-error));
}

static int try_to_connect(struct msgd *m)
{
    if (deadline_now() < m->next_attempt)
        return 0;
    int error = connection_open(&m->connection, m->path, false);
    if (error != 0) {
        failure_unreachable(&m->failure, m->path, error);
        plan_attempt(m);
        return 0;
    }
    error = watch(m, EPOLL_CTL_ADD);
    if (error == 0)
        error = begin_enrolment(m);
    return error == 0 ? 0 : no_memory(m, error);
}

/* A refusal that was noted is told at once, even while others are still being asked for. */
static int take_refusal(struct msgd *m)
{
    int error = m->enrolment.refused;

    m->enrolment.refused = 0;
    return error;
}

static int go_on_enrolling(struct msgd *m)
{
    const struct enrolment_tools tools = client_tools(m);
    int rc = enrolment_advance(&m->enrolment, &tools);

    switch (rc) {
    case ENROLMENT_DONE:
        set_up(m);
        /* fall through */
    case ENROLMENT_WAITS:
        rc = watch(m, EPOLL_CTL_MOD);
        return rc == 0 ? take_refusal(m) : no_memory(m, rc);
    case ENROLMENT_DETACHED:
        detach(m);
        set_up(m);
        rc = watch(m, EPOLL_CTL_MOD);
        return rc == 0 ? 0 : no_memory(m, rc);
    case -EPROTO:
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -ENOSPC:
        reconnect_lose(m, LOST_BY_US);
        return rc;
    default:
        /* It went away again, or is not ready yet. */
        reconnect_lose(m, LOST_BY_MSGD);
        return 0;
    }
}

int reconnect_advance(struct msgd *m)
{
    int error = 0;

    if (m->state == CLIENT_LOST)
        error = try_to_connect(m);
    if (error == 0 && m->state == CLIENT_ENROLLING)
        error = go_on_enrolling(m);
    return error;
}

/* What there is to wait for: the socket while it is there, the next attempt otherwise. */
static int wait_for_more(struct msgd *m, int64_t deadline)
{
    if (m->state == CLIENT_ENROLLING)
        return connection_wait(&m->connection, deadline);
    int64_t until = m->next_attempt < deadline ? m->next_attempt : deadline;
    if (poll(NULL, 0, deadline_left_ms(until)) < 0)
        return -errno;
    return deadline_left_ms(deadline) == 0 ? -ETIMEDOUT : 0;
}

int reconnect_wait(struct msgd *m, int64_t deadline)
{
    for (;;) {
        int error = reconnect_advance(m);
        if (error != 0 || m->state == CLIENT_UP)
            return error;
        error = wait_for_more(m, deadline);
        if (error == -ETIMEDOUT && m->state == CLIENT_LOST)
            return m->failure.sentence[0] != '\0'
                       ? -ENOTCONN
                       : failure_unreachable(&m->failure, m->path, -ENOTCONN);
        if (error != 0 && error != -EINTR)
            return failure_set(&m->failure, error, "msgd at %s: %s", m->path, strerror(-error));
    }
}
