/* SPDX-License-Identifier: MIT */
/* Listening for sessions: a connection that hears of them, and calls on the other one. */
#include "client/call.h"
#include "client/deadline.h"
#include "client/reconnect.h"
#include "client/session_unix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define FIRST_DELAY_MS 10
#define LAST_DELAY_MS  1000
#define LISTEN_WAIT_MS 30000
#define MAX_EVENTS     4

enum listener_state {
    LISTENER_LOST,   /* no connection; the next attempt is at next_attempt */
    LISTENER_ASKING, /* Listen is on its way */
    LISTENER_UP,
};

/* Those that we have accepted and have not heard of as open: that is no offer any more. */
struct accepted {
    char (*ids)[SESSION_ID_TEXT_MAX]; /* owned */
    size_t n;
    size_t capacity;
};

struct msgd_listener {
    struct msgd *m;
    char *name;
    enum listener_state state;
    struct connection connection;
    int epoll; /* what msgd_listener_fd gives: watches the connection and the timer */
    int timer; /* for the next attempt */
    int64_t next_attempt;
    int delay_ms;
    struct varlink_reply reply; /* what the last offer shows; root NULL: none */
    struct accepted accepted;
};

/* ---- Accepted ---- */

static int accepted_add(struct accepted *a, const char *id)
{
    if (a->n == a->capacity) {
        size_t capacity = a->capacity == 0 ? 8 : a->capacity * 2;
        void *ids = realloc(a->ids, capacity * sizeof(*a->ids));
        if (ids == NULL)
            return -ENOMEM;
        a->ids = ids;
        a->capacity = capacity;
    }
    snprintf(a->ids[a->n++], sizeof(a->ids[0]), "%s", id);
    return 0;
}

/* True: it was there. */
static bool accepted_remove(struct accepted *a, const char *id)
{
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->ids[i], id) != 0)
            continue;
        a->n--;
        memmove(a->ids[i], a->ids[a->n], sizeof(a->ids[0]));
        return true;
    }
    return false;
}

/* ---- The connection ---- */

static void set_timer(struct msgd_listener *l, int after_ms)
{
    /* Zero would disarm it. */
    const struct itimerspec when = {
        .it_value = {.tv_sec = after_ms / 1000, .tv_nsec = (long)(after_ms % 1000) * NS_PER_MS + 1},
    };

    timerfd_settime(l->timer, 0, &when, NULL);
}

static void plan_attempt(struct msgd_listener *l)
{
    l->next_attempt = deadline_now() + l->delay_ms * NS_PER_MS;
    set_timer(l, l->delay_ms);
    l->delay_ms = l->delay_ms * 2 < LAST_DELAY_MS ? l->delay_ms * 2 : LAST_DELAY_MS;
}

static void lose(struct msgd_listener *l)
{
    /* Closing is not enough where a forked child has the descriptor too. */
    if (connection_is_open(&l->connection))
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->connection.fd, NULL);
    connection_close(&l->connection);
    l->accepted.n = 0;
    l->state = LISTENER_LOST;
    plan_attempt(l);
}

static int watch(struct msgd_listener *l, int operation, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (fd == l->connection.fd && connection_has_output(&l->connection))
        event.events |= EPOLLOUT;
    return epoll_ctl(l->epoll, operation, fd, &event) == 0 ? 0 : -errno;
}

/* After a restart of msgd the endpoint is there again once m has registered it. 0 (see m->state),
 * or what stands in the way. */
static int bring_up(struct msgd *m)
{
    if (m->state == CLIENT_STREAMING)
        return failure_set(&m->failure, -EBUSY,
                           "a call with \"more\" has the connection that this listener needs");
    if (m->state == CLIENT_UP) {
        int gone = connection_probe(&m->connection);
        if (gone == 0)
            return 0;
        reconnect_lose(m, gone == -ECONNRESET ? LOST_BY_MSGD : LOST_BY_US);
    }
    return reconnect_advance(m);
}

static int try_to_listen(struct msgd_listener *l)
{
    if (deadline_now() < l->next_attempt)
        return 0;
    int error = bring_up(l->m);
    if (error != 0 || l->m->state != CLIENT_UP) {
        plan_attempt(l);
        return error;
    }
    error = connection_open(&l->connection, l->m->path, false);
    if (error != 0) {
        failure_unreachable(&l->m->failure, l->m->path, error);
        plan_attempt(l);
        return 0;
    }
    varlink_begin_call(&l->connection.out, "io.msgd.Listen", false, true);
    json_put_string(&l->connection.out, "name", l->name);
    varlink_end(&l->connection.out);
    l->state = LISTENER_ASKING;
    return watch(l, EPOLL_CTL_ADD, l->connection.fd);
}

/* Sends and reads what it can. 1: l->reply is the next one; 0: none yet (see state). */
static int read_reply(struct msgd_listener *l)
{
    int error = connection_send(&l->connection);
    int rc = connection_next(&l->connection, &l->reply);

    while (rc == 0 && (error == 0 || error == -EAGAIN)) {
        error = connection_read(&l->connection);
        if (error == -EAGAIN)
            return watch(l, EPOLL_CTL_MOD, l->connection.fd) == 0 ? 0 : -errno;
        rc = connection_next(&l->connection, &l->reply);
    }
    if (rc == 1)
        return 1;
    lose(l);
    return rc == -ENOMEM ? failure_set(&l->m->failure, rc, "no memory for an offer") : 0;
}

static void forget_reply(struct msgd_listener *l)
{
    if (l->reply.root != NULL)
        varlink_reply_deinit(&l->reply);
    l->reply = (struct varlink_reply){0};
}

/* ---- What it says ---- */

static const char *text_at(const json_t *reply, const char *key)
{
    return json_string_value(json_object_get(reply, key));
}

/* 1: *out is an offer; 0: something else; or a failure. */
static int take_event(struct msgd_listener *l, struct msgd_offer *out)
{
    const json_t *reply = l->reply.parameters;
    const char *event = text_at(reply, "event");
    const char *session = text_at(reply, "session");

    if (l->reply.error != NULL || !l->reply.continues) {
        int error = l->reply.error != NULL
                        ? failure_from_reply(&l->m->failure, "io.msgd.Listen", l->name, &l->reply)
                        : 0;
        lose(l);
        return error;
    }
    l->state = LISTENER_UP;
    l->delay_ms = FIRST_DELAY_MS;
    if (event == NULL || session == NULL)
        return 0;
    bool is_open = strcmp(event, "open") == 0;
    if (is_open || strcmp(event, "close") == 0)
        if (accepted_remove(&l->accepted, session))
            return 0;
    if ((!is_open && strcmp(event, "connect") != 0) || strlen(session) >= SESSION_ID_TEXT_MAX)
        return 0;
    *out = (struct msgd_offer){
        .name = l->name,
        .session = session,
        .peer = text_at(reply, "peer") != NULL ? text_at(reply, "peer") : "",
        .address = text_at(reply, "address") != NULL ? text_at(reply, "address") : "",
        .identity = text_at(reply, "identity"),
        .is_open = is_open,
    };
    return 1;
}

/* Sleeps until something may have changed. 1: look again; 0: the time is over; -EINTR. */
static int sleep_until(struct msgd_listener *l, int64_t deadline)
{
    struct epoll_event events[MAX_EVENTS];
    uint64_t ticks;
    int n = epoll_wait(l->epoll, events, MAX_EVENTS, deadline_left_ms(deadline));

    if (n < 0)
        return failure_set(&l->m->failure, -errno, "cannot wait for sessions: %s", strerror(errno));
    for (int i = 0; i < n; i++)
        if (events[i].data.fd == l->timer && read(l->timer, &ticks, sizeof(ticks)) < 0)
            ticks = 0; /* nothing to do where it was read already */
    return n > 0;
}

enum { LISTENER_HEARD = 2 };

/* One step: 1: an offer; 0: nothing to hear; LISTENER_HEARD: something else; or a failure. */
static int listener_step(struct msgd_listener *l, struct msgd_offer *out)
{
    int rc = 0;

    forget_reply(l);
    if (l->state == LISTENER_LOST)
        rc = try_to_listen(l);
    if (rc == 0 && l->state != LISTENER_LOST)
        rc = read_reply(l);
    if (rc != 1)
        return rc;
    rc = take_event(l, out);
    return rc == 0 ? LISTENER_HEARD : rc;
}

int msgd_next_offer(struct msgd_listener *l, struct msgd_offer *out, int timeout_ms)
{
    int64_t deadline = deadline_after_ms(timeout_ms);

    *out = (struct msgd_offer){0};
    for (;;) {
        int rc = listener_step(l, out);
        if (rc == 0) {
            rc = sleep_until(l, deadline);
            if (rc <= 0)
                return rc;
        } else if (rc != LISTENER_HEARD) {
            return rc;
        }
    }
}

int msgd_listener_fd(const struct msgd_listener *l)
{
    return l->epoll;
}

/* ---- Life ---- */

struct msgd_listener *msgd_listener_close(struct msgd_listener *l)
{
    if (l == NULL)
        return NULL;
    forget_reply(l);
    connection_close(&l->connection);
    if (l->timer >= 0)
        close(l->timer);
    if (l->epoll >= 0)
        close(l->epoll);
    free(l->accepted.ids);
    free(l->name);
    free(l);
    return NULL;
}

static int open_descriptors(struct msgd_listener *l)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0)
        return -errno;
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->timer < 0)
        return -errno;
    return watch(l, EPOLL_CTL_ADD, l->timer);
}

/* Until msgd has said that it listens, or why not. */
static int await_listening(struct msgd_listener *l)
{
    int64_t deadline = deadline_after_ms(LISTEN_WAIT_MS);
    struct msgd_offer unused;

    while (l->state != LISTENER_UP) {
        int rc = listener_step(l, &unused);
        if (rc == 0)
            rc = sleep_until(l, deadline);
        if (rc < 0 && rc != -EINTR)
            return rc;
        if (deadline_left_ms(deadline) == 0)
            return failure_set(&l->m->failure, -ETIMEDOUT, "msgd at %s does not answer Listen",
                               l->m->path);
    }
    return 0;
}

int msgd_listen(struct msgd_listener **out, struct msgd *m, const char *name)
{
    struct msgd_listener *l = calloc(1, sizeof(*l));
    int error = -ENOMEM;

    *out = NULL;
    if (l != NULL) {
        l->m = m;
        l->epoll = l->timer = -1;
        l->delay_ms = FIRST_DELAY_MS;
        connection_init(&l->connection);
        l->name = strdup(name);
        if (l->name != NULL)
            error = open_descriptors(l);
    }
    if (error != 0)
        failure_set(&m->failure, error, "cannot listen for sessions: %s", strerror(-error));
    else
        error = await_listening(l);
    if (error == 0)
        *out = l;
    else
        (void)msgd_listener_close(l);
    return error;
}

/* ---- Deciding ---- */

/* The stream socket that came with Accept's reply. Its descriptor, or a negative errno. */
static int take_descriptor(struct connection *c, const json_t *reply)
{
    const json_t *index = json_object_get(reply, "descriptor");
    struct descriptor_set set;
    int fd = -EPROTO;
    int error = connection_take_set(c, &set);

    if (error != 0)
        return error;
    if (json_is_integer(index) && json_integer_value(index) >= 0 &&
        (size_t)json_integer_value(index) < set.n) {
        fd = set.fds[json_integer_value(index)];
        set.fds[json_integer_value(index)] = -1;
    }
    descriptor_set_close(&set);
    return fd;
}

static int call_accept(struct msgd *m, const char *session)
{
    struct varlink_reply reply;
    int error = call_prepare(m);

    if (error != 0)
        return error;
    varlink_begin_call(&m->connection.out, "io.msgd.Accept", false, false);
    json_put_string(&m->connection.out, "session", session);
    json_put_bool(&m->connection.out, "descriptor", true);
    varlink_end(&m->connection.out);
    error = call_finish(m, "io.msgd.Accept", NULL, &reply);
    if (error != 0)
        return error;
    int fd = take_descriptor(&m->connection, reply.parameters);
    varlink_reply_deinit(&reply);
    if (fd < 0)
        return failure_set(&m->failure, fd, "msgd gave no stream for session %s: %s", session,
                           strerror(-fd));
    return fd;
}

int msgd_accept(struct msgd_listener *l, const struct msgd_offer *offer, struct msgd_session **out)
{
    const struct session_offer session = {
        .id = offer->session, .peer = offer->peer, .identity = offer->identity};

    *out = NULL;
    if (!offer->is_open && accepted_add(&l->accepted, offer->session) != 0)
        return failure_set(&l->m->failure, -ENOMEM, "no memory for a session");
    int fd = call_accept(l->m, offer->session);
    if (fd >= 0)
        return session_unix_open(out, fd, &session, &l->m->failure);
    accepted_remove(&l->accepted, offer->session);
    return fd;
}

int msgd_refuse(struct msgd_listener *l, const struct msgd_offer *offer, const char *reason)
{
    const char *method = offer->is_open ? "io.msgd.Close" : "io.msgd.Refuse";
    struct msgd *m = l->m;
    struct varlink_reply reply;
    int error = call_prepare(m);

    if (error != 0)
        return error;
    varlink_begin_call(&m->connection.out, method, false, false);
    json_put_string(&m->connection.out, "session", offer->session);
    json_put_string(&m->connection.out, "reason", reason != NULL ? reason : "refused");
    if (offer->is_open)
        json_put_bool(&m->connection.out, "abort", true);
    varlink_end(&m->connection.out);
    error = call_finish(m, method, NULL, &reply);
    if (error == 0)
        varlink_reply_deinit(&reply);
    return error;
}
