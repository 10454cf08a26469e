/* SPDX-License-Identifier: MIT */
/*
 * A server of sessions inside an event loop: each message goes back to the client that sent it.
 *
 *     cc session_server.c -o session_server $(pkg-config --cflags --libs msgd) && ./session_server
 *     msgconnect 127.0.0.1:7003                                  # in other terminals
 */
#include <msgd.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MAX_EVENTS 64

/* A message that did not go back yet is not read again, so nothing piles up for a slow client. */
struct client {
    struct msgd_session *session;
    struct msgd_text text; /* data NULL: none */
};

/* Everything that can be done without waiting. 1: it goes on; 0: it is over. */
static int serve(struct client *c)
{
    int rc = 0;

    while (rc >= 0) {
        if (c->text.data == NULL && (rc = msgd_session_read(c->session, &c->text, 0)) != 1)
            break;
        rc = msgd_session_write(c->session, c->text.data, c->text.length, 0);
        if (rc == 0)
            c->text.data = NULL;
    }
    if (rc == 0) /* the client has finished */
        rc = msgd_session_finish(c->session);
    if (rc < 0 && rc != -EAGAIN)
        fprintf(stderr, "session_server: %s\n", msgd_session_error(c->session));
    return msgd_session_state(c->session) == MSGD_SESSION_OPEN;
}

/* The first call arms the descriptor. */
static void go_on(struct client *c)
{
    if (serve(c))
        return;
    (void)!msgd_session_close(c->session, 0);
    free(c);
}

static void take(struct msgd_listener *l, const struct msgd_offer *offer, int loop)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct client *c = calloc(1, sizeof(*c));

    /* Here a server that is choosy looks at offer->identity, and calls msgd_refuse. */
    if (c == NULL || msgd_accept(l, offer, &c->session) != 0) {
        fprintf(stderr, "session_server: cannot take the session of %s\n", offer->peer);
        free(c);
        return;
    }
    event.data.ptr = c;
    epoll_ctl(loop, EPOLL_CTL_ADD, msgd_session_fd(c->session), &event);
    go_on(c);
}

static int run(struct msgd *m, struct msgd_listener *l)
{
    struct epoll_event events[MAX_EVENTS] = {{.events = EPOLLIN}};
    struct msgd_offer offer;
    int loop = epoll_create1(EPOLL_CLOEXEC), error, n;

    epoll_ctl(loop, EPOLL_CTL_ADD, msgd_listener_fd(l), &events[0]);
    for (;;) {
        while ((error = msgd_next_offer(l, &offer, 0)) == 1)
            take(l, &offer, loop);
        if (error < 0 && error != -EINTR)
            break;
        n = epoll_wait(loop, events, MAX_EVENTS, -1);
        for (int i = 0; i < n; i++)
            if (events[i].data.ptr != NULL)
                go_on(events[i].data.ptr);
    }
    fprintf(stderr, "session_server: %s\n", msgd_error(m));
    close(loop);
    return 1;
}

int main(int argc, char **argv)
{
    const struct msgd_registration registration = {
        .name = "talk",
        .port = (uint16_t)atoi(argc > 1 ? argv[1] : "7003"),
        .sessions = MSGD_SESSIONS_ASK,
    };
    struct msgd *m;
    struct msgd_listener *l = NULL;

    if (msgd_open(&m, NULL) < 0) {
        fprintf(stderr, "session_server: %s\n", msgd_error(NULL));
        return 1;
    }
    if (msgd_register(m, &registration, NULL) < 0 || msgd_listen(&l, m, "talk") < 0) {
        fprintf(stderr, "session_server: %s\n", msgd_error(m));
        m = msgd_close(m);
        return 1;
    }
    fprintf(stderr, "session_server: listening\n");
    int status = run(m, l);
    l = msgd_listener_close(l);
    m = msgd_close(m);
    return status;
}
