/* SPDX-License-Identifier: MIT */
/*
 * What senders and receivers of the benchmarks have in common, whatever carries the messages:
 *
 *     PROGRAM MODE TARGET [--count N] [--size BYTES] [--window N] [--rate N] [--progress FILE]
 *             [--stamp]
 *
 * Payloads, window and progress are those of tests/support/flood.c.
 */
#ifndef MSGD_BENCH_LOAD_H
#define MSGD_BENCH_LOAD_H

#include "tests/support/latency.h"
#include "tests/support/payload.h"
#include "tests/support/progress.h"

#include <getopt.h>
#include <sched.h>
#include <stdio.h>

#define LOAD_SIZE_MAX 65507u
/* So often a receiver tells of its progress, unless each message is waited for. */
#define LOAD_TELL 32u

struct load {
    const char *mode, *target;
    uint64_t count, window, rate;
    size_t size;
    bool is_stamp;
    struct progress *progress;
    uint64_t sent, received, bytes;
    uint64_t begun_ns, first_ns, last_ns;
    struct latencies latencies;
    uint8_t payload[LOAD_SIZE_MAX];
};

static inline void load_fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(71);
}

static inline void load_parse(struct load *l, int argc, char **argv)
{
    static const struct option options[] = {
        {"count", 1, NULL, 'c'}, {"size", 1, NULL, 's'},     {"window", 1, NULL, 'w'},
        {"rate", 1, NULL, 'r'},  {"progress", 1, NULL, 'p'}, {"stamp", 0, NULL, 'S'},
        {NULL, 0, NULL, 0},
    };
    int option;
    l->count = 1000;
    l->size = 256;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            l->progress = progress_map(optarg);
        else if (option == 'S')
            l->is_stamp = true;
        else if (option == '?')
            exit(64);
        else
            *(option == 'c'   ? &l->count
              : option == 's' ? &l->size
              : option == 'w' ? &l->window
                              : &l->rate) = strtoull(optarg, NULL, 10);
    }
    if (argc - optind != 2 || l->size < PAYLOAD_MIN || l->size > LOAD_SIZE_MAX ||
        (l->window != 0 && l->progress == NULL))
        exit(64);
    l->mode = argv[optind];
    l->target = argv[optind + 1];
}

/* ---- Sending ---- */

/* May one more be sent, as far as the window goes? */
static inline bool load_has_room(const struct load *l)
{
    return l->window == 0 ||
           l->sent < atomic_load_explicit(&l->progress->arrived, memory_order_acquire) + l->window;
}

static inline void load_wait_for_room(const struct load *l)
{
    for (unsigned turns = 0; !load_has_room(l); turns++) {
        if (turns < 50 || l->is_stamp)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
}

static inline void load_wait_for_turn(struct load *l)
{
    if (l->begun_ns == 0)
        l->begun_ns = latency_now();
    if (l->rate == 0)
        return;
    uint64_t due_ns = l->begun_ns + l->sent * 1000000000u / l->rate, now_ns;
    while ((now_ns = latency_now()) < due_ns)
        nanosleep(&(struct timespec){.tv_sec = (time_t)((due_ns - now_ns) / 1000000000u),
                                     .tv_nsec = (long)((due_ns - now_ns) % 1000000000u)},
                  NULL);
}

/* Writes the next payload: size bytes at l->payload, which must be sent. */
static inline void load_next(struct load *l)
{
    load_wait_for_room(l);
    load_wait_for_turn(l);
    l->sent++;
    payload_write(l->is_stamp ? latency_now() : l->sent, l->payload, l->size);
}

/* ---- Receiving ---- */

static inline void load_tell(const struct load *l)
{
    if (l->progress != NULL)
        atomic_store_explicit(&l->progress->arrived, l->received, memory_order_release);
}

/* True: it was the last one. */
static inline bool load_take(struct load *l, const void *data, size_t n)
{
    uint64_t number;
    l->received++;
    l->bytes += n;
    if (l->received == 1)
        l->first_ns = latency_now();
    if (l->is_stamp && payload_read(data, n, &number))
        latencies_add(&l->latencies, number);
    bool is_last = l->received >= l->count;
    if (is_last)
        l->last_ns = latency_now();
    if (is_last || l->is_stamp || l->received % LOAD_TELL == 0)
        load_tell(l);
    return is_last;
}

static inline void load_ready(void)
{
    fputs("ready\n", stderr);
}

static inline void load_print(struct load *l)
{
    printf("{\"sent\": %llu, \"received\": %llu, \"bytes\": %llu, \"seconds\": %.6f",
           (unsigned long long)l->sent, (unsigned long long)l->received,
           (unsigned long long)l->bytes, (double)(l->last_ns - l->first_ns) / 1e9);
    latencies_print(&l->latencies);
    puts("}");
}

#endif
