/* SPDX-License-Identifier: MIT */
/* Which message under way has an id that is a text. */
#include "client/sender_ids.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sender_ids_init(struct sender_ids *ids, size_t max_ids, uint64_t seed)
{
    size_t n = 2;
    while (n < 2 * max_ids)
        n *= 2;
    *ids =
        (struct sender_ids){.places = calloc(n, sizeof *ids->places), .n_places = n, .seed = seed};
    return ids->places != NULL ? 0 : -ENOMEM;
}

void sender_ids_deinit(struct sender_ids *ids)
{
    free(ids->places);
    *ids = (struct sender_ids){0};
}

/* FNV-1a from a seed. The texts are the program's own: others only ask for them. */
static size_t home_of(const struct sender_ids *ids, const void *text, size_t n)
{
    const uint8_t *bytes = text;
    uint64_t hash = ids->seed ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ (hash >> 32)) & (ids->n_places - 1);
}

/* Where the text is, or the free place where it would be. */
static size_t place_of(const struct sender_ids *ids, const void *text, size_t n)
{
    size_t at = home_of(ids, text, n);
    for (const struct sender_id *p; (p = &ids->places[at])->text != NULL;
         at = (at + 1) & (ids->n_places - 1))
        if (p->n == n && memcmp(p->text, text, n) == 0)
            break;
    return at;
}

uint64_t sender_ids_find(const struct sender_ids *ids, const void *text, size_t n)
{
    const struct sender_id *place = &ids->places[place_of(ids, text, n)];
    return place->text != NULL ? place->number : 0;
}

void sender_ids_add(struct sender_ids *ids, const char *text, size_t n, uint64_t number)
{
    struct sender_id *place = &ids->places[place_of(ids, text, n)];
    assert(place->text == NULL);
    *place = (struct sender_id){.text = text, .n = n, .number = number};
}

/* Those behind it move up, so that no search ends before what it looks for. */
void sender_ids_remove(struct sender_ids *ids, const char *text, size_t n)
{
    size_t mask = ids->n_places - 1, gap = place_of(ids, text, n);
    assert(ids->places[gap].text != NULL);
    for (size_t at = (gap + 1) & mask; ids->places[at].text != NULL; at = (at + 1) & mask) {
        size_t home = home_of(ids, ids->places[at].text, ids->places[at].n);
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        ids->places[gap] = ids->places[at];
        gap = at;
    }
    ids->places[gap].text = NULL;
}
