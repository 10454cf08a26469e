/* SPDX-License-Identifier: MIT */
/*
 * How much a session may have under way, and how fast it sends it. No I/O and no clock.
 *
 * Growth is CUBIC's (RFC 9438), whose Reno-friendly region keeps the balance with other streams;
 * slow start ends by growing delay (RFC 9406) as well as by loss. What differs is the answer to a
 * loss. A datagram that was lost on a path whose queue is empty was not lost to congestion, and
 * sending less would help nobody: the window is cut only where the loss has company, either
 *   - delay: the round-trip times of the latest samples lie above the path's least one by more than
 *     noise: there is a queue, and we are in it; or
 *   - a plateau: the window has grown by half since it last brought a higher rate of delivery: more
 *     is sent than gets through, though no queue shows (a policer, a queue too short to notice).
 * Rates of delivery are measured as in BBR (draft-ietf-ccwg-bbr, section 4.1).
 */
#ifndef MSGD_PROTO_CONGESTION_H
#define MSGD_PROTO_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

struct archive;

#define CONGESTION_SAMPLES    8u /* round-trip times whose least counts as the latest one */
#define CONGESTION_RTT_MAX_NS UINT64_C(3600000000000) /* nobody waits so long */

/* What a datagram takes along, to tell the rate when it has come. */
struct congestion_stamp {
    uint64_t delivered;
    uint64_t delivered_ns;
    uint64_t first_sent_ns;
    bool is_limited; /* by the application, or the peer's window: the rate says nothing of the path
                      */
};

struct congestion {
    uint32_t datagram_bytes;
    uint64_t window;     /* bytes */
    uint64_t threshold;  /* where slow start ends */
    uint64_t cut_number; /* what was sent up to here belongs to the cut that was made already */

    /* Delivery. */
    uint64_t delivered;
    uint64_t delivered_ns;
    uint64_t first_sent_ns;
    uint64_t limited_until; /* what is delivered up to here was sent while limited */
    bool is_filled;         /* the window was what held back in this round */

    /* Rounds: one begins when what was sent after the last one's begin has come. */
    uint64_t round_end;
    uint64_t round_ns;
    uint64_t round_delivered;
    uint64_t round_window;   /* at its begin */
    uint64_t round_least_ns; /* round-trip time of this round, and the one before */
    uint64_t last_least_ns;
    uint32_t n_round_samples;
    uint32_t n_slow_rounds; /* of conservative slow start (RFC 9406) */

    /* Round-trip times. */
    uint64_t least_ns[2]; /* of this and the former period */
    uint64_t period_ns;
    uint64_t samples_ns[CONGESTION_SAMPLES];
    uint32_t n_samples;
    uint64_t smoothed_ns;
    uint64_t variation_ns;

    /* The plateau: the highest smoothed rate, and the window that brought it. */
    double rate;         /* bytes a second, over rounds */
    double share_lost;   /* of what was sent, over rounds */
    uint64_t round_lost; /* bytes */
    double knee_rate;
    uint64_t knee_window;

    /* CUBIC. */
    uint64_t epoch_ns;
    uint64_t most; /* the window before the last cut */
    double k_s;    /* seconds from the epoch until it is reached again */
    double reno;   /* the window that Reno's growth would have */

    /* Before the last cut, in case it was in error. */
    uint64_t undo_window, undo_threshold, undo_most;

    /* Pacing. */
    double tokens; /* bytes that may leave now */
    uint64_t tokens_ns;

    uint64_t n_cuts, n_random; /* losses that made a cut, that did not */
};

void congestion_init(struct congestion *c, uint32_t datagram_bytes, uint64_t now_ns);
void congestion_set_datagram(struct congestion *c, uint32_t datagram_bytes);

/* A datagram of n_bytes has been sent; n_in_flight without it. */
void congestion_sent(struct congestion *c, uint64_t now_ns, uint32_t n_bytes, uint64_t n_in_flight,
                     struct congestion_stamp *stamp);
/* There is nothing more to send, though the window would let it. */
void congestion_limited(struct congestion *c, uint64_t n_in_flight);

struct congestion_sample {
    uint64_t now_ns;
    uint64_t n_bytes;                     /* that have come */
    uint64_t number;                      /* the highest that has come */
    uint64_t sent_ns;                     /* when that was sent, */
    const struct congestion_stamp *stamp; /* and with what; NULL: unknown */
    uint64_t rtt_ns;                      /* 0: no sample */
    uint64_t smoothed_ns;
    uint64_t variation_ns;
    uint64_t n_in_flight; /* before */
};
void congestion_acked(struct congestion *c, const struct congestion_sample *s);

/* A datagram of n_bytes and that number was lost; last_number: the highest that was sent. */
void congestion_lost(struct congestion *c, uint32_t n_bytes, uint64_t number, uint64_t last_number);
/* What was taken for lost had come: takes back the last cut. */
void congestion_spurious(struct congestion *c);
/* Nothing at all has come for several timeouts: begins again with little. */
void congestion_collapse(struct congestion *c, uint64_t last_number);

/* May a datagram leave now, as far as the pace goes? */
bool congestion_is_due(struct congestion *c, uint64_t now_ns);
/* When it may, if it may not now. */
uint64_t congestion_due_ns(const struct congestion *c);

/* To bytes and back (archive.h). */
void congestion_archive(struct archive *a, struct congestion *c);

/* The least round-trip time of the last seconds; 0: none yet. */
uint64_t congestion_least_ns(const struct congestion *c);

#endif
