/* SPDX-License-Identifier: MIT */
/*
 * JetStream, NATS' storage, by its C library:
 *
 *     peer_jetstream publish|drain URL [options of load.h]
 *
 * publish: makes a stream in files, and publishes to it with many under way; it ends when each has
 * been acknowledged. drain: fetches and acknowledges all of it. Prints one JSON object.
 */
#include "bench/load.h"

#include <nats/nats.h>
#include <time.h>

#define STREAM  "bench"
#define PENDING 4096
#define FETCH   256
#define WAIT_MS 60000

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(natsStatus status, const char *what)
{
    if (status != NATS_OK)
        load_fail(what, natsStatus_GetText(status));
}

static void publish(struct load *l, jsCtx *js)
{
    const char *subjects[] = {STREAM};
    jsStreamConfig config;
    jsPubOptions patience;
    check(jsStreamConfig_Init(&config), "stream");
    config.Name = STREAM;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    check(js_AddStream(NULL, js, &config, NULL, NULL), "stream");
    check(jsPubOptions_Init(&patience), "options");
    patience.MaxWait = WAIT_MS;
    while (l->sent < l->count) {
        load_next(l);
        check(js_PublishAsync(js, STREAM, l->payload, (int)l->size, NULL), "publish");
    }
    check(js_PublishAsyncComplete(js, &patience), "acknowledgements");
}

static void drain(struct load *l, jsCtx *js)
{
    natsSubscription *s = NULL;
    check(js_PullSubscribe(&s, js, STREAM, "bench-consumer", NULL, NULL, NULL), "subscribe");
    while (l->received < l->count) {
        natsMsgList list = {0};
        check(natsSubscription_Fetch(&list, s, FETCH, WAIT_MS, NULL), "fetch");
        for (int i = 0; i < list.Count; i++) {
            l->received++;
            check(natsMsg_Ack(list.Msgs[i], NULL), "ack");
        }
        natsMsgList_Destroy(&list);
    }
    natsSubscription_Destroy(s);
}

int main(int argc, char **argv)
{
    static struct load l;
    natsConnection *c = NULL;
    jsCtx *js = NULL;
    jsOptions options;
    load_parse(&l, argc, argv);
    check(natsConnection_ConnectTo(&c, l.target), l.target);
    check(jsOptions_Init(&options), "options");
    options.PublishAsync.MaxPending = PENDING;
    check(natsConnection_JetStream(&js, c, &options), "JetStream");
    double start = now();
    if (l.mode[0] == 'p')
        publish(&l, js);
    else
        drain(&l, js);
    printf("{\"messages\": %lu, \"seconds\": %.6f}\n", (unsigned long)l.count, now() - start);
    jsCtx_Destroy(js);
    natsConnection_Destroy(c);
    nats_Close();
    return 0;
}
