/* SPDX-License-Identifier: MIT */
/* Consumers that hold messages and release none. */
#include "daemon/core/stall.h"

static bool watch(struct consumer *c, int64_t now_ms, int64_t stall_ms)
{
    struct watch *w = &c->watch;
    bool was_idle = w->is_holding && c->queued > 0 && w->delivered == c->delivered;

    if (!was_idle)
        w->since_ms = now_ms;
    w->is_holding = c->queued > 0;
    w->delivered = c->delivered;
    w->is_stalled = was_idle && stall_ms > 0 && now_ms - w->since_ms >= stall_ms;
    return w->is_stalled;
}

bool stall_watch(struct mailbox *mb, int64_t now_ms, int64_t stall_ms)
{
    bool has_stalled = false;

    for (struct consumer *c = mb->consumers; c != NULL; c = c->next)
        if (!c->is_leaving && watch(c, now_ms, stall_ms))
            has_stalled = true;
    return has_stalled;
}
