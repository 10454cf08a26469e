/* SPDX-License-Identifier: MIT */
/*
 * Sessions by libmsgd, both roles.
 *
 *     session serve NAME [--echo] [--warm-up S]
 *     session send TARGET [--size BYTES] [--seconds S]
 *     session cycle TARGET [--sessions N] [--together K] [--messages M] [--size BYTES] [--meet]
 *
 * serve prints "port P" on stderr, reads every session (with --echo it writes back what comes), and
 * prints what came as one JSON object (goodput.h) when SIGTERM ends it. send keeps a session filled
 * for S seconds and ends. cycle opens N sessions, K at a time, each of which says M numbered
 * messages, hears them back and is closed; meet: nobody speaks before K are open. It prints one
 * JSON object.
 */
#include "bench/goodput.h"
#include "client/msgd.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PATIENCE_MS 60000
#define STACK_BYTES (256u << 10)
#define MAX_EVENTS  64
#define LOOK_UP_MS  500 /* a signal just before a call is seen this much later */

struct options {
    const char *target;
    size_t size;
    double seconds, warm_up_s;
    unsigned n_sessions, n_together, n_messages;
    bool is_echo, is_meet;
};

static volatile sig_atomic_t is_ended;

static void end(int number)
{
    (void)number;
    is_ended = 1;
}

static void fail(const char *what, int error, const char *sentence)
{
    fprintf(stderr, "session: %s: %s (%s)\n", what, strerror(-error), sentence);
    exit(71);
}

/* ---- serve ---- */

struct visitor {
    struct msgd_session *session;
    struct msgd_text unanswered; /* read, and not written back yet */
};

struct server {
    const struct options *o;
    struct msgd *msgd;
    struct msgd_listener *listener;
    int epoll;
    struct goodput seen; /* of one session at a time, without --echo */
    uint64_t n_visitors, n_failed;
};

static void watch(const struct server *server, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl", -errno, "");
}

/* 0: all that has come was taken; 1: the client has finished; else what the session failed with. */
static int read_on(struct server *server, struct visitor *v)
{
    for (;;) {
        int status = 0;
        if (v->unanswered.data != NULL)
            status = msgd_session_write(v->session, v->unanswered.data, v->unanswered.length, 0);
        if (status == 0) {
            v->unanswered = (struct msgd_text){0};
            status = msgd_session_read(v->session, &v->unanswered, 0);
        }
        if (status <= 0)
            return status == -EAGAIN ? 0 : status == 0 ? 1 : status;
        if (!server->o->is_echo) {
            goodput_count(&server->seen, v->unanswered.data, v->unanswered.length);
            v->unanswered = (struct msgd_text){0};
        }
    }
}

static void attend(struct server *server, struct visitor *v)
{
    int status = read_on(server, v);
    if (status == 0)
        return;
    epoll_ctl(server->epoll, EPOLL_CTL_DEL, msgd_session_fd(v->session), NULL);
    if (status > 0)
        status = msgd_session_close(v->session, PATIENCE_MS);
    else
        msgd_session_abort(v->session, NULL);
    server->n_failed += status < 0;
    free(v);
}

static void welcome(struct server *server)
{
    struct msgd_offer offer;
    int n;
    while ((n = msgd_next_offer(server->listener, &offer, 0)) > 0) {
        struct visitor *v = calloc(1, sizeof *v);
        if (v == NULL)
            fail("calloc", -ENOMEM, "");
        int status = msgd_accept(server->listener, &offer, &v->session);
        if (status < 0) {
            server->n_failed++;
            free(v);
            continue;
        }
        server->n_visitors++;
        watch(server, msgd_session_fd(v->session), v);
        attend(server, v);
    }
    if (n < 0)
        fail("msgd_next_offer", n, msgd_error(server->msgd));
}

static void open_server(struct server *server)
{
    struct msgd_registration registration = {.name = server->o->target,
                                             .sessions = MSGD_SESSIONS_AUTO};
    struct msgd_endpoint endpoint;
    int status = msgd_open(&server->msgd, NULL);
    if (status == 0)
        status = msgd_register(server->msgd, &registration, &endpoint);
    if (status == 0)
        status = msgd_listen(&server->listener, server->msgd, endpoint.name);
    if (status < 0)
        fail(server->o->target, status, msgd_error(server->msgd));
    watch(server, msgd_listener_fd(server->listener), NULL);
    fprintf(stderr, "port %u\n", endpoint.port);
    fflush(stderr);
}

static int serve(const struct options *o)
{
    struct server server = {.o = o, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct epoll_event events[MAX_EVENTS];
    server.seen.warm_up_s = o->warm_up_s;
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = end}, NULL);
    open_server(&server);
    welcome(&server);
    while (!is_ended) {
        int n = epoll_wait(server.epoll, events, MAX_EVENTS, LOOK_UP_MS);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                welcome(&server);
            else
                attend(&server, events[i].data.ptr);
        }
    }
    fprintf(stderr, "served %llu, %llu failed\n", (unsigned long long)server.n_visitors,
            (unsigned long long)server.n_failed);
    goodput_print(&server.seen);
    msgd_listener_close(server.listener);
    msgd_close(server.msgd);
    close(server.epoll);
    return 0;
}

/* ---- send ---- */

static struct msgd_session *connect_to(const struct options *o)
{
    struct msgd_session *s;
    int status =
        msgd_connect(&s, o->target, &(struct msgd_connect_options){.timeout_ms = PATIENCE_MS});
    if (status < 0)
        fail(o->target, status, msgd_session_error(NULL));
    return s;
}

static int send_all(const struct options *o)
{
    struct msgd_session *s = connect_to(o);
    uint8_t *message = goodput_message(o->size);
    if (message == NULL)
        fail("malloc", -ENOMEM, "");
    for (double at = goodput_now() + o->seconds; goodput_now() < at;) {
        int status = msgd_session_queue(s, message, o->size);
        if (status == -EAGAIN)
            status = msgd_session_write(s, message, o->size, LOOK_UP_MS);
        if (status == 0)
            goodput_next(message);
        else if (status != -EAGAIN)
            fail("write", status, msgd_session_error(s));
    }
    msgd_session_abort(s, NULL);
    free(message);
    return 0;
}

/* ---- cycle ---- */

struct cycle {
    const struct options *o;
    pthread_barrier_t all_open;
    _Atomic unsigned n_begun, n_completed, n_open, most_open;
    _Atomic uint64_t messages, wrong;
};

/* Everything is said, then everything is heard. 0, or what failed. */
static int converse(struct cycle *c, struct msgd_session *s, uint8_t *message)
{
    struct goodput seen = {0};
    struct msgd_text text;
    int status = 0;
    for (unsigned i = 0; i < c->o->n_messages && status == 0; i++) {
        status = msgd_session_write(s, message, c->o->size, PATIENCE_MS);
        goodput_next(message);
    }
    if (status == 0)
        status = msgd_session_finish(s);
    while (status == 0 && (status = msgd_session_read(s, &text, PATIENCE_MS)) > 0) {
        goodput_count(&seen, text.data, text.length);
        status = 0;
        if (seen.messages > c->o->n_messages)
            break;
    }
    atomic_fetch_add(&c->messages, seen.messages);
    atomic_fetch_add(&c->wrong, seen.wrong);
    return status;
}

static void note_open(struct cycle *c)
{
    unsigned n = atomic_fetch_add(&c->n_open, 1) + 1, most = atomic_load(&c->most_open);
    while (n > most && !atomic_compare_exchange_weak(&c->most_open, &most, n))
        continue;
}

static void *cycle_thread(void *context)
{
    struct cycle *c = context;
    while (atomic_fetch_add(&c->n_begun, 1) < c->o->n_sessions) {
        struct msgd_session *s = connect_to(c->o);
        uint8_t *message = goodput_message(c->o->size);
        if (message == NULL)
            fail("malloc", -ENOMEM, "");
        note_open(c);
        if (c->o->is_meet)
            pthread_barrier_wait(&c->all_open);
        int status = converse(c, s, message);
        if (status < 0)
            fprintf(stderr, "session: %s\n", msgd_session_error(s));
        if (msgd_session_close(s, PATIENCE_MS) == 0 && status == 0)
            atomic_fetch_add(&c->n_completed, 1);
        atomic_fetch_sub(&c->n_open, 1);
        free(message);
    }
    return NULL;
}

static int cycle(const struct options *o)
{
    struct cycle c = {.o = o};
    pthread_t *threads = calloc(o->n_together, sizeof *threads);
    pthread_attr_t attributes;
    double begun = goodput_now();
    pthread_barrier_init(&c.all_open, NULL, o->n_together);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (unsigned i = 0; threads != NULL && i < o->n_together; i++)
        if (pthread_create(&threads[i], &attributes, cycle_thread, &c) != 0)
            fail("pthread_create", -EAGAIN, "");
    for (unsigned i = 0; threads != NULL && i < o->n_together; i++)
        pthread_join(threads[i], NULL);
    printf("{\"completed\": %u, \"most_open\": %u, \"messages\": %llu, \"wrong\": %llu, "
           "\"seconds\": %.6f}\n",
           c.n_completed, c.most_open, (unsigned long long)c.messages, (unsigned long long)c.wrong,
           goodput_now() - begun);
    pthread_barrier_destroy(&c.all_open);
    pthread_attr_destroy(&attributes);
    free(threads);
    return 0;
}

enum option_key { SIZE = 1, SECONDS, SESSIONS, TOGETHER, MESSAGES, ECHO_BACK, MEET, WARM_UP };

static void parse_options(struct options *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"size", 1, NULL, SIZE},
        {"seconds", 1, NULL, SECONDS},
        {"sessions", 1, NULL, SESSIONS},
        {"together", 1, NULL, TOGETHER},
        {"messages", 1, NULL, MESSAGES},
        {"echo", 0, NULL, ECHO_BACK},
        {"meet", 0, NULL, MEET},
        {"warm-up", 1, NULL, WARM_UP},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        unsigned number = optarg == NULL ? 0 : (unsigned)strtoul(optarg, NULL, 10);
        if (option == SIZE)
            o->size = number;
        else if (option == SECONDS)
            o->seconds = strtod(optarg, NULL);
        else if (option == WARM_UP)
            o->warm_up_s = strtod(optarg, NULL);
        else if (option == SESSIONS)
            o->n_sessions = number;
        else if (option == TOGETHER)
            o->n_together = number;
        else if (option == MESSAGES)
            o->n_messages = number;
        else if (option == ECHO_BACK)
            o->is_echo = true;
        else if (option == MEET)
            o->is_meet = true;
        else
            exit(64);
    }
    if (argc - optind != 2 || o->size < GOODPUT_MIN || o->n_together == 0)
        exit(64);
    o->target = argv[optind + 1];
}

int main(int argc, char **argv)
{
    struct options o = {
        .size = 256, .seconds = 1, .n_sessions = 1, .n_together = 1, .n_messages = 1};
    parse_options(&o, argc, argv);
    const char *role = argv[optind];
    if (strcmp(role, "serve") == 0)
        return serve(&o);
    if (strcmp(role, "send") == 0)
        return send_all(&o);
    return strcmp(role, "cycle") == 0 ? cycle(&o) : 64;
}
