/* SPDX-License-Identifier: MIT */
/* Endpoints whose sockets cannot be watched at present. */
#include "daemon/data/unwatched.h"

#include "daemon/base/log.h"
#include "daemon/data/loop.h"

#include <string.h>

/* So long a receive buffer has to bridge. */
#define READ_MS 50
/* It is tried with each so many-th reading: what is missing does not come back soon. */
#define READS_PER_TRY 20

static void on_timer(uv_timer_t *timer)
{
    struct worker *w = CONTAINER_OF(timer, struct worker, unwatched_timer);
    bool is_due = ++w->n_unwatched_reads % READS_PER_TRY == 0;

    list_for_each(at, next, &w->unwatched)
    {
        struct unwatched *u = list_member(at, struct unwatched, link);

        u->read(u);
        if (is_due && u->watch(u) == 0) {
            list_remove(&u->link);
            log_info("%s: its socket is watched again", u->name);
        }
    }
    if (list_is_empty(&w->unwatched))
        uv_timer_stop(timer);
    worker_flush(w);
}

int unwatched_init(struct worker *w)
{
    list_init(&w->unwatched);
    return uv_timer_init(&w->loop, &w->unwatched_timer);
}

void unwatched_begin(struct worker *w, struct unwatched *u)
{
    int rc = u->watch(u);

    if (rc == 0)
        return;
    log_warning("%s: its socket cannot be watched (%s); until it can, it is read every %d ms",
                u->name, strerrordesc_np(-rc), READ_MS);
    list_join(&w->unwatched, &u->link);
    if (!uv_is_active((uv_handle_t *)&w->unwatched_timer))
        uv_timer_start(&w->unwatched_timer, on_timer, READ_MS, READ_MS);
}
