/* SPDX-License-Identifier: MIT */
/* Many messages over each kind of bad network, both ways at once. */
#include "tests/sim/session_parts.h"

#include <stdio.h>

#define QUICK_MESSAGES 4000u
#define ALL_MESSAGES   100000u
#define RESTARTS       0.01 /* in each turn, in cells with restarts */
#define RESTART_NS     (300 * SIM_MS)

struct trouble {
    const char *name;
    struct sim_link link;
};

static const double LOSSES[] = {0, 0.01, 0.1, 0.3, 0.5};

static const struct trouble TROUBLES[] = {
    {"plain", {.delay_ns = 10 * SIM_MS}},
    {"doubled", {.delay_ns = 10 * SIM_MS, .duplication = 0.1}},
    {"reordered", {.delay_ns = 10 * SIM_MS, .reordering = 0.1}},
    {"corrupted", {.delay_ns = 10 * SIM_MS, .corruption = 0.1}},
    {"late", {.delay_ns = 10 * SIM_MS, .jitter_ns = 1990 * SIM_MS}},
    {"all",
     {.delay_ns = 5 * SIM_MS,
      .jitter_ns = 30 * SIM_MS,
      .duplication = 0.1,
      .reordering = 0.1,
      .corruption = 0.01}},
};

static bool is_over(const struct side *s)
{
    return s->saved == NULL &&
           (session_state(s->session) == SESSION_DONE || session_state(s->session) == SESSION_OVER);
}

static void show(const char *name, const struct sim_network *net, const struct sides *all,
                 uint64_t begin_ns)
{
    struct session_figures f;
    double seconds = (double)(net->now_ns - begin_ns) / 1e9;

    session_figures(all->side[0].session, &f);
    printf("cell %-22s %7llu messages each way in %8.2f s (%9.0f B/s)  %7llu sent, %5.1f %% again, "
           "datagram %u\n",
           name, (unsigned long long)all->side[1].read.number, seconds,
           (double)all->side[1].n_bytes_read / seconds, (unsigned long long)f.sent,
           100.0 * (double)f.retransmitted / (double)f.sent, f.datagram_bytes);
    fflush(stdout);
}

struct cell {
    const char *name;
    const struct sim_link *like;
    uint64_t n_messages;
    uint64_t seed;
    double restarts;
};

static void run_cell(const struct cell *c)
{
    struct sim_network net;
    struct sim_link there = *c->like, back = *c->like;
    struct sides all = {.net = &net,
                        .restarts = c->restarts,
                        .restart_ns = RESTART_NS,
                        .restart_random = {.state = c->seed}};
    struct sim_event event;
    uint64_t begin_ns;

    sim_begin(c->name, c->seed);
    sim_network_init(&net, c->seed);
    begin_ns = net.now_ns;
    sides_open(&all, &(struct session_options){.max_datagram = 1452}, &there, &back);
    for (int i = 0; i < 2; i++) {
        all.side[i].n_to_write = c->n_messages;
        side_turn(&all, &all.side[i]);
    }
    while (!(is_over(&all.side[0]) && is_over(&all.side[1]))) {
        SIM_HOLDS(sim_next(&net, &event), "nothing happens any more");
        sides_event(&all, &event);
        for (int i = 0; i < 2; i++)
            SIM_HOLDS(session_state(all.side[i].session) != SESSION_FAILED, "side %d failed: %s", i,
                      session_reason(all.side[i].session));
    }
    all.restarts = 0;
    for (int i = 0; i < 2; i++) {
        side_turn(&all, &all.side[i]);
        SIM_HOLDS(all.side[i].read.number == c->n_messages, "side %d has read %llu", i,
                  (unsigned long long)all.side[i].read.number);
    }
    SIM_HOLDS(c->restarts == 0 || all.side[0].n_restarts + all.side[1].n_restarts > 0,
              "nobody has restarted");
    show(c->name, &net, &all, begin_ns);
    sides_close(&all);
    sim_network_deinit(&net);
}

static void run_link(const struct sim_options *o, const char *name, const struct sim_link *link,
                     uint64_t seed)
{
    struct cell cell = {.name = name,
                        .like = link,
                        .n_messages = o->is_long ? ALL_MESSAGES : QUICK_MESSAGES,
                        .seed = o->has_seed ? o->seed : seed};
    char restarting[48];

    if (sim_is_wanted(o, name))
        run_cell(&cell);
    snprintf(restarting, sizeof restarting, "%s restarts", name);
    cell.name = restarting;
    cell.restarts = RESTARTS;
    if (sim_is_wanted(o, restarting))
        run_cell(&cell);
}

void run_cells(const struct sim_options *o)
{
    for (size_t t = 0; t < sizeof TROUBLES / sizeof *TROUBLES; t++)
        for (size_t l = 0; l < sizeof LOSSES / sizeof *LOSSES; l++) {
            char name[32];
            struct sim_link link = TROUBLES[t].link;

            link.loss = LOSSES[l];
            snprintf(name, sizeof name, "%s/%.0f", TROUBLES[t].name, 100 * LOSSES[l]);
            run_link(o, name, &link, 1 + t * 16 + l);
        }
}
