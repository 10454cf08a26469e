/* SPDX-License-Identifier: MIT */
/* Short lives, each from a seed: what happens to a session, and when, is chance. */
#include "tests/sim/session_parts.h"
#include "tests/support/session_check.h"

#include <stdio.h>

#define QUICK_RUNS 4000u
#define ALL_RUNS   100000u
#define ACTS       40u /* then nothing bad happens any more */
#define LENGTH_NS  (240 * SIM_S)
#define ACTOR      6u /* no side: its timers are acts, its place is a stranger's */

struct life {
    struct sim_network net;
    struct sim_link there, back;
    struct sides all;
    struct sim_random random;
    uint32_t n_acts;
    bool is_calm; /* nobody has crashed or aborted */
    bool was_cut;
};

static void check(const struct session *s, uint64_t now_ns)
{
    const char *broken = session_check(s);

    (void)now_ns;
    SIM_HOLDS(broken == NULL, "%s", broken);
}

static struct sim_link some_link(struct sim_random *r)
{
    struct sim_link link = {.delay_ns = sim_below(r, 100 * SIM_MS)};

    if (sim_chance(r, 0.6))
        link.loss = (double)sim_below(r, 51) / 100;
    if (sim_chance(r, 0.3))
        link.duplication = 0.1;
    if (sim_chance(r, 0.3))
        link.reordering = 0.2;
    if (sim_chance(r, 0.3))
        link.corruption = 0.05;
    if (sim_chance(r, 0.3))
        link.jitter_ns = sim_below(r, 300 * SIM_MS);
    if (sim_chance(r, 0.3)) {
        link.bytes_a_second = sim_between(r, 20000, 2000000);
        link.queue_bytes = sim_between(r, 3000, 100000);
    }
    return link;
}

static struct session_options some_options(struct sim_random *r)
{
    return (struct session_options){
        .send_bytes = (size_t)sim_between(r, 500, 100000),
        .receive_bytes = (size_t)sim_between(r, 500, 100000),
        .max_datagram = sim_chance(r, 0.5) ? 1200 : 9000,
        .idle_timeout_ms = 60000,
        .keep_alive_ms = (uint32_t)sim_between(r, 500, 5000),
    };
}

/* ---- What happens ---- */

static void act(struct life *l)
{
    struct side *s = &l->all.side[sim_below(&l->random, 2)];
    struct sim_link *link = sim_chance(&l->random, 0.5) ? &l->there : &l->back;

    switch (sim_below(&l->random, 40)) {
    case 0:
        l->is_calm = false;
        session_abort(s->session, "enough");
        break;
    case 1:
        l->is_calm = false;
        s->is_gone = true;
        break;
    case 2:
    case 3:
    case 4:
        side_move(&l->all.side[0]);
        break;
    case 5:
        l->was_cut = true;
        link->is_cut = true;
        break;
    case 6:
    case 7:
    case 8:
        link->is_cut = false;
        break;
    case 9:
    case 10:
    case 11:
        s->is_stalled = true;
        break;
    case 12:
        session_too_large(s->session, l->net.now_ns, 1200 + sim_below(&l->random, 8000));
        break;
    default:
        s->is_stalled = false;
        s->n_may_write += sim_below(&l->random, 60);
        break;
    }
    side_turn(&l->all, s);
}

static void calm_down(struct life *l)
{
    l->there.is_cut = l->back.is_cut = false;
    for (int i = 0; i < 2; i++) {
        l->all.side[i].is_stalled = false;
        l->all.side[i].n_may_write = UINT64_MAX;
        side_turn(&l->all, &l->all.side[i]);
    }
}

/* Now and then somebody says again, from elsewhere, what went by. */
static void replay(struct life *l, const struct sim_event *event)
{
    if (event->to % SIDES_MAX != 1 || !sim_chance(&l->random, 0.02))
        return;
    sim_send(&l->net, &l->there, ACTOR, event->to, event->bytes, event->n);
}

static void happen(struct life *l, const struct sim_event *event)
{
    if (event->to % SIDES_MAX != ACTOR) {
        if (event->kind == SIM_DATAGRAM && event->from != ACTOR)
            replay(l, event);
        sides_event(&l->all, event);
    } else if (event->kind == SIM_TIMER && l->n_acts++ < ACTS) {
        act(l);
        sim_timer(&l->net, l->net.now_ns + sim_below(&l->random, 800 * SIM_MS), ACTOR, 0);
    } else if (event->kind == SIM_TIMER) {
        calm_down(l);
    }
}

/* ---- How it ends ---- */

static bool is_at_end(const struct side *s)
{
    if (s->saved != NULL)
        return false;
    return s->is_gone || session_state(s->session) == SESSION_OVER ||
           session_state(s->session) == SESSION_FAILED;
}

static void check_end(const struct life *l)
{
    for (int i = 0; i < 2; i++) {
        const struct side *s = &l->all.side[i], *peer = &l->all.side[1 - i];

        SIM_HOLDS(is_at_end(s), "side %d is not at its end: state %d", i,
                  (int)session_state(s->session));
        /* Who was cut off just when the other had said its last word cannot know that all came. */
        SIM_HOLDS(!l->is_calm || session_state(s->session) == SESSION_OVER ||
                      (l->was_cut && session_state(peer->session) == SESSION_OVER),
                  "side %d failed: %s (loss %.2f and %.2f, cut %d, the other: %d)", i,
                  session_reason(s->session), l->there.loss, l->back.loss, l->was_cut,
                  (int)session_state(peer->session));
        SIM_HOLDS(s->is_gone || session_state(s->session) != SESSION_OVER ||
                      s->read.number == peer->n_to_write,
                  "side %d has read %llu of %llu", i, (unsigned long long)s->read.number,
                  (unsigned long long)peer->n_to_write);
    }
}

static void run_life(uint64_t seed)
{
    static struct life l;
    struct session_options options;
    struct sim_event event;
    uint64_t end_ns;

    sim_begin("short", seed);
    l = (struct life){.random = {.state = seed ^ UINT64_C(0x5851f42d4c957f2d)}, .is_calm = true};
    sim_network_init(&l.net, seed);
    end_ns = l.net.now_ns + LENGTH_NS;
    l.there = some_link(&l.random);
    l.back = some_link(&l.random);
    l.all = (struct sides){.net = &l.net, .check = check};
    if (seed % 3 == 0) { /* one side or the other restarts again and again */
        l.all.restarts = 0.03;
        l.all.restart_ns = 2 * SIM_S;
        l.all.restart_random.state = seed;
    }
    options = some_options(&l.random);
    sides_open(&l.all, &options, &l.there, &l.back);
    for (int i = 0; i < 2; i++) {
        l.all.side[i].n_to_write = sim_below(&l.random, 200);
        l.all.side[i].n_may_write = sim_below(&l.random, 50);
        side_turn(&l.all, &l.all.side[i]);
    }
    sim_timer(&l.net, l.net.now_ns, ACTOR, 0);
    while (!(is_at_end(&l.all.side[0]) && is_at_end(&l.all.side[1])) && l.net.now_ns < end_ns &&
           sim_next(&l.net, &event))
        happen(&l, &event);
    check_end(&l);
    sides_close(&l.all);
    sim_network_deinit(&l.net);
}

void run_short(const struct sim_options *o)
{
    uint64_t n = o->is_long ? ALL_RUNS : QUICK_RUNS;

    if (!sim_is_wanted(o, "short"))
        return;
    if (o->has_seed) {
        run_life(o->seed);
        return;
    }
    for (uint64_t seed = 1; seed <= n; seed++)
        run_life(seed);
    printf("short %llu lives\n", (unsigned long long)n);
}
