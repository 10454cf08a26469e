/* SPDX-License-Identifier: MIT */
/* A server of sessions for one client, in a thread: it does as it is told, and may lose datagrams.
 */
#ifndef MSGD_TESTS_SESSION_FAKE_H
#define MSGD_TESTS_SESSION_FAKE_H

#include "proto/frame.h"
#include "proto/session.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum fake_server_act {
    SERVER_ECHOES,    /* gives back every byte, and the end */
    SERVER_REFUSES,   /* with `word` */
    SERVER_ASKS_ONLY, /* challenges, and never decides */
    SERVER_IS_MUTE,
    SERVER_WRITES,  /* `word`, as it is, finishes, and reads nothing before that */
    SERVER_ABORTS,  /* with the reason `word`, when something has come */
    SERVER_VANISHES /* closes its sockets when something has come */
};

struct fake_server {
    enum fake_server_act act;
    const char *word;
    bool is_single_port;
    unsigned loss_percent;
    /* for itself */
    int asked, own; /* sockets; own -1: not open */
    uint16_t port;
    struct session *session;
    bool has_acted;
    unsigned random;
    char identity[FRAME_IDENTITY_MAX + 1];
    atomic_bool is_to_end;
    pthread_t thread;
};

static inline uint64_t fake_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A socket on a port of 127.0.0.1 that the kernel chooses. */
static inline int fake_socket(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &length), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static inline bool fake_is_lost(struct fake_server *f)
{
    f->random = f->random * 1103515245 + 12345;
    return f->random / 65536 % 100 < f->loss_percent;
}

static inline void fake_send_to(struct fake_server *f, int fd, const struct address *to,
                                const uint8_t *bytes, size_t n)
{
    struct sockaddr_storage storage;
    socklen_t length = address_to_sockaddr(to, AF_INET, &storage);

    if (!fake_is_lost(f))
        (void)!sendto(fd, bytes, n, 0, (struct sockaddr *)&storage, length);
}

static inline void fake_answer_connect(struct fake_server *f, const struct frame *c,
                                       const struct address *from)
{
    static const uint8_t cookie[] = "a cookie";
    uint8_t buf[2048];
    struct frame answer = {.members = FRAME_HAS_NONCE};

    memcpy(answer.nonce, c->nonce, sizeof answer.nonce);
    memcpy(f->identity, c->identity.bytes, c->identity.n);
    if (c->cookie.n == 0) {
        answer.type = FRAME_CHALLENGE;
        answer.members |= FRAME_HAS_COOKIE;
        answer.cookie = (struct frame_slice){cookie, sizeof cookie - 1};
    } else if (f->act == SERVER_REFUSES) {
        answer.type = FRAME_REFUSE;
        answer.members |= FRAME_HAS_REASON;
        answer.reason = (struct frame_slice){(const uint8_t *)f->word, strlen(f->word)};
    } else if (f->act != SERVER_ASKS_ONLY) {
        struct session_options o = {.is_server = true,
                                    .peer = *from,
                                    .now_ns = fake_now(),
                                    .seed = 5,
                                    .peer_window = c->window};
        answer.type = FRAME_ACCEPT;
        answer.members |= FRAME_HAS_SESSION | FRAME_HAS_WINDOW;
        answer.window = 1024 * 1024;
        memset(answer.session, 0xab, sizeof answer.session);
        memset(o.id, 0xab, sizeof o.id);
        if (!f->is_single_port) {
            answer.members |= FRAME_HAS_PORT;
            if (f->own < 0)
                f->own = fake_socket(&f->port);
            answer.port = f->port;
        }
        if (f->session == NULL)
            cr_assert_eq(session_new(&f->session, &o), 0);
    } else {
        return;
    }
    fake_send_to(f, f->asked, from, buf, frame_write(&answer, buf, sizeof buf));
}

static inline void fake_receive(struct fake_server *f, int fd)
{
    static uint8_t bytes[65536];
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    ssize_t n;

    while ((n = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&storage, &length)) >= 0) {
        struct address from;
        struct frame frame;
        cr_assert_eq(address_from_sockaddr((struct sockaddr *)&storage, &from), 0);
        if (f->act == SERVER_IS_MUTE || fake_is_lost(f) ||
            frame_parse(bytes, (size_t)n, &frame) != 0)
            continue;
        if (frame.type == FRAME_CONNECT)
            fake_answer_connect(f, &frame, &from);
        else if (f->session != NULL)
            session_receive(f->session, fake_now(), &from, &frame, (size_t)n);
    }
}

static inline void fake_echo(struct fake_server *f)
{
    const uint8_t *bytes;
    size_t n;

    while ((bytes = session_peek(f->session, &n)) != NULL) {
        size_t taken = session_write(f->session, bytes, n);
        if (taken == 0)
            return;
        session_consume(f->session, taken);
    }
    if (session_is_finished(f->session))
        session_finish(f->session);
}

static inline void fake_act(struct fake_server *f)
{
    size_t n;
    bool has_come = session_peek(f->session, &n) != NULL;

    if (f->act == SERVER_ECHOES) {
        fake_echo(f);
    } else if (f->act == SERVER_WRITES) {
        if (!f->has_acted)
            session_write(f->session, f->word, strlen(f->word));
        f->has_acted = true;
        session_finish(f->session);
        while (session_peek(f->session, &n) != NULL)
            session_consume(f->session, n);
    } else if (f->act == SERVER_ABORTS && has_come) {
        session_abort(f->session, f->word);
    } else if (f->act == SERVER_VANISHES && has_come) {
        close(f->own);
        f->own = -1;
        f->session = session_free(f->session);
    }
}

static inline void fake_send_all(struct fake_server *f)
{
    static uint8_t bytes[SESSION_DATAGRAM_MAX];
    struct address to;
    size_t n;

    while ((n = session_send(f->session, fake_now(), bytes, sizeof bytes, &to)) > 0)
        fake_send_to(f, f->own >= 0 ? f->own : f->asked, &to, bytes, n);
}

static inline void *fake_serve(void *context)
{
    struct fake_server *f = context;

    while (!f->is_to_end) {
        struct pollfd fds[] = {{.fd = f->asked, .events = POLLIN},
                               {.fd = f->own, .events = POLLIN}};
        poll(fds, 2, 1);
        fake_receive(f, f->asked);
        if (f->own >= 0)
            fake_receive(f, f->own);
        if (f->session != NULL)
            fake_act(f);
        if (f->session != NULL)
            fake_send_all(f);
    }
    return NULL;
}

/* target: room for "127.0.0.1:65535". */
static inline void fake_server_start(struct fake_server *f, char target[32])
{
    uint16_t port;

    f->own = -1;
    f->random = 3;
    f->asked = fake_socket(&port);
    snprintf(target, 32, "127.0.0.1:%u", port);
    cr_assert_eq(pthread_create(&f->thread, NULL, fake_serve, f), 0);
}

static inline void fake_server_stop(struct fake_server *f)
{
    f->is_to_end = true;
    pthread_join(f->thread, NULL);
    close(f->asked);
    if (f->own >= 0)
        close(f->own);
    f->session = session_free(f->session);
}

#endif
