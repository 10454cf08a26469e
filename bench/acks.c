/* SPDX-License-Identifier: MIT */
/*
 * Acknowledged messages by libmsgd, so many under way at a time.
 *
 *     acks TARGET [--count N] [--window W] [--size BYTES] [--released]
 *
 * Prints one JSON object: what became of them, how long it took, and the time from a message's
 * first sending to its acknowledgement, in microseconds.
 */
#include "client/msgd.h"
#include "tests/support/payload.h"

#include <errno.h>
#include <getopt.h>
#include <time.h>

#define MANY 256

struct acks {
    struct msgd_sender *sender;
    uint64_t count, n_put, n_done, n_acknowledged;
    uint32_t window;
    size_t size;
    enum msgd_wish wish;
    int64_t *took_ns;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const struct acks *a, const char *what, int error)
{
    fprintf(stderr, "acks: %s: %s (%s)\n", what, strerror(-error), msgd_sender_error(a->sender));
    exit(71);
}

static void take_results(struct acks *a)
{
    struct msgd_result results[MANY];
    int n = msgd_sender_results(a->sender, results, MANY, -1);
    if (n < 0)
        fail(a, "results", n);
    for (int i = 0; i < n; i++) {
        a->n_acknowledged += results[i].error == 0;
        a->took_ns[a->n_done++] = results[i].took_ns;
    }
}

static void run(struct acks *a, uint8_t *payload)
{
    while (a->n_done < a->count) {
        int status = 0;
        while (status == 0 && a->n_put < a->count) {
            payload_write(a->n_put + 1, payload, a->size);
            status = msgd_sender_put(
                a->sender,
                &(struct msgd_send){.data = payload, .length = a->size, .wish = a->wish});
            a->n_put += status == 0;
        }
        if (status < 0 && status != -EAGAIN)
            fail(a, "put", status);
        take_results(a);
    }
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print(const struct acks *a, double seconds)
{
    struct msgd_sender_figures f;
    msgd_sender_figures(a->sender, &f);
    qsort(a->took_ns, a->count, sizeof *a->took_ns, compare);
    printf("{\"messages\": %llu, \"acknowledged\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, \"datagrams\": %llu, \"again\": %llu}\n",
           (unsigned long long)a->count, (unsigned long long)a->n_acknowledged, seconds,
           (double)a->took_ns[a->count / 2] / 1e3, (double)a->took_ns[a->count * 99 / 100] / 1e3,
           (unsigned long long)f.sent, (unsigned long long)f.resent);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"count", 1, NULL, 'c'},
                                            {"window", 1, NULL, 'w'},
                                            {"size", 1, NULL, 's'},
                                            {"released", 0, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    struct acks a = {.count = 1000, .window = 1, .size = 256, .wish = MSGD_WISH_STORED};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            a.count = strtoull(optarg, NULL, 10);
        else if (option == 'w')
            a.window = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 's')
            a.size = strtoul(optarg, NULL, 10);
        else if (option == 'r')
            a.wish = MSGD_WISH_RELEASED;
        else
            return 64;
    }
    if (argc - optind != 1 || a.size < PAYLOAD_MIN || a.count == 0)
        return 64;
    uint8_t *payload = malloc(a.size);
    a.took_ns = calloc(a.count, sizeof *a.took_ns);
    int status = msgd_sender_open(&a.sender, argv[optind],
                                  &(struct msgd_sender_options){.max_unanswered = a.window});
    if (status < 0 || payload == NULL || a.took_ns == NULL)
        fail(&a, argv[optind], status);
    double begun = now();
    run(&a, payload);
    print(&a, now() - begun);
    a.sender = msgd_sender_close(a.sender);
    free(a.took_ns);
    free(payload);
    return 0;
}
