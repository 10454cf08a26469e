/* SPDX-License-Identifier: MIT */
/* The busiest sources of an endpoint. */
#include "daemon/core/sources.h"

#include <stdlib.h>
#include <string.h>

static uint32_t find(const struct sources *s, const uint8_t ip[16])
{
    for (uint32_t i = 0; i < s->n; i++)
        if (memcmp(s->rows[i].ip, ip, sizeof(s->rows[i].ip)) == 0)
            return i;
    return s->n;
}

static uint32_t least(const struct sources *s)
{
    uint32_t at = 0;

    for (uint32_t i = 1; i < s->n; i++)
        if (s->rows[i].count < s->rows[at].count)
            at = i;
    return at;
}

void sources_count(struct sources *s, const uint8_t ip[16], uint64_t n)
{
    uint32_t at = s->last;

    if (at >= s->n || memcmp(s->rows[at].ip, ip, sizeof(s->rows[at].ip)) != 0)
        at = find(s, ip);
    if (at == s->n) {
        uint64_t inherited = 0;
        if (s->n < SOURCES_MAX) {
            s->n++;
        } else {
            at = least(s);
            inherited = s->rows[at].count;
        }
        memcpy(s->rows[at].ip, ip, sizeof(s->rows[at].ip));
        s->rows[at].count = s->rows[at].error = inherited;
    }
    s->rows[at].count += n;
    s->last = at;
}

static int busier_first(const void *a, const void *b)
{
    uint64_t x = ((const struct source *)a)->count;
    uint64_t y = ((const struct source *)b)->count;

    return x < y ? 1 : x > y ? -1 : 0;
}

void sources_sort(struct sources *s)
{
    qsort(s->rows, s->n, sizeof(s->rows[0]), busier_first);
}
