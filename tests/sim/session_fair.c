/* SPDX-License-Identifier: MIT */
/* What sessions take of a bottleneck: beside one another, beside a TCP-like flow, and of a path
 * that loses at random. */
#include "tests/sim/session_parts.h"
#include "tests/sim/tcp_flow.h"

#include <stdio.h>

#define RATE     UINT64_C(2500000) /* bytes a second: 20 Mbit/s */
#define RTT_NS   (40 * SIM_MS)
#define BDP      (RATE * RTT_NS / SIM_S)
#define FLOW     SIDES_MAX /* the TCP-like flow's number */
#define MEASURED 2 / 3     /* of the time, from its end */

static double jain(double a, double b)
{
    return (a + b) * (a + b) / (2 * (a * a + b * b));
}

struct shares {
    double a, b; /* bytes a second */
};

/* Two flows for so long; the second begins a tenth of it later. */
struct contest {
    struct sim_network net;
    struct sim_link there, back[2];
    struct sides all;
    struct tcp_flow tcp;
    bool has_tcp;
    double loss;
    uint64_t end_ns;
};

static void begin_second(struct contest *c)
{
    if (c->has_tcp) {
        tcp_flow_begin(&c->tcp, &c->net, &c->there, &c->back[1], FLOW);
    } else {
        sides_open(&c->all, &(struct session_options){.max_datagram = 1452}, &c->there,
                   &c->back[1]);
        c->all.side[2].is_bulk = true;
        side_turn(&c->all, &c->all.side[2]);
    }
}

static uint64_t second_bytes(const struct contest *c)
{
    return c->has_tcp ? c->tcp.n_bytes : c->all.side[3].n_bytes_read;
}

enum { BEGIN_SECOND = 0, BEGIN_MEASURE = 1, END = 2 };

static struct shares run_contest(struct contest *c, uint64_t length_ns)
{
    struct sim_event event;
    uint64_t a = 0, b = 0, begin_ns = c->net.now_ns;
    double seconds = (double)length_ns * MEASURED / 1e9;

    c->all.net = &c->net;
    sides_open(&c->all, &(struct session_options){.max_datagram = 1452}, &c->there, &c->back[0]);
    c->all.side[0].is_bulk = true;
    side_turn(&c->all, &c->all.side[0]);
    sim_timer(&c->net, begin_ns + length_ns / 10, FLOW + 1, BEGIN_SECOND);
    sim_timer(&c->net, begin_ns + length_ns - length_ns * MEASURED, FLOW + 1, BEGIN_MEASURE);
    sim_timer(&c->net, begin_ns + length_ns, FLOW + 1, END);
    while (sim_next(&c->net, &event)) {
        if (event.to == FLOW) {
            tcp_flow_event(&c->tcp, &event);
        } else if (event.to != FLOW + 1) {
            sides_event(&c->all, &event);
        } else if (event.tag == BEGIN_SECOND) {
            begin_second(c);
        } else if (event.tag == BEGIN_MEASURE) {
            a = c->all.side[1].n_bytes_read;
            b = second_bytes(c);
        } else {
            break;
        }
    }
    return (struct shares){(double)(c->all.side[1].n_bytes_read - a) / seconds,
                           (double)(second_bytes(c) - b) / seconds};
}

static struct shares contest(const char *name, double depth, uint64_t second_rtt_ns, int tcp,
                             uint64_t length_ns, uint64_t seed)
{
    static struct contest c;
    struct shares shares;

    sim_begin(name, seed);
    c = (struct contest){
        .there = {.delay_ns = RTT_NS / 4,
                  .jitter_ns = 400 * SIM_US, /* less than a segment takes: no order is lost */
                  .bytes_a_second = RATE,
                  .queue_bytes = (uint64_t)(depth * (double)BDP)},
        .back = {{.delay_ns = RTT_NS - RTT_NS / 4}, {.delay_ns = second_rtt_ns - RTT_NS / 4}},
        .has_tcp = tcp != 0,
        .tcp = {.is_cubic = tcp == 2},
    };
    sim_network_init(&c.net, seed);
    shares = run_contest(&c, length_ns);
    printf("fair %-24s %8.0f %8.0f B/s of %llu  Jain %.3f, second has %.2f of its half\n", name,
           shares.a, shares.b, (unsigned long long)RATE, jain(shares.a, shares.b),
           shares.b / ((double)RATE / 2));
    fflush(stdout);
    sides_close(&c.all);
    tcp_flow_end(&c.tcp);
    sim_network_deinit(&c.net);
    return shares;
}

/* Deep queues make long round trips, and those long ways to a balance. */
static uint64_t contest_ns(const struct sim_options *o, double depth)
{
    return (o->is_long ? 240 : depth > 1 ? 150 : 40) * SIM_S;
}

static void run_contests(const struct sim_options *o)
{
    static const double DEPTHS[] = {0.25, 1, 4};
    static const char *const KINDS[] = {"sessions", "sessions-rtt-x3", "newreno", "cubic"};

    for (int kind = 0; kind < 4; kind++)
        for (int d = 0; d < 3; d++) {
            bool is_quick = kind == 0 || (kind != 1 && d == 1);
            char name[48];
            struct shares s;

            snprintf(name, sizeof name, "%s/%.2f", KINDS[kind], DEPTHS[d]);
            if (!sim_is_wanted(o, name) || !(is_quick || o->is_long || o->only != NULL))
                continue;
            s = contest(name, DEPTHS[d], kind == 1 ? 3 * RTT_NS : RTT_NS, kind < 2 ? 0 : kind - 1,
                        contest_ns(o, DEPTHS[d]), o->has_seed ? o->seed : 5);
            SIM_HOLDS(kind != 0 || jain(s.a, s.b) >= 0.95, "unfair");
            SIM_HOLDS(kind < 2 || s.b >= 0.35 * (double)RATE / 2, "it starves TCP");
        }
}

/* ---- Random loss on a path that has room ---- */

static void goodput(const char *name, double loss, double rate, uint64_t length_ns, uint64_t seed)
{
    struct sim_network net;
    struct sim_link there = {.loss = loss, .delay_ns = RTT_NS / 2}, back = there;
    struct sides all = {.net = &net};
    struct sim_event event;
    uint64_t end_ns;
    double got, most = (1 - loss) * rate;

    there.bytes_a_second = (uint64_t)rate;
    there.queue_bytes = (uint64_t)rate / 10;
    sim_begin(name, seed);
    sim_network_init(&net, seed);
    end_ns = net.now_ns + length_ns;
    sides_open(&all,
               &(struct session_options){
                   .max_datagram = 1452, .send_bytes = 4 << 20, .receive_bytes = 4 << 20},
               &there, &back);
    all.side[0].is_bulk = true;
    side_turn(&all, &all.side[0]);
    while (net.now_ns < end_ns && sim_next(&net, &event))
        sides_event(&all, &event);
    got = (double)all.side[1].n_bytes_read / ((double)length_ns / 1e9);
    if (rate == 0)
        printf("loss %-24s %9.0f B/s\n", name, got);
    else
        printf("loss %-24s %9.0f B/s of the %.0f that the loss leaves (%.2f)\n", name, got, most,
               got / most);
    SIM_HOLDS(rate == 0 || got >= 0.75 * most, "it takes random loss for congestion");
    sides_close(&all);
    sim_network_deinit(&net);
}

void run_fair(const struct sim_options *o)
{
    static const double LOSSES[] = {0, 0.05, 0.2};
    uint64_t length_ns = (o->is_long ? 60 : 3) * SIM_S;

    run_contests(o);
    for (int i = 0; i < 3; i++)
        for (int has_bottleneck = 0; has_bottleneck < 2; has_bottleneck++) {
            char name[48];

            snprintf(name, sizeof name, "goodput/%.0f/%s", 100 * LOSSES[i],
                     has_bottleneck ? "bottleneck" : "free");
            if (sim_is_wanted(o, name))
                goodput(name, LOSSES[i], has_bottleneck ? (double)RATE : 0, length_ns,
                        o->has_seed ? o->seed : 9);
        }
}
