/* SPDX-License-Identifier: MIT */
/*
 * Where handed-over messages came from, so that they can be answered: of the last ORIGINS_KEPT of
 * one Receive call. And which of them are not released yet.
 */
#ifndef MSGD_DAEMON_CONTROL_ORIGINS_H
#define MSGD_DAEMON_CONTROL_ORIGINS_H

#include "daemon/base/error.h"
#include "proto/address.h"
#include "proto/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORIGINS_KEPT 4096u

struct origin {
    uint64_t seq;
    struct address from;
    struct address to;
    enum message_type type;
    uint8_t n_id;
    char id[RECORD_TRAILER_MAX - RECORD_TRAILER_HEAD];
    bool is_answered;
};

/* Zeroed to begin with. */
struct origins {
    struct origin *kept; /* a ring, `capacity` (a power of two) long */
    size_t capacity;
    uint64_t n_added; /* ever */
};

void origins_deinit(struct origins *o);
/* Adds one; the oldest goes where ORIGINS_KEPT are there. 0 or -ENOMEM. */
int origins_add(struct origins *o, const struct origin *origin) MUST_USE;
/* The latest of that number; NULL: not there (any more). */
struct origin *origins_find(struct origins *o, uint64_t seq);

/*
 * Numbers of messages in the order of handing over, until they are released. In mode share that is
 * not always the order of the numbers. Zeroed to begin with.
 */
struct unreleased {
    uint64_t *seqs; /* a ring, `capacity` (a power of two) long */
    size_t capacity;
    uint64_t first; /* how many have been released */
    uint64_t end;   /* how many have been handed over */
};

void unreleased_deinit(struct unreleased *u);
int unreleased_add(struct unreleased *u, uint64_t seq) MUST_USE;
bool unreleased_has(const struct unreleased *u, uint64_t seq);
/*
 * Releases everything that was handed over up to `seq`; if that is not there, up to the first
 * number above it.
 */
void unreleased_release(struct unreleased *u, uint64_t seq);
static inline size_t unreleased_count(const struct unreleased *u)
{
    return (size_t)(u->end - u->first);
}

#endif
