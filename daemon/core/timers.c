/* SPDX-License-Identifier: MIT */
/* Moments in order. */
#include "daemon/core/timers.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM 16

int timers_reserve(struct timers *t)
{
    size_t room = t->max ? t->max * 2 : FIRST_ROOM;
    struct timer **heap;

    if (t->n < t->max)
        return 0;
    heap = reallocarray(t->heap, room, sizeof(heap[0]));
    if (!heap)
        return -ENOMEM;
    t->heap = heap;
    t->max = room;
    return 0;
}

void timers_deinit(struct timers *t)
{
    free(t->heap);
    *t = (struct timers){0};
}

static void put(struct timers *t, size_t place, struct timer *timer)
{
    t->heap[place] = timer;
    timer->place = place;
}

static void sift(struct timers *t, struct timer *timer)
{
    size_t place = timer->place;

    while (place > 0 && timer->at < t->heap[(place - 1) / 2]->at) {
        put(t, place, t->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (size_t child; (child = 2 * place + 1) < t->n; place = child) {
        if (child + 1 < t->n && t->heap[child + 1]->at < t->heap[child]->at)
            child++;
        if (timer->at <= t->heap[child]->at)
            break;
        put(t, place, t->heap[child]);
    }
    put(t, place, timer);
}

void timers_add(struct timers *t, struct timer *timer)
{
    put(t, t->n++, timer);
    sift(t, timer);
}

void timers_remove(struct timers *t, struct timer *timer)
{
    struct timer *last = t->heap[--t->n];

    if (last == timer)
        return;
    put(t, timer->place, last);
    sift(t, last);
}

void timers_set(struct timers *t, struct timer *timer, int64_t at)
{
    timer->at = at;
    sift(t, timer);
}

struct timer *timers_first(const struct timers *t)
{
    return t->n > 0 ? t->heap[0] : NULL;
}
