/* SPDX-License-Identifier: MIT */
/* Who waits for a name, first come, first served. */
#include "daemon/core/registry.h"

#include <errno.h>
#include <stdlib.h>

int registry_wait(struct entry *e, void *who)
{
    /* Room is a power of two, so that the count alone says when it is used up. */
    if ((e->n_waiters & (e->n_waiters - 1)) == 0) {
        size_t room = e->n_waiters ? 2 * (size_t)e->n_waiters : 1;
        void **waiters = reallocarray(e->waiters, room, sizeof(waiters[0]));

        if (!waiters)
            return -ENOMEM;
        e->waiters = waiters;
    }
    e->waiters[e->n_waiters++] = who;
    return 0;
}

bool registry_unwait(struct entry *e, const void *who)
{
    for (uint32_t i = 0; i < e->n_waiters; i++) {
        if (e->waiters[i] != who)
            continue;
        e->n_waiters--;
        memmove(&e->waiters[i], &e->waiters[i + 1], (e->n_waiters - i) * sizeof(e->waiters[0]));
        return true;
    }
    return false;
}

void *registry_waiter(const struct entry *e, size_t place)
{
    return place < e->n_waiters ? e->waiters[place] : NULL;
}

void *registry_pop_waiter(struct entry *e)
{
    void *who = registry_waiter(e, 0);

    if (who)
        registry_unwait(e, who);
    return who;
}
