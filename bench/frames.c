/* SPDX-License-Identifier: MIT */
/*
 * How long reading and writing a framed datagram of a session takes, in nanoseconds, as one JSON
 * object: the best of many short rounds, so that what else the machine does hardly counts.
 */
#include "proto/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PER_ROUND 200

static uint8_t datagram[70000];
static uint8_t body[60000];

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void read_one(const struct frame *f, size_t n)
{
    struct frame read;

    (void)f;
    if (frame_parse(datagram, n, &read) != 0)
        abort();
}

static void write_one(const struct frame *f, size_t n)
{
    if (frame_write(f, datagram, sizeof datagram) != n)
        abort();
}

static int rounds = 2000;

static double best_ns(void (*one)(const struct frame *, size_t), const struct frame *f, size_t n)
{
    double best = 1e18;

    for (int round = 0; round < rounds; round++) {
        double begun = now_ns();

        for (int i = 0; i < PER_ROUND; i++)
            one(f, n);

        double each = (now_ns() - begun) / PER_ROUND;

        if (each < best)
            best = each;
    }
    return best;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--tiny") == 0)
        rounds = 20;
    static const size_t sizes[] = {0, 1000, sizeof body};
    struct frame f = {
        .type = FRAME_DATA,
        .members = FRAME_HAS_SESSION | FRAME_HAS_NUMBER | FRAME_HAS_OFFSET | FRAME_HAS_ACK |
                   FRAME_HAS_WINDOW | FRAME_HAS_ECHO | FRAME_HAS_DELAY,
        .number = 123456,
        .offset = 123456789,
        .ack = 3456,
        .window = 1051234,
        .echo = 12345,
        .delay_us = 123,
    };

    memset(f.session, 0x5a, sizeof f.session);
    memset(body, 'x', sizeof body);
    printf("[");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        f.body = (struct frame_slice){body, sizes[i]};

        size_t n = frame_write(&f, datagram, sizeof datagram);
        double read_ns = best_ns(read_one, &f, n);
        double write_ns = best_ns(write_one, &f, n);

        printf("%s{\"header\": %zu, \"body\": %zu, \"read_ns\": %.0f, \"write_ns\": %.0f}",
               i > 0 ? ", " : "", n - sizes[i], sizes[i], read_ns, write_ns);
    }
    printf("]\n");
    return 0;
}
