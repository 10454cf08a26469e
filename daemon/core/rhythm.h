/* SPDX-License-Identifier: MIT */
/*
 * Whether datagrams come regularly, and from when on a worker is to be awake for the next one: its
 * sender then wakes nobody, and none of what a wake-up takes is in its way. It learns the period,
 * how closely they keep to it and how late it is woken itself, gives up what is in vain, and keeps
 * to a share of its core. No clock: times are given, in nanoseconds.
 *
 *         begins                       due
 *     ------|--- late ---|- margin / 2 -|--- margin ---|------
 *         timer        awake          arrival        until
 */
#ifndef MSGD_DAEMON_CORE_RHYTHM_H
#define MSGD_DAEMON_CORE_RHYTHM_H

#include "proto/rest.h"

/* So many regular arrivals are a rhythm. */
#define RHYTHM_LEARNED 16u

/* What became of a look. */
enum rhythm_outcome {
    RHYTHM_MET,       /* it came */
    RHYTHM_SHARED,    /* it came, from a sender that had to wait for the looker's core */
    RHYTHM_MISSED,    /* it did not come until then */
    RHYTHM_DISTURBED, /* somebody else works on this core */
};

struct rhythm {
    uint32_t percent; /* of its core that it may use; 0: none */
    uint64_t period_ns;
    uint64_t due_ns;     /* the next arrival */
    uint64_t arrived_ns; /* the last one */
    uint64_t turn_ns;    /* in which it was read */
    uint32_t n_regular;  /* arrivals, so far */
    uint32_t n_odd;      /* others since the last regular one */
    uint64_t margin_ns;  /* it looks for so long after one is due, for half of that before */
    uint64_t late_ns;    /* that it is woken, a moving average */
    uint64_t begun_ns;   /* the look under way */
    uint32_t n_vain;     /* looks in a row */
    int64_t credit_ns;   /* of its share, unused */
    uint64_t credited_ns;
    struct rest rest;
};

void rhythm_init(struct rhythm *r, uint32_t percent);

/* A turn has read something. False: too soon after the last one for what is regular here. */
bool rhythm_turn(struct rhythm *r, uint64_t now_ns);
/* ... and if not: what it read last arrived then. */
void rhythm_arrived(struct rhythm *r, uint64_t at_ns);

/* When to be woken, may be past; 0: not before something comes. */
uint64_t rhythm_begins_ns(struct rhythm *r, uint64_t now_ns);
/* It looks from now on. asked_ns: when it was to be woken; now_ns if it has not slept. */
void rhythm_begun(struct rhythm *r, uint64_t asked_ns, uint64_t now_ns);
/* It looks no more. Returns what that has cost of its share. */
uint64_t rhythm_ended(struct rhythm *r, uint64_t now_ns, enum rhythm_outcome outcome);

static inline bool rhythm_is_learned(const struct rhythm *r)
{
    return r->n_regular >= RHYTHM_LEARNED;
}

/* For how long the look under way is to go on. */
static inline uint64_t rhythm_until_ns(const struct rhythm *r)
{
    return r->due_ns + r->margin_ns;
}

#endif
