/* SPDX-License-Identifier: MIT */
/*
 * The receiving side of a session's stream: segments in any order in, bytes in order out, and what
 * the peer is to be told: how far everything has come, which ranges behind that, and how far it may
 * send.
 *
 *     consumed        next                                     window
 *   ......|xxxxxxxxxxxxx|        |xxxxx|    |xx|                  |        x has come
 *
 * The end of the stream takes one offset of its own, behind the last byte: who has everything up to
 * the end has come as far as the stream's length plus one.
 */
#ifndef MSGD_PROTO_STREAM_IN_H
#define MSGD_PROTO_STREAM_IN_H

#include "proto/blocks.h"
#include "proto/frame.h"

#include <stdbool.h>

struct archive;

#define STREAM_UNKNOWN UINT64_MAX
#define STREAM_IN_TOLD 16u /* arrivals out of order that each report tells first */
#define STREAM_IN_RANGE \
    512u /* a range for every so many bytes of the window: the bound of their table */

struct stream_in {
    struct blocks blocks;
    uint64_t max_bytes; /* the window's size */
    uint64_t consumed;
    uint64_t next;    /* everything before this has come; the end counts as one */
    uint64_t highest; /* end of the highest byte that has come */
    uint64_t window;  /* what the peer has been told; it may send nothing at or behind this */
    uint64_t length;  /* of the stream; STREAM_UNKNOWN before its end has come */

    struct frame_range *ranges; /* sorted, apart from each other, behind next */
    uint32_t first, n_ranges;   /* ranges[first] .. ranges[first + n_ranges - 1] */
    uint32_t capacity;

    uint64_t recent[STREAM_IN_TOLD]; /* offsets of the latest arrivals out of order */
    uint32_t n_recent;               /* that there ever were */
};

void stream_in_init(struct stream_in *in, uint64_t max_bytes);
void stream_in_deinit(struct stream_in *in);
/* To bytes and back (archive.h); loading: into a zeroed one, to be deinitialised in any case. */
void stream_in_archive(struct archive *a, struct stream_in *in);

enum stream_in_outcome {
    STREAM_IN_NEXT,      /* new, and no gap before or behind it */
    STREAM_IN_GAP,       /* new; something before it is missing, or it filled a gap */
    STREAM_IN_DUPLICATE, /* had come before */
    STREAM_IN_NONSENSE,  /* outside the window, or at odds with the end */
    STREAM_IN_NO_ROOM,   /* no memory, or more gaps than are kept: as if it had been lost */
};

/* A segment; is_end: its last byte is the stream's last. */
enum stream_in_outcome stream_in_put(struct stream_in *in, uint64_t offset, const uint8_t *bytes,
                                     size_t n, bool is_end);

/* The next bytes in order, as many as lie in one piece; NULL: none at present. */
const uint8_t *stream_in_peek(const struct stream_in *in, size_t *n);
void stream_in_consume(struct stream_in *in, size_t n);
bool stream_in_has_end(const struct stream_in *in); /* everything has come */

/* How far the peer may be told that it may send. */
uint64_t stream_in_window(const struct stream_in *in);

/*
 * At most max ranges that have come behind `next`, growing: first of all those that have grown most
 * recently, then the lowest. Returns how many.
 */
uint32_t stream_in_report(const struct stream_in *in, struct frame_range *out, uint32_t max);

/* Gives back memory that nothing lies in. */
void stream_in_trim(struct stream_in *in);

#endif
