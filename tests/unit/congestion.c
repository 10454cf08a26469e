/* SPDX-License-Identifier: MIT */
#include "proto/congestion.h"

#include <criterion/criterion.h>

#define MS       UINT64_C(1000000)
#define DATAGRAM 1200u

/* Rounds of a full window that comes back after rtt_ns; the first of each is lost if asked. */
struct rounds {
    struct congestion c;
    uint64_t now_ns, number;
};

static void begin(struct rounds *r)
{
    *r = (struct rounds){.now_ns = 1000 * MS};
    congestion_init(&r->c, DATAGRAM, r->now_ns);
}

static void run_round(struct rounds *r, uint64_t rtt_ns, bool has_loss)
{
    uint64_t n = r->c.window / DATAGRAM, begin_ns = r->now_ns;
    static struct congestion_stamp stamps[100000];

    for (uint64_t i = 0; i < n; i++)
        congestion_sent(&r->c, begin_ns, DATAGRAM, i * DATAGRAM, &stamps[i]);
    r->now_ns += rtt_ns;
    for (uint64_t i = has_loss; i < n; i++) {
        struct congestion_sample s = {.now_ns = r->now_ns,
                                      .n_bytes = DATAGRAM,
                                      .number = r->number + i + 1,
                                      .sent_ns = begin_ns,
                                      .stamp = &stamps[i],
                                      .rtt_ns = rtt_ns,
                                      .smoothed_ns = rtt_ns,
                                      .n_in_flight = (n - i) * DATAGRAM};
        congestion_acked(&r->c, &s);
    }
    r->number += n;
    if (has_loss)
        congestion_lost(&r->c, DATAGRAM, r->number - n + 1, r->number);
}

Test(congestion, grows_while_nothing_is_in_the_way)
{
    struct rounds r;

    begin(&r);
    for (int i = 0; i < 5; i++)
        run_round(&r, 50 * MS, false);
    cr_assert_geq(r.c.window, 300 * DATAGRAM, "it has doubled five times");
}

Test(congestion, does_not_take_random_loss_for_congestion)
{
    struct rounds r;

    begin(&r);
    for (int i = 0; i < 6; i++)
        run_round(&r, 50 * MS, true);
    cr_assert_eq(r.c.n_cuts, 0);
    cr_assert_eq(r.c.n_random, 6);
    cr_assert_geq(r.c.window, 300 * DATAGRAM);
}

Test(congestion, cuts_once_a_round_where_there_is_a_queue)
{
    struct rounds r;
    uint64_t before;

    begin(&r);
    for (int i = 0; i < 4; i++)
        run_round(&r, 50 * MS, false);
    run_round(&r, 80 * MS, false);
    before = r.c.window;
    congestion_lost(&r.c, DATAGRAM, r.number - 1, r.number);
    congestion_lost(&r.c, DATAGRAM, r.number, r.number);
    cr_assert_eq(r.c.n_cuts, 1);
    cr_assert_eq(r.c.window, (uint64_t)(0.7 * (double)before));
    congestion_spurious(&r.c);
    cr_assert_eq(r.c.window, before, "it was an error");
}

Test(congestion, leaves_slow_start_when_delay_grows)
{
    struct rounds r;

    begin(&r);
    run_round(&r, 50 * MS, false);
    for (int i = 1; i < 10; i++)
        run_round(&r, 50 * MS + (uint64_t)(i < 3 ? i : 3) * 20 * MS, false);
    cr_assert_neq(r.c.threshold, UINT64_MAX);
}

Test(congestion, knows_a_policer_by_what_no_longer_comes)
{
    struct rounds r;

    begin(&r);
    for (int i = 0; i < 4; i++)
        run_round(&r, 50 * MS, false);
    for (int i = 0; i < 40 && r.c.n_cuts == 0; i++) { /* 100 datagrams a round come, no more */
        uint64_t n = r.c.window / DATAGRAM;
        static struct congestion_stamp stamps[1000000];

        cr_assert_lt(n, 1000000);
        for (uint64_t k = 0; k < n; k++)
            congestion_sent(&r.c, r.now_ns, DATAGRAM, k * DATAGRAM, &stamps[k]);
        r.now_ns += 50 * MS;
        for (uint64_t k = 0; k < n && k < 100; k++)
            congestion_acked(&r.c, &(struct congestion_sample){.now_ns = r.now_ns,
                                                               .n_bytes = DATAGRAM,
                                                               .number = r.number + k + 1,
                                                               .sent_ns = r.now_ns - 50 * MS,
                                                               .stamp = &stamps[k],
                                                               .rtt_ns = 50 * MS,
                                                               .smoothed_ns = 50 * MS,
                                                               .n_in_flight = r.c.window});
        r.number += n;
        congestion_lost(&r.c, DATAGRAM, r.number, r.number);
    }
    cr_assert_eq(r.c.n_cuts, 1);
}

Test(congestion, paces_what_leaves)
{
    struct rounds r;
    struct congestion_stamp stamp;
    uint64_t n = 0, end_ns;

    begin(&r);
    for (int i = 0; i < 4; i++)
        run_round(&r, 50 * MS, false);
    end_ns = r.now_ns + 50 * MS;
    while (r.now_ns < end_ns) {
        for (; congestion_is_due(&r.c, r.now_ns); n += DATAGRAM)
            congestion_sent(&r.c, r.now_ns, DATAGRAM, 0, &stamp);
        cr_assert_gt(congestion_due_ns(&r.c), r.now_ns);
        r.now_ns = congestion_due_ns(&r.c);
    }
    cr_assert_geq(n, 2 * r.c.window * 9 / 10, "twice a window a round in slow start");
    cr_assert_leq(n, 2 * r.c.window * 11 / 10 + 128 * 1024);
}

Test(congestion, begins_again_after_a_collapse)
{
    struct rounds r;

    begin(&r);
    for (int i = 0; i < 5; i++)
        run_round(&r, 50 * MS, false);
    congestion_collapse(&r.c, r.number);
    cr_assert_eq(r.c.window, 2 * DATAGRAM);
    for (int i = 0; i < 3; i++)
        run_round(&r, 50 * MS, false);
    cr_assert_geq(r.c.window, 8 * DATAGRAM);
}
