/* SPDX-License-Identifier: MIT */
/* NATS by its C library: peer_nats publish|subscribe URL [options of load.h]. */
#include "bench/load.h"

#include <nats/nats.h>
#include <semaphore.h>

#define SUBJECT "bench"

static sem_t done;

static void check(natsStatus status, const char *what)
{
    if (status != NATS_OK)
        load_fail(what, natsStatus_GetText(status));
}

static void on_message(natsConnection *c, natsSubscription *s, natsMsg *m, void *context)
{
    (void)c;
    (void)s;
    if (load_take(context, natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m)))
        sem_post(&done);
    natsMsg_Destroy(m);
}

static void subscribe(struct load *l, natsConnection *c)
{
    natsSubscription *s = NULL;
    sem_init(&done, 0, 0);
    check(natsConnection_Subscribe(&s, c, SUBJECT, on_message, l), "subscribe");
    check(natsSubscription_SetPendingLimits(s, -1, -1), "limits");
    check(natsConnection_Flush(c), "flush");
    load_ready();
    sem_wait(&done);
    natsSubscription_Destroy(s);
}

static void publish(struct load *l, natsConnection *c)
{
    while (l->sent < l->count) {
        load_next(l);
        check(natsConnection_Publish(c, SUBJECT, l->payload, (int)l->size), "publish");
    }
    check(natsConnection_Flush(c), "flush");
}

int main(int argc, char **argv)
{
    static struct load l;
    natsOptions *options = NULL;
    natsConnection *c = NULL;
    load_parse(&l, argc, argv);
    check(natsOptions_Create(&options), "options");
    check(natsOptions_SetURL(options, l.target), "url");
    /* A message that is waited for leaves at once; many gather, as is its default. */
    check(natsOptions_SetSendAsap(options, l.is_stamp), "asap");
    check(natsConnection_Connect(&c, options), l.target);
    if (l.mode[0] == 's')
        subscribe(&l, c);
    else
        publish(&l, c);
    load_print(&l);
    natsConnection_Destroy(c);
    natsOptions_Destroy(options);
    nats_Close();
    return 0;
}
