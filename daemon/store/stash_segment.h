/* SPDX-License-Identifier: MIT */
/*
 * One socket pair of the stash, and what travels in it:
 *
 *     first message   struct segment_head, no descriptor
 *     the others      1 to SEGMENT_BATCH of struct segment_record, and as many descriptors
 */
#ifndef MSGD_DAEMON_STORE_STASH_SEGMENT_H
#define MSGD_DAEMON_STORE_STASH_SEGMENT_H

#include "daemon/base/list.h"
#include "daemon/store/stash.h"

#define STASH_VERSION 2

/* Records in one message, and in one segment. To take a record out, its segment is written anew. */
#define SEGMENT_BATCH   64
#define SEGMENT_RECORDS 256

struct segment_record {
    struct stash_item item;
    uint64_t serial; /* of the put: the highest of an item counts */
    uint64_t note;   /* of whoever put it in */
};

struct segment {
    struct list link; /* in the order of numbers */
    uint64_t number;
    int kept_end;       /* whose queue holds the messages */
    int writing_end;    /* -1: nothing is added any more */
    uint32_t n_records; /* that were written */
    uint32_t n_messages;
    uint32_t n_alive; /* that still count */
    bool is_dirty;    /* something in it is to be let go of */
};

/* Records with their descriptors, under way. */
struct segment_batch {
    struct segment_record records[SEGMENT_BATCH];
    int fds[SEGMENT_BATCH];
    size_t n;
};

/* A new one. 0 or -errno. */
int segment_new(struct segment **out, uint64_t number) MUST_USE;
/*
 * One that a predecessor made; takes the end, on failure too. 0, STASH_UNKNOWN_VERSION (*version
 * says which), -EBADMSG: it is no segment, or -errno.
 */
int segment_adopt(struct segment **out, int end, uint32_t *version) MUST_USE;
/* Closes its ends. Returns NULL; NULL is fine. */
struct segment *segment_free(struct segment *g);

/* Appends a batch, whose descriptors stay the caller's. 0, -ENOBUFS: it is full, or -errno. */
int segment_append(struct segment *g, const struct segment_batch *batch) MUST_USE;
/* Nothing is appended any more. */
void segment_seal(struct segment *g);

/* Copies of everything in it, message by message: begin, then next until it says 0. */
int segment_walk_begin(struct segment *g) MUST_USE;
/* The records of the next message with descriptors of the caller's own. 1, 0: there are no more,
 * or -errno (-EMFILE: not enough descriptors). */
int segment_walk_next(struct segment *g, struct segment_batch *out) MUST_USE;

/* Closes the descriptors of a batch; it is empty then. */
void segment_batch_close(struct segment_batch *batch);

#endif
