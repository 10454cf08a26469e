/* SPDX-License-Identifier: MIT */
/*
 * A bad network, one way: loses, doubles, delays and reorders datagrams, and holds them back at a
 * bottleneck. No I/O and no clock; the same seed and the same datagrams meet the same fate.
 *
 *     too long? -> lost? -> doubled? -> held back? -> bottleneck -> delay -> out
 *
 * Law: in + duplicated = lost + too_large + overflowed + out + waiting.
 */
#ifndef MSGD_TESTS_IMPAIR_H
#define MSGD_TESTS_IMPAIR_H

#include <stddef.h>
#include <stdint.h>

struct impair_options {
    uint64_t seed;
    double loss;          /* of 1 */
    double duplicate;     /* of 1 */
    double reorder;       /* of 1: held back... */
    unsigned reorder_by;  /* ...until 1 to so many later ones of its flow have passed */
    uint64_t hold_ns;     /* ...or so long */
    uint64_t delay_ns;    /* of each one */
    uint64_t jitter_ns;   /* and up to so much more */
    uint64_t bytes_per_s; /* of the bottleneck; 0: none */
    uint64_t queue_bytes; /* that wait in front of it at most */
    size_t max_datagram;  /* longer ones vanish; 0: none do */
};

struct impair_counts {
    uint64_t in, out, lost, duplicated, reordered, too_large, overflowed;
};

struct impair;

/* Where a datagram goes that has come through. tag: what impair_put was given. */
typedef void impair_out(void *context, uint32_t flow, uint32_t tag, const uint8_t *bytes, size_t n);

struct impair *impair_new(const struct impair_options *o, impair_out *out, void *context);
struct impair *impair_free(struct impair *l);

/* A datagram of a flow comes in; those that are through go out before this returns. */
void impair_put(struct impair *l, uint64_t now_ns, uint32_t flow, uint32_t tag,
                const uint8_t *bytes, size_t n);
/* Time has passed. */
void impair_run(struct impair *l, uint64_t now_ns);
/* When impair_run has something to do; UINT64_MAX: never. */
uint64_t impair_deadline(const struct impair *l);

const struct impair_counts *impair_counts(const struct impair *l);
uint64_t impair_waiting(const struct impair *l);

#endif
