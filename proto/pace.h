/* SPDX-License-Identifier: MIT */
/*
 * How long to wait for an answer, and how many messages may be under way: from the round trips that
 * were measured (RFC 6298) and from what got lost (slow start and AIMD, RFC 5681).
 */
#ifndef MSGD_PROTO_PACE_H
#define MSGD_PROTO_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_TIMEOUT_FIRST_NS UINT64_C(200000000) /* before anything was measured */
#define PACE_TIMEOUT_MIN_NS   UINT64_C(10000000)  /* RFC 6298 says 1 s; on a host it is 50 us */
#define PACE_TIMEOUT_MAX_NS                                                   \
    UINT64_C(10000000000)     /* RFC 6298 allows any maximum of 60 s or more: \
                                 here a message seldom lives that long */
#define PACE_WINDOW_FIRST 10u /* RFC 6928 */
#define PACE_WINDOW_MIN   PACE_WINDOW_FIRST

struct pace {
    uint64_t smoothed_ns;   /* SRTT; 0: nothing measured yet */
    uint64_t variation_ns;  /* RTTVAR */
    uint64_t measured_ns;   /* RTO */
    uint64_t timeout_ns;    /* the same, doubled while nothing is heard */
    uint64_t known_ns;      /* a timeout of what was sent before this says nothing new about it */
    uint64_t shrunk_ns;     /* when the window last shrank */
    uint32_t window;        /* messages */
    uint32_t threshold;     /* slow start ends here */
    uint32_t window_before; /* the window last shrank for silence; 0: it is final */
    uint32_t threshold_before; /* the same */
    uint32_t n_grown;          /* answers since the window last grew by one, above the threshold */
    uint32_t max_window;
};

void pace_init(struct pace *p, uint32_t max_window);

/* A round trip, of a message of which it is known which sending was answered (Karn). */
void pace_measure(struct pace *p, uint64_t round_trip_ns);

/* A message was answered, so somebody is there. is_limited: the window was what held others back.
 */
void pace_answered(struct pace *p, uint64_t now_ns, bool is_limited);

/*
 * A message that was last sent at sent_ns was not answered in time, or (is_told) was refused for
 * the moment. Shrinks the window once for all that was under way. The timeout doubles once for all
 * that was under way, and only if nothing at all has been heard since: else this one was lost, and
 * is not late.
 */
void pace_lost(struct pace *p, uint64_t now_ns, uint64_t sent_ns, bool is_told);

/*
 * Nothing of a message that was first sent at first_ns was lost, although it was sent again: what
 * the window shrank for its sake is given back (RFC 4015, section 3.2).
 */
void pace_not_lost(struct pace *p, uint64_t first_ns);

#endif
