/* SPDX-License-Identifier: MIT */
/* ZeroMQ's proxy between PUSH and PULL over Unix sockets: peer_zmq proxy|push|pull PREFIX [options
 * of load.h]. The proxy listens on PREFIX.in and PREFIX.out. */
#include "bench/load.h"

#include <zmq.h>

static void check(int status, const char *what)
{
    if (status < 0)
        load_fail(what, zmq_strerror(zmq_errno()));
}

static void *open_socket(void *context, int type, const char *prefix, const char *end,
                         bool is_bound)
{
    char address[256];
    int none = 0;
    void *s = zmq_socket(context, type);
    snprintf(address, sizeof address, "ipc://%s.%s", prefix, end);
    check(zmq_setsockopt(s, ZMQ_SNDHWM, &none, sizeof none), "SNDHWM");
    check(zmq_setsockopt(s, ZMQ_RCVHWM, &none, sizeof none), "RCVHWM");
    check(is_bound ? zmq_bind(s, address) : zmq_connect(s, address), address);
    return s;
}

static void proxy(struct load *l, void *context)
{
    void *in = open_socket(context, ZMQ_PULL, l->target, "in", true);
    void *out = open_socket(context, ZMQ_PUSH, l->target, "out", true);
    load_ready();
    zmq_proxy(in, out, NULL);
}

static void pull(struct load *l, void *context)
{
    static uint8_t room[LOAD_SIZE_MAX];
    void *s = open_socket(context, ZMQ_PULL, l->target, "out", false);
    int n;
    load_ready();
    do {
        n = zmq_recv(s, room, sizeof room, 0);
        check(n, "recv");
    } while (!load_take(l, room, (size_t)n));
    zmq_close(s);
}

static void push(struct load *l, void *context)
{
    void *s = open_socket(context, ZMQ_PUSH, l->target, "in", false);
    while (l->sent < l->count) {
        load_next(l);
        check(zmq_send(s, l->payload, l->size, 0), "send");
    }
    zmq_close(s);
}

int main(int argc, char **argv)
{
    static struct load l;
    load_parse(&l, argc, argv);
    void *context = zmq_ctx_new();
    if (strcmp(l.mode, "proxy") == 0)
        proxy(&l, context);
    else if (strcmp(l.mode, "pull") == 0)
        pull(&l, context);
    else
        push(&l, context);
    load_print(&l);
    zmq_ctx_term(context);
    return 0;
}
