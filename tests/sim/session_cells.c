/* SPDX-License-Identifier: MIT */
/* Many messages over each kind of bad network, both ways at once. */
#include "tests/sim/session_parts.h"

#include <stdio.h>

#define QUICK_MESSAGES 4000u
#define ALL_MESSAGES   100000u

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
    return session_state(s->session) == SESSION_DONE || session_state(s->session) == SESSION_OVER;
}

static void show(const char *name, const struct sim_network *net, const struct sides *all,
                 uint64_t begin_ns)
{
    struct session_figures f;
    double seconds = (double)(net->now_ns - begin_ns) / 1e9;

    session_figures(all->side[0].session, &f);
    printf("cell %-16s %7llu messages each way in %8.2f s (%9.0f B/s)  %7llu sent, %5.1f %% again, "
           "datagram %u\n",
           name, (unsigned long long)all->side[1].read.number, seconds,
           (double)all->side[1].n_bytes_read / seconds, (unsigned long long)f.sent,
           100.0 * (double)f.retransmitted / (double)f.sent, f.datagram_bytes);
    fflush(stdout);
}

static void run_cell(const char *name, const struct sim_link *like, uint64_t n_messages,
                     uint64_t seed)
{
    struct sim_network net;
    struct sim_link there = *like, back = *like;
    struct sides all = {.net = &net};
    struct sim_event event;
    uint64_t begin_ns;

    sim_begin(name, seed);
    sim_network_init(&net, seed);
    begin_ns = net.now_ns;
    sides_open(&all, &(struct session_options){.max_datagram = 1452}, &there, &back);
    for (int i = 0; i < 2; i++) {
        all.side[i].n_to_write = n_messages;
        side_turn(&all, &all.side[i]);
    }
    while (!(is_over(&all.side[0]) && is_over(&all.side[1]))) {
        SIM_HOLDS(sim_next(&net, &event), "nothing happens any more");
        sides_event(&all, &event);
        for (int i = 0; i < 2; i++)
            SIM_HOLDS(session_state(all.side[i].session) != SESSION_FAILED, "side %d failed: %s", i,
                      session_reason(all.side[i].session));
    }
    for (int i = 0; i < 2; i++) {
        side_turn(&all, &all.side[i]);
        SIM_HOLDS(all.side[i].read.number == n_messages, "side %d has read %llu", i,
                  (unsigned long long)all.side[i].read.number);
    }
    show(name, &net, &all, begin_ns);
    sides_close(&all);
    sim_network_deinit(&net);
}

void run_cells(const struct sim_options *o)
{
    for (size_t t = 0; t < sizeof TROUBLES / sizeof *TROUBLES; t++)
        for (size_t l = 0; l < sizeof LOSSES / sizeof *LOSSES; l++) {
            char name[32];
            struct sim_link link = TROUBLES[t].link;

            link.loss = LOSSES[l];
            snprintf(name, sizeof name, "%s/%.0f", TROUBLES[t].name, 100 * LOSSES[l]);
            if (sim_is_wanted(o, name))
                run_cell(name, &link, o->is_long ? ALL_MESSAGES : QUICK_MESSAGES,
                         o->has_seed ? o->seed : 1 + t * 16 + l);
        }
}
