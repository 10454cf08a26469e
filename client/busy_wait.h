/* SPDX-License-Identifier: MIT */
/*
 * Whether a consumer looks for messages for a while before it sleeps. Asleep, it takes many times
 * as long to hear of one; but looking takes a core, and only who waits for each message to be dealt
 * with before he sends the next gains more than that. So it is tried, and goes on where messages
 * come faster then. No clock: times are given, in nanoseconds.
 */
#ifndef MSGD_CLIENT_BUSY_WAIT_H
#define MSGD_CLIENT_BUSY_WAIT_H

#include "proto/rest.h"

enum busy_wait_phase {
    BUSY_WAIT_ASLEEP, /* how fast messages come is measured */
    BUSY_WAIT_TRIED,  /* it looks, and that is measured */
    BUSY_WAIT_WORTH,  /* it looks */
};

struct busy_wait {
    uint64_t budget_ns; /* how long it looks at a time; 0: never */
    enum busy_wait_phase phase;
    uint64_t begun_ns;   /* the phase */
    uint64_t n_messages; /* in it */
    uint64_t asleep_ns;  /* that a message took then */
    uint32_t n_vain;     /* looks in a row in which nothing came */
    struct rest rest;
};

void busy_wait_init(struct busy_wait *b, uint64_t budget_ns);

/* So many messages were taken. */
static inline void busy_wait_took(struct busy_wait *b, int n)
{
    b->n_messages += (uint64_t)n;
}

/* How long to look now, before sleeping. */
static inline uint64_t busy_wait_ns(const struct busy_wait *b)
{
    return b->phase == BUSY_WAIT_ASLEEP ? 0 : b->budget_ns;
}

/* Nothing came meanwhile. */
void busy_wait_in_vain(struct busy_wait *b, uint64_t now_ns);
/* Messages came, and were taken, while it looked or slept. */
void busy_wait_ended(struct busy_wait *b, uint64_t now_ns, bool has_looked);

#endif
