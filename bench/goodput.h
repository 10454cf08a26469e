/* SPDX-License-Identifier: MIT */
/*
 * What both sides of a goodput run share: numbered JSON messages, as cheap to make and to check as
 * can be, so that the transport is what is measured; and the receiver's figures.
 *
 *     {"n":100000000017,"pad":"xxx..."}
 */
#ifndef MSGD_BENCH_GOODPUT_H
#define MSGD_BENCH_GOODPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GOODPUT_FIRST     UINT64_C(100000000000) /* so that every number has as many digits */
#define GOODPUT_DIGITS    12
#define GOODPUT_NUMBER_AT 5u
#define GOODPUT_MIN       32u

struct goodput {
    uint64_t messages, bytes, wrong; /* wrong: not the number that was to come next */
    double first_s, last_s;
    double warm_up_s;    /* set by the caller: the first so many seconds are not measured */
    uint64_t warm_bytes; /* of bytes, those that came later */
};

static inline double goodput_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The first message, in memory of its own; the next ones are made of it. NULL: no memory. */
static inline uint8_t *goodput_message(size_t size)
{
    uint8_t *m = malloc(size + 1);
    if (m == NULL)
        return NULL;
    int head =
        snprintf((char *)m, size, "{\"n\":%llu,\"pad\":\"", (unsigned long long)GOODPUT_FIRST);
    memset(m + head, 'x', size - (size_t)head - 2);
    memcpy(m + size - 2, "\"}", 2);
    return m;
}

static inline void goodput_next(uint8_t *m)
{
    for (size_t at = GOODPUT_NUMBER_AT + GOODPUT_DIGITS - 1; ++m[at] > '9'; at--)
        m[at] = '0';
}

static inline void goodput_count(struct goodput *g, const void *bytes, size_t n)
{
    const uint8_t *m = bytes;
    uint64_t number = 0;
    for (size_t i = 0; n >= GOODPUT_MIN && i < GOODPUT_DIGITS; i++)
        number = number * 10 + (uint64_t)(m[GOODPUT_NUMBER_AT + i] - '0');
    g->last_s = goodput_now();
    if (g->messages == 0)
        g->first_s = g->last_s;
    g->wrong += number != GOODPUT_FIRST + g->messages;
    g->messages++;
    g->bytes += n;
    if (g->last_s - g->first_s >= g->warm_up_s)
        g->warm_bytes += n;
}

static inline void goodput_print(const struct goodput *g)
{
    printf("{\"messages\": %llu, \"bytes\": %llu, \"wrong\": %llu, \"warm_bytes\": %llu}\n",
           (unsigned long long)g->messages, (unsigned long long)g->bytes,
           (unsigned long long)g->wrong, (unsigned long long)g->warm_bytes);
}

#endif
