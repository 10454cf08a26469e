/* SPDX-License-Identifier: MIT */
/* Rejected datagrams on their way to the quarantine. */
#include "daemon/data/evidence.h"

#include <string.h>

struct evidence {
    struct endpoint *endpoint;
    enum drop_reason reason;
    struct record meta;
    uint32_t n_bytes;
    uint8_t bytes[];
};

void evidence_put(struct endpoint *e, enum drop_reason reason, const struct arrival *a)
{
    struct worker *w = e->worker;
    uint32_t n = (uint32_t)(sizeof(struct evidence) + a->n_bytes);
    struct evidence *evidence = spsc_reserve(&w->evidence, n);

    if (evidence == NULL) {
        count(&w->evidence_lost);
        return;
    }
    evidence->endpoint = e;
    evidence->reason = reason;
    memcpy(&evidence->meta, &a->meta, sizeof(evidence->meta));
    evidence->n_bytes = (uint32_t)a->n_bytes;
    memcpy(evidence->bytes, a->bytes, a->n_bytes);
    spsc_commit(&w->evidence, n);
    w->has_told = true;
}

bool evidence_has_room(struct worker *w, size_t n_bytes)
{
    bool has_room =
        spsc_reserve(&w->evidence, (uint32_t)(sizeof(struct evidence) + n_bytes)) != NULL;

    w->has_told = w->has_told || !has_room;
    return has_room;
}

void evidence_drain(struct worker *w)
{
    const struct worker_events *events = &w->options.events;
    const struct evidence *evidence;
    uint32_t n;

    while ((evidence = spsc_peek(&w->evidence, &n)) != NULL) {
        struct address from, to;
        record_from(&evidence->meta, &from);
        record_to(&evidence->meta, &to);
        events->rejected(events->context, evidence->endpoint, evidence->reason,
                         evidence->meta.time_ns, &from, &to, evidence->bytes, evidence->n_bytes);
        spsc_pop(&w->evidence);
    }
}
