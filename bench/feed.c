/* SPDX-License-Identifier: MIT */
/* Sends by libmsgd's feed: feed plain|batch TARGET [options of load.h]. */
#include "bench/load.h"
#include "client/msgd.h"

static void flush(struct msgd_feed *f)
{
    if (msgd_feed_flush(f, -1) != 0)
        load_fail("flush", msgd_feed_error(f));
}

static void run(struct load *l, struct msgd_feed *f)
{
    while (l->sent < l->count) {
        /* What the receiver is to have before there is room must have left. */
        if (!load_has_room(l))
            flush(f);
        load_next(l);
        if (msgd_feed_put(f, l->payload, l->size) != 0)
            load_fail("put", msgd_feed_error(f));
        if (l->is_stamp || l->rate != 0)
            flush(f);
    }
    flush(f);
}

int main(int argc, char **argv)
{
    static struct load l;
    load_parse(&l, argc, argv);
    /* Whether they are JSON, msgd says. */
    struct msgd_feed_options options = {.is_batch = strcmp(l.mode, "batch") == 0, .is_raw = 1};
    struct msgd_feed_figures figures;
    struct msgd_feed *f;
    if (msgd_feed_open(&f, l.target, &options) != 0)
        load_fail(l.target, msgd_feed_error(NULL));
    run(&l, f);
    msgd_feed_figures(f, &figures);
    printf("{\"sent\": %llu, \"datagrams\": %llu}\n", (unsigned long long)figures.sent,
           (unsigned long long)figures.datagrams);
    f = msgd_feed_close(f);
    return 0;
}
