/* SPDX-License-Identifier: MIT */
/*
 * The sending side of a session's stream: what was written and is not acknowledged, cut into
 * segments as it is sent. A segment is sent again under a new number and keeps its place.
 *
 *     acknowledged      sent (end of the segments)        written
 *   ......|===|sss|===|===|.............................|
 *
 * The end of the stream takes one offset of its own, behind the last byte (stream_in.h).
 */
#ifndef MSGD_PROTO_STREAM_OUT_H
#define MSGD_PROTO_STREAM_OUT_H

#include "proto/blocks.h"
#include "proto/congestion.h"
#include "proto/frame.h"

#include <stdbool.h>

struct archive;

#define SEGMENT_NONE UINT64_MAX

enum segment_state {
    SEGMENT_IN_FLIGHT, /* in list in_flight */
    SEGMENT_LOST,      /* in list lost: to be sent again */
    SEGMENT_COME,      /* acknowledged out of order; in no list */
};

struct segment {
    uint64_t offset;
    uint64_t number; /* of the datagram that carried it last */
    uint64_t sent_ns;
    uint64_t previous, next; /* places in its list */
    uint64_t skip;           /* SEGMENT_COME: so many segments on may be one that has not come */
    struct congestion_stamp stamp;
    uint32_t n_bytes;
    uint32_t n_charged; /* of the datagram */
    uint8_t state;
    bool is_end;   /* its last byte is the stream's last */
    bool is_again; /* was sent more than once */
};

/* Places count up from 0; place p lies in slots[p & mask]. Lists are ends of chains of places. */
struct segment_list {
    uint64_t first, last;
};

struct stream_out {
    struct blocks blocks;
    uint64_t max_bytes;
    uint64_t acked; /* everything before this has come; the end counts as one */
    uint64_t sent;  /* end of what was ever sent; the end counts as one */
    uint64_t written;
    bool is_finished; /* nothing more will be written */

    struct segment *slots;
    uint64_t first, end; /* places in use */
    uint64_t mask;
    struct segment_list in_flight; /* by number */
    struct segment_list lost;      /* in the order in which they were found lost */
    uint64_t n_in_flight;          /* bytes of datagrams */
};

void stream_out_init(struct stream_out *out, uint64_t max_bytes);
void stream_out_deinit(struct stream_out *out);
/* As stream_in_archive. last_number: the highest that a datagram had. */
void stream_out_archive(struct archive *a, struct stream_out *out, uint64_t last_number);

size_t stream_out_writable(const struct stream_out *out);
/* Takes as many as there is room and memory for. */
size_t stream_out_write(struct stream_out *out, const void *bytes, size_t n);

/* Bytes never sent; and is there anything never sent: bytes, or the end? */
uint64_t stream_out_unsent(const struct stream_out *out);
bool stream_out_has_unsent(const struct stream_out *out);
/* Has all that was written, and the end, come? */
bool stream_out_is_done(const struct stream_out *out);

/* Are there more segments than so many bytes should need? Then the rest waits, and grows together.
 */
bool stream_out_is_crowded(const struct stream_out *out);
/*
 * A new segment of the next n bytes (up to what is unsent) and, behind the last of them, the end.
 * NULL: no memory. To be followed by stream_out_sent.
 */
struct segment *stream_out_cut(struct stream_out *out, size_t n);
/* The next one that is to be sent again; the one that has been in flight the longest; NULL. */
struct segment *stream_out_lost(const struct stream_out *out);
struct segment *stream_out_oldest(const struct stream_out *out);
/* It was sent (again) in a datagram of n_charged bytes. */
void stream_out_sent(struct stream_out *out, struct segment *s, uint64_t number, uint64_t now_ns,
                     uint32_t n_charged);
/* It is to be sent again. It must be in flight. */
void stream_out_lose(struct stream_out *out, struct segment *s);
/* All that is in flight is to be sent again, in pieces of at most max_bytes. -ENOMEM: as before. */
int stream_out_recut(struct stream_out *out, uint32_t max_bytes)
    __attribute__((warn_unused_result));

/* What an acknowledgement brought. */
struct delivery {
    uint64_t echo;           /* in: the highest number that has come; 0: not told */
    uint64_t latest;         /* in: the highest number that was known to have come before */
    uint64_t latest_sent_ns; /* in: when that one was sent */
    uint64_t n_bytes;        /* of datagrams whose segments have come */
    uint64_t n_segments;
    uint64_t number;  /* the highest number among them that has come; 0: none */
    uint64_t sent_ns; /* when that was sent */
    struct congestion_stamp stamp;
    uint64_t late_ns;    /* the latest was sent up to so much before one that came earlier */
    uint32_t n_spurious; /* had been sent again although the first had come, or would */
    uint32_t n_largest;  /* bytes of the largest datagram among them */
};

/* Does the acknowledgement only speak of what was sent? */
bool stream_out_is_possible(const struct stream_out *out, const struct frame *f);
/* Takes it: f->ack and f->sack. */
void stream_out_acknowledge(struct stream_out *out, const struct frame *f, struct delivery *d);

/* Gives back memory that nothing lies in. */
void stream_out_trim(struct stream_out *out);

#endif
