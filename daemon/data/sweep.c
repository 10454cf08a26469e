/* SPDX-License-Identifier: MIT */
/*
 * Collecting what consumers release after the last message that came for them. With traffic, each
 * batch collects; without, a uid's quota would go on counting what has long been released. The
 * timer runs only while something is held, and ever more slowly while nothing changes.
 */
#include "daemon/data/sweep.h"

#define SOON_MS 1000
#define LATE_MS 64000

static bool collect_all(struct worker *w)
{
    bool is_any_held = false;

    for (struct link *l = w->links, *next; l != NULL; l = next) {
        next = l->next;
        if (l->state != LINK_OPEN)
            continue;
        link_read_outgoing(l); /* and what was released */
        is_any_held = is_any_held || !chunk_log_is_empty(&l->lane.log);
    }
    return is_any_held;
}

static void on_sweep(uv_timer_t *timer)
{
    struct worker *w = CONTAINER_OF(timer, struct worker, sweep);

    if (collect_all(w)) {
        w->sweep_ms = w->sweep_ms * 2 < LATE_MS ? w->sweep_ms * 2 : LATE_MS;
        uv_timer_start(timer, on_sweep, w->sweep_ms, 0);
    }
    worker_flush(w);
}

int sweep_init(struct worker *w)
{
    return uv_timer_init(&w->loop, &w->sweep);
}

void sweep_add(struct worker *w, struct link *l)
{
    l->next = w->links;
    w->links = l;
}

void sweep_remove(struct worker *w, struct link *l)
{
    struct link **at = &w->links;

    while (*at != NULL && *at != l)
        at = &(*at)->next;
    if (*at == l)
        *at = l->next;
}

void sweep_soon(struct worker *w)
{
    if (uv_is_active((uv_handle_t *)&w->sweep) && w->sweep_ms == SOON_MS)
        return;
    w->sweep_ms = SOON_MS;
    uv_timer_start(&w->sweep, on_sweep, w->sweep_ms, 0);
}
