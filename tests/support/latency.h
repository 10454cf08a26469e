/* SPDX-License-Identifier: MIT */
/* How long messages were on their way, where each has the time of its sending for its number. */
#ifndef MSGD_TESTS_LATENCY_H
#define MSGD_TESTS_LATENCY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LATENCIES_MAX 1000000u

/* Zeroed: none. Of more than LATENCIES_MAX the rest is left out. */
struct latencies {
    uint32_t *ns; /* owned */
    size_t n;
};

/* The clock of all processes of a host. */
static inline uint64_t latency_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void latencies_add(struct latencies *l, uint64_t sent_ns)
{
    uint64_t took_ns = latency_now() - sent_ns;
    if (l->ns == NULL)
        l->ns = malloc(LATENCIES_MAX * sizeof *l->ns);
    if (l->ns != NULL && l->n < LATENCIES_MAX)
        l->ns[l->n++] = took_ns < UINT32_MAX ? (uint32_t)took_ns : UINT32_MAX;
}

static inline int latency_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Members of a JSON object; the first tenth is for warming up. Ends what was gathered. */
static inline void latencies_print(struct latencies *l)
{
    size_t skipped = l->n / 10, n = l->n - skipped;
    if (n > 0) {
        uint32_t *ns = l->ns + skipped;
        qsort(ns, n, sizeof *ns, latency_compare);
        printf(", \"p50_us\": %.2f, \"p99_us\": %.2f, \"max_us\": %.1f", ns[n / 2] / 1e3,
               ns[n * 99 / 100] / 1e3, ns[n - 1] / 1e3);
    }
    free(l->ns);
    *l = (struct latencies){0};
}

#endif
