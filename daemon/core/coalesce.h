/* SPDX-License-Identifier: MIT */
/*
 * Whether a worker lets datagrams gather before it reads again, as network cards moderate their
 * interrupts: each look costs it, and the consumer that it wakes, several times what a datagram
 * does. Only for senders that wait for nobody: who waits for an answer has sent all that he will,
 * and what has come is then older than what still comes. It learns that, and what a sleep costs. No
 * clock: times are given, in nanoseconds.
 */
#ifndef MSGD_DAEMON_CORE_COALESCE_H
#define MSGD_DAEMON_CORE_COALESCE_H

#include "proto/rest.h"

/* What one turn of a worker has read. */
struct arrivals {
    uint32_t n_packets;   /* as the kernel hands them over */
    uint32_t n_datagrams; /* more than that where it has put several together */
    uint64_t n_bytes;
    uint32_t room_bytes;   /* the smallest receive buffer they came from */
    int64_t last_clock_ns; /* when the last one came, by the wall clock */
    bool is_more;          /* something was left */
};

struct coalesce {
    uint64_t limit_ns;     /* no sleep is longer; 0: never */
    uint64_t gap_ns;       /* between datagrams, a moving average */
    uint64_t read_ns;      /* the last turn that read something */
    uint64_t overshoot_ns; /* how much longer than asked a sleep takes, a moving average */
    uint64_t slept_ns;     /* before this turn; 0: not */
    uint32_t n_vain;       /* sleeps in a row for nothing */
    struct rest rest;
    uint32_t n_several; /* turns in a row that found more than one */
};

void coalesce_init(struct coalesce *c, uint64_t limit_ns);

/*
 * A turn has read something. age_ns: how long before now_ns the last of it came; only asked for
 * where c->slept_ns is not 0. Returns how long to sleep before the next look; 0: not.
 */
uint64_t coalesce_turn(struct coalesce *c, const struct arrivals *a, uint64_t now_ns,
                       uint64_t age_ns);
/* It has slept: so long was asked, so long it took. */
void coalesce_slept(struct coalesce *c, uint64_t asked_ns, uint64_t took_ns);

#endif
