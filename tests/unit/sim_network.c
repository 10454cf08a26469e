/* SPDX-License-Identifier: MIT */
/* The network of the simulations does what it says, and the same again with the same seed. */
#include "tests/sim/network.h"

#include <criterion/criterion.h>
#include <string.h>

#define N 10000

struct seen {
    unsigned n;
    uint32_t numbers[4 * N];
    uint64_t last_ns;
    uint64_t sum;
};

/* Sends N numbers, a millisecond apart, and takes in what arrives. */
static void run(struct sim_link *link, uint64_t seed, struct seen *out)
{
    struct sim_network net;
    struct sim_event event;
    uint32_t number = 0;

    memset(out, 0, sizeof *out);
    sim_network_init(&net, seed);
    sim_timer(&net, 0, 1, 0);
    while (sim_next(&net, &event)) {
        cr_assert_geq(event.now_ns, out->last_ns);
        out->last_ns = event.now_ns;
        if (event.kind == SIM_TIMER) {
            sim_send(&net, link, 1, 2, &number, sizeof number);
            if (++number < N)
                sim_timer(&net, event.now_ns + SIM_MS, 1, 0);
            continue;
        }
        cr_assert(event.from == 1 && event.to == 2 && event.n == sizeof number);
        memcpy(&out->numbers[out->n++], event.bytes, sizeof number);
        out->sum = out->sum * 31 + out->numbers[out->n - 1] + event.now_ns;
    }
    sim_network_deinit(&net);
}

Test(sim_network, a_perfect_link_keeps_everything_in_order)
{
    static struct seen seen;
    struct sim_link link = {.delay_ns = 5 * SIM_MS};

    run(&link, 1, &seen);
    cr_assert_eq(seen.n, N);
    for (unsigned i = 0; i < N; i++)
        cr_assert_eq(seen.numbers[i], i);
}

Test(sim_network, the_seed_decides_everything)
{
    static struct seen first, second, other;
    const struct sim_link bad = {.loss = 0.2,
                                 .duplication = 0.1,
                                 .corruption = 0.1,
                                 .reordering = 0.1,
                                 .jitter_ns = 20 * SIM_MS};
    struct sim_link link = bad;

    run(&link, 7, &first);
    link = bad;
    run(&link, 7, &second);
    link = bad;
    run(&link, 8, &other);
    cr_assert_eq(first.sum, second.sum);
    cr_assert_neq(first.sum, other.sum);
}

Test(sim_network, loses_and_doubles_as_often_as_it_is_told)
{
    static struct seen seen;
    struct sim_link link = {.loss = 0.3};

    run(&link, 2, &seen);
    cr_assert(seen.n > N * 0.67 && seen.n < N * 0.73, "%u", seen.n);
    cr_assert_eq(link.n_lost + seen.n, N);
    link = (struct sim_link){.duplication = 0.1};
    run(&link, 3, &seen);
    cr_assert(seen.n > N * 1.08 && seen.n < N * 1.12, "%u", seen.n);
}

Test(sim_network, lets_at_most_so_many_overtake)
{
    static struct seen seen;
    struct sim_link link = {.reordering = 0.1, .overtakers = 8};
    uint32_t highest = 0;
    unsigned n_late = 0;

    run(&link, 4, &seen);
    cr_assert_eq(seen.n, N);
    for (unsigned i = 0; i < N; i++) {
        if (seen.numbers[i] >= highest)
            highest = seen.numbers[i];
        else
            n_late++;
        cr_assert_leq(highest - seen.numbers[i], 8);
    }
    cr_assert(n_late > N / 20, "%u", n_late);
}

Test(sim_network, a_bottleneck_takes_its_time_and_loses_what_its_queue_does_not_hold)
{
    static struct seen seen;
    struct sim_link link = {.bytes_a_second = 2000, .queue_bytes = 1000};

    run(&link, 5, &seen);
    /* 10 s at 4,000 bytes a second come in: half of it gets through, and what the queue held. */
    cr_assert(seen.n >= N / 2 && seen.n <= N / 2 + 251, "%u", seen.n);
    cr_assert_eq(seen.n + link.n_queue_lost, N);
}
