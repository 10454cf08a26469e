/* SPDX-License-Identifier: MIT */
/*
 * Sessions on a simulated network: both sides of each, what their applications write and what they
 * must read. Messages are numbered, and their text follows from their number, so that a reader
 * knows each byte beforehand: once, whole and in order is then one comparison.
 */
#ifndef MSGD_TESTS_SIM_SESSION_PAIR_H
#define MSGD_TESTS_SIM_SESSION_PAIR_H

#include "proto/session.h"
#include "tests/sim/network.h"

#define TEXT_MAX 4096u

/* The text of one message after the other, RFC 7464, cut as the taker likes. */
struct texts {
    uint64_t seed;
    uint64_t number;  /* of the one at hand, from 0 */
    size_t at, n;     /* bytes of it that are done, and all */
    uint32_t longest; /* filling of a message; 0: 200 */
    char text[TEXT_MAX];
};

#define SIDE_WAITING 32u

/* A datagram that waits in the socket of one who is away. */
struct waiting {
    uint8_t *bytes;
    size_t n;
    uint32_t from;
};

struct side {
    struct session *session;
    struct sim_link *out; /* what it sends takes this way */
    uint32_t index;       /* among all sides; its peer's is index ^ 1 */
    uint32_t place;       /* its address: index plus a multiple of SIDES_MAX */
    uint64_t timer_ns;    /* the earliest timer that is set */

    struct texts written, read;
    uint64_t n_to_write;     /* messages, then session_finish */
    uint64_t n_may_write;    /* of them, at present */
    uint64_t n_unproven[64]; /* bytes from and, taken off, to a place (modulo 64) that is not the
                                peer's */
    bool is_bulk;            /* writes as fast as it can for ever */
    bool is_stalled;         /* does not read */
    bool is_gone;            /* crashed: says nothing, hears nothing */
    void *saved;             /* its session, while it restarts; session is how it was then */
    size_t n_saved;
    struct waiting waiting[SIDE_WAITING]; /* what came meanwhile; the rest is lost */
    uint32_t n_waiting;
    uint64_t n_restarts;
    uint64_t n_bytes_read;
};

#define SIDES_MAX 8u

struct sides {
    struct sim_network *net;
    struct side side[SIDES_MAX];
    uint32_t n_sides;
    void (*check)(const struct session *s, uint64_t now_ns); /* after each step; NULL: none */
    double restarts;                                         /* chance in each turn, */
    uint64_t restart_ns;                                     /* and how long one takes at most */
    struct sim_random restart_random;
};

/* A pair more: sides n_sides (client) and n_sides + 1. Links: from the client, to the client. */
void sides_open(struct sides *all, const struct session_options *like, struct sim_link *there,
                struct sim_link *back);
void sides_close(struct sides *all);

/* The side does what it can do now: reads, writes, sends, sets its timer. */
void side_turn(struct sides *all, struct side *s);
/* Gives the event to whom it belongs. */
void sides_event(struct sides *all, const struct sim_event *event);
/* It restarts: is saved, says nothing for up to restart_ns, and goes on. */
void side_restart(struct sides *all, struct side *s);
/* The client has another address; what goes to the old one is lost. */
void side_move(struct side *s);

#endif
