/* SPDX-License-Identifier: MIT */
/*
 * A clock and a network for simulations. Both follow from a seed alone, so that a run that failed
 * can be had again: no real time, no sockets, no threads.
 *
 * Who takes part are numbers of the simulation's own choice. A link is one direction of a path;
 * flows that share a link share its bottleneck and its queue. Its properties may be changed at any
 * time, and hold for what is sent from then on.
 *
 *     struct sim_network net;
 *     sim_network_init(&net, seed);
 *     struct sim_link there = {.loss = 0.1, .delay_ns = 5 * SIM_MS};
 *     sim_send(&net, &there, from, to, bytes, n);
 *     sim_timer(&net, at_ns, to, tag);
 *     while (sim_next(&net, &event))
 *         ...
 */
#ifndef MSGD_TESTS_SIM_NETWORK_H
#define MSGD_TESTS_SIM_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_US UINT64_C(1000)
#define SIM_MS UINT64_C(1000000)
#define SIM_S  UINT64_C(1000000000)

/* ---- Chance ---- */

/* splitmix64. Any state will do. */
struct sim_random {
    uint64_t state;
};

uint64_t sim_random(struct sim_random *r);
/* From 0 to n - 1; n is not 0. */
uint64_t sim_below(struct sim_random *r, uint64_t n);
/* From low to high, both included. */
uint64_t sim_between(struct sim_random *r, uint64_t low, uint64_t high);
/* True with this probability, 0 to 1. */
bool sim_chance(struct sim_random *r, double probability);

/* ---- The network ---- */

/* How far reordering goes at most: so many later datagrams overtake one. */
#define SIM_REORDER_MAX 64

struct sim_datagram;

/* Zero is a perfect link. Caller's storage; it must outlive what was sent over it. */
struct sim_link {
    double loss;             /* of each datagram */
    double duplication;      /* a second copy, with a delay of its own */
    double corruption;       /* one to eight bits are flipped */
    double reordering;       /* held back until up to `overtakers` later ones have passed */
    unsigned overtakers;     /* at most SIM_REORDER_MAX; 0: that */
    uint64_t delay_ns;       /* each takes so long, */
    uint64_t jitter_ns;      /* and up to so much longer, each by itself (which reorders, too) */
    uint64_t bytes_a_second; /* the bottleneck; 0: none */
    uint64_t queue_bytes;    /* before the bottleneck; what finds it full is lost */
    bool is_cut;             /* everything is lost */

    /* What became of what was sent. */
    uint64_t n_sent, n_lost, n_queue_lost, n_doubled, n_corrupted, n_bytes;

    /* The network's own. */
    uint64_t busy_until_ns;
    struct sim_datagram *held;
};

enum sim_kind { SIM_DATAGRAM, SIM_TIMER };

struct sim_event {
    enum sim_kind kind;
    uint64_t now_ns;
    uint32_t to;
    uint32_t from;  /* datagrams */
    uint64_t tag;   /* timers */
    uint8_t *bytes; /* datagrams; n bytes at the end of an allocation of their own, valid until the
                       next sim_next */
    size_t n;
};

struct sim_network {
    struct sim_random random;
    uint64_t now_ns;
    uint64_t n_events; /* that have happened */

    struct sim_entry *queue; /* a binary heap by time, then order of arrival */
    size_t n_queued, capacity;
    uint64_t order;
    struct sim_datagram *given; /* to be freed by the next sim_next */
};

void sim_network_init(struct sim_network *net, uint64_t seed);
void sim_network_deinit(struct sim_network *net);

/* A datagram, copied. May arrive never, once or twice. */
void sim_send(struct sim_network *net, struct sim_link *link, uint32_t from, uint32_t to,
              const void *bytes, size_t n);

/* An event at that time (now, if it has passed). There is no cancelling: a simulation that has
 * changed its mind ignores the tag. */
void sim_timer(struct sim_network *net, uint64_t at_ns, uint32_t to, uint64_t tag);

/* The next event, at its time. False: nothing will ever happen again. */
bool sim_next(struct sim_network *net, struct sim_event *out);

/* Everything that is under way is lost, timers too: a new run on the same clock. */
void sim_network_clear(struct sim_network *net);

/* ---- Running ---- */

/* What each simulation takes on its command line. */
struct sim_options {
    uint64_t seed; /* --seed N: this one run, and loud */
    bool has_seed;
    bool is_long;     /* --long: everything, which takes minutes */
    const char *only; /* --only TEXT: the parts whose name has it in it */
};

/* Exits with 64 and a line of help where the command line is wrong. */
void sim_options_parse(struct sim_options *o, int argc, char **argv);

/* Is a part of this name to be run? */
bool sim_is_wanted(const struct sim_options *o, const char *part);

/* The run that is under way, for what a failure prints. part: kept. */
void sim_begin(const char *part, uint64_t seed);

/* Ends the program, saying where, why, and the command that has this run again. */
void sim_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

#define SIM_HOLDS(property, ...)                       \
    do {                                               \
        if (!(property))                               \
            sim_fail(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

#endif
