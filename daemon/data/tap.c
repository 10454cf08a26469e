/* SPDX-License-Identifier: MIT */
/* Copies of live messages for who looks on. */
#include "daemon/data/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tap {
    struct spsc ring; /* records as in proto/ring.h */
    struct worker *worker;
    struct endpoint *endpoint; /* the worker's: NULL once it is gone */
    void *context;
    _Atomic uint64_t missed;
    _Atomic bool has_news; /* control has not been told yet */
    bool is_closed;        /* control's */
    struct tap *next;      /* the endpoint's list; the worker's */
    struct tap *next_all;  /* the worker's list of all; control's */
    struct command open;
    struct command close;
};

/* ---- Worker ---- */

static void tap_copy(struct tap *t, const struct filing *f)
{
    uint32_t n = filing_bytes(f);
    struct record *r = spsc_reserve(&t->ring, n);

    if (r == NULL) {
        count(&t->missed);
        count(&t->worker->tap_missed);
        return;
    }
    filing_write(f, 0, r);
    spsc_commit(&t->ring, n);
    if (!atomic_exchange_explicit(&t->has_news, true, memory_order_release))
        t->worker->has_told = true;
}

void taps_copy(struct endpoint *e, const struct filing *f)
{
    for (struct tap *t = e->taps; t != NULL; t = t->next)
        tap_copy(t, f);
}

void taps_orphan(struct endpoint *e)
{
    for (struct tap *t = e->taps; t != NULL; t = t->next)
        t->endpoint = NULL;
    e->taps = NULL;
}

static void run_open(struct worker *w, struct command *c)
{
    struct tap *t = CONTAINER_OF(c, struct tap, open);
    (void)w;

    if (t->endpoint->is_removed) {
        t->endpoint = NULL;
        return;
    }
    t->next = t->endpoint->taps;
    t->endpoint->taps = t;
}

static void run_close(struct worker *w, struct command *c)
{
    struct tap *t = CONTAINER_OF(c, struct tap, close);

    if (t->endpoint != NULL) {
        struct tap **at = &t->endpoint->taps;
        while (*at != t)
            at = &(*at)->next;
        *at = t->next;
    }
    command_finish(w, c);
}

/* ---- Control ---- */

int tap_open(struct tap **out, struct worker *worker, struct endpoint *endpoint, void *context)
{
    struct tap *t = aligned_alloc(64, (sizeof(*t) + 63) & ~(size_t)63);

    *out = NULL;
    if (t == NULL)
        return -ENOMEM;
    memset(t, 0, sizeof(*t));
    if (spsc_init(&t->ring, TAP_RING_BYTES) != 0) {
        free(t);
        return -ENOMEM;
    }
    t->worker = worker;
    t->endpoint = endpoint;
    t->context = context;
    t->next_all = worker->taps;
    worker->taps = t;
    t->open.run = run_open;
    command_post(worker, &t->open);
    *out = t;
    return 0;
}

void *tap_context(const struct tap *tap)
{
    return tap->context;
}

uint64_t tap_read(struct tap *t, struct batch *batch)
{
    const void *record;
    uint32_t n;

    batch->n_bytes = batch->n_messages = 0;
    /* What comes from now on is told again. */
    atomic_store_explicit(&t->has_news, false, memory_order_seq_cst);
    while ((record = spsc_peek(&t->ring, &n)) != NULL && batch->n_bytes + n <= batch->capacity) {
        memcpy(batch->bytes + batch->n_bytes, record, n);
        batch->n_bytes += n;
        batch->n_messages++;
        spsc_pop(&t->ring);
    }
    return atomic_load_explicit(&t->missed, memory_order_relaxed);
}

void taps_tell(struct worker *w)
{
    for (struct tap *t = w->taps, *next; t != NULL; t = next) {
        next = t->next_all;
        if (!t->is_closed && atomic_load_explicit(&t->has_news, memory_order_acquire))
            w->options.events.tapped(w->options.events.context, t);
    }
}

static void close_done(struct command *c)
{
    struct tap *t = CONTAINER_OF(c, struct tap, close);

    spsc_deinit(&t->ring);
    free(t);
}

void tap_close(struct tap *t)
{
    struct tap **at = &t->worker->taps;

    while (*at != t)
        at = &(*at)->next_all;
    *at = t->next_all;
    t->is_closed = true;
    t->close.run = run_close;
    t->close.done = close_done;
    command_post(t->worker, &t->close);
}
