/* SPDX-License-Identifier: MIT */
/* Messages that are given to an endpoint again: from the quarantine, from disk. */
#include "daemon/data/intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct inject {
    struct command command;
    struct injection injection;
    size_t n_through;
};

static int inject_one(const struct injection *i, struct record *r)
{
    struct arrival a = {.bytes = record_payload(r),
                        .n_bytes = record_length_of(record_word_of(r)),
                        .is_kept = true,
                        .is_message = !i->is_datagrams};

    memcpy(&a.meta, r, sizeof(a.meta));
    if (i->is_datagrams)
        a.meta.time_ns = wall_clock_ns();
    int outcome = intake_datagram(i->endpoint, &a);
    r->slot = outcome == MESSAGE_KEPT;
    return outcome;
}

static void run(struct worker *w, struct command *c)
{
    struct inject *in = CONTAINER_OF(c, struct inject, command);
    const struct batch *batch = in->injection.batch;

    for (size_t at = 0; at < batch->n_bytes; in->n_through++) {
        struct record *r = (struct record *)(void *)(batch->bytes + at);
        int outcome = inject_one(&in->injection, r);
        if (outcome != MESSAGE_KEPT && drop_reason_passes((enum drop_reason)outcome))
            break;
        at += record_bytes_of(r);
    }
    worker_flush(w);
    command_finish(w, c);
}

static void finished(struct command *c)
{
    struct inject *in = CONTAINER_OF(c, struct inject, command);

    in->injection.done(in->injection.context, in->n_through);
    free(in);
}

int worker_inject(struct worker *worker, const struct injection *injection)
{
    struct inject *in = calloc(1, sizeof(*in));

    if (in == NULL)
        return -ENOMEM;
    in->command = (struct command){.run = run, .done = finished};
    in->injection = *injection;
    command_post(worker, &in->command);
    return 0;
}
