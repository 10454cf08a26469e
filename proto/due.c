/* SPDX-License-Identifier: MIT */
/* Moments, and which comes first. */
#include "proto/due.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int due_init(struct due *d, size_t capacity)
{
    assert(capacity <= UINT16_MAX);
    *d = (struct due){.at = calloc(capacity, sizeof *d->at),
                      .place = calloc(capacity, sizeof *d->place),
                      .order = calloc(capacity + 1, sizeof *d->order)};
    if (d->at != NULL && d->place != NULL && d->order != NULL)
        return 0;
    due_deinit(d);
    return -ENOMEM;
}

void due_deinit(struct due *d)
{
    free(d->at);
    free(d->place);
    free(d->order);
    *d = (struct due){0};
}

static void stand(struct due *d, uint16_t place, uint16_t index)
{
    d->order[place] = index;
    d->place[index] = place;
}

static void rise(struct due *d, uint16_t place, uint16_t index)
{
    for (; place > 1 && d->at[index] < d->at[d->order[place / 2]]; place /= 2)
        stand(d, place, d->order[place / 2]);
    stand(d, place, index);
}

static void sink(struct due *d, uint16_t place, uint16_t index)
{
    for (uint32_t child; (child = 2u * place) <= d->n; place = (uint16_t)child) {
        if (child < d->n && d->at[d->order[child + 1]] < d->at[d->order[child]])
            child++;
        if (d->at[d->order[child]] >= d->at[index])
            break;
        stand(d, place, d->order[child]);
    }
    stand(d, place, index);
}

void due_set(struct due *d, uint16_t index, uint64_t at)
{
    uint16_t place = d->place[index];
    bool is_later = place != 0 && at > d->at[index];
    d->at[index] = at;
    if (is_later)
        sink(d, place, index);
    else
        rise(d, place != 0 ? place : ++d->n, index);
}

void due_clear(struct due *d, uint16_t index)
{
    uint16_t place = d->place[index];
    if (place == 0)
        return;
    uint16_t last = d->order[d->n--];
    d->place[index] = 0;
    if (last == index)
        return;
    if (place > 1 && d->at[last] < d->at[d->order[place / 2]])
        rise(d, place, last);
    else
        sink(d, place, last);
}

uint64_t due_first(const struct due *d, uint16_t *index)
{
    if (d->n == 0)
        return DUE_NEVER;
    *index = d->order[1];
    return d->at[*index];
}
