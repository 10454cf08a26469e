/* SPDX-License-Identifier: MIT */
/*
 * Requests and their answers by libmsgd: round serve NAME, round ask TARGET [options of load.h].
 * The server answers until it is ended; asking prints how long each answer took.
 */
#include "bench/load.h"
#include "client/msgd.h"

#define BATCH 64

static void serve(const char *name)
{
    struct msgd_message messages[BATCH];
    struct msgd_endpoint endpoint;
    struct msgd *m;
    int n;
    if (msgd_open(&m, NULL) != 0)
        load_fail("msgd_open", msgd_error(NULL));
    if (msgd_register(m, &(struct msgd_registration){.name = name}, &endpoint) != 0)
        load_fail(name, msgd_error(m));
    fprintf(stderr, "port %u\n", endpoint.port);
    while ((n = msgd_receive(m, messages, BATCH, -1)) >= 0) {
        for (int i = 0; i < n; i++)
            if (msgd_reply(m, &messages[i], messages[i].data, messages[i].length) != 0)
                load_fail("reply", msgd_error(m));
        if (n > 0)
            msgd_release(m, &messages[n - 1]);
    }
    load_fail("receive", msgd_error(m));
}

static void ask(struct load *l)
{
    struct msgd_sender *s;
    const void *reply;
    size_t length;
    if (msgd_sender_open(&s, l->target, NULL) != 0)
        load_fail(l->target, msgd_sender_error(NULL));
    while (l->sent < l->count) {
        uint64_t begun_ns = latency_now();
        load_next(l);
        if (msgd_request(s, l->payload, l->size, -1, &reply, &length) != 0)
            load_fail("request", msgd_sender_error(s));
        latencies_add(&l->latencies, begun_ns);
        load_take(l, reply, length);
    }
    s = msgd_sender_close(s);
}

int main(int argc, char **argv)
{
    static struct load l;
    load_parse(&l, argc, argv);
    if (strcmp(l.mode, "serve") == 0)
        serve(l.target);
    ask(&l);
    load_print(&l);
    return 0;
}
