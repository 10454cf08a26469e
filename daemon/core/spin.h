/* SPDX-License-Identifier: MIT */
/*
 * Whether a worker that has nothing to do looks again for a while before it sleeps: a sleep and a
 * wake-up cost a message several times what its handling does. It learns from arrivals, and gives
 * way where no core is spare. No clock: times are given, in nanoseconds.
 */
#ifndef MSGD_DAEMON_CORE_SPIN_H
#define MSGD_DAEMON_CORE_SPIN_H

#include "proto/rest.h"

struct spin {
    uint64_t budget_ns;  /* how long it looks at a time; 0: never */
    uint64_t gap_ns;     /* between arrivals, a moving average */
    uint64_t arrived_ns; /* the last one */
    uint64_t until_ns;   /* of the spin under way */
    uint32_t n_vain;     /* spins in a row in which nothing came */
    struct rest rest;
};

void spin_init(struct spin *s, uint64_t budget_ns);

/* Something has arrived, and has been handled. True: look until s->until_ns before sleeping. */
bool spin_arrived(struct spin *s, uint64_t now_ns);
/* It has looked until then, and nothing came. was_disturbed: somebody else wanted the core. */
void spin_ended(struct spin *s, uint64_t now_ns, bool was_disturbed);

#endif
