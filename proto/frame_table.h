/* SPDX-License-Identifier: MIT */
/*
 * What there is in a frame's header: each type with what it needs, each member with what it holds.
 * frame_read.c and frame_write.c are led by these two tables.
 */
#ifndef MSGD_PROTO_FRAME_TABLE_H
#define MSGD_PROTO_FRAME_TABLE_H

#include "proto/frame.h"

/* May a datagram of this type have a body? */
enum frame_body { BODY_MESSAGE, BODY_IGNORED, BODY_NONE };

struct frame_type_row {
    const char *name;
    size_t n_name;
    uint32_t required; /* enum frame_member */
    enum frame_body body;
};

/* By enum frame_type. FRAME_OTHER has no row. */
extern const struct frame_type_row FRAME_TYPES[FRAME_OTHER];

enum frame_value {
    VALUE_TYPE,
    VALUE_ID,
    VALUE_ACK,     /* a wish, or an offset */
    VALUE_INTEGER, /* uint64_t, min to max */
    VALUE_PORT,    /* uint16_t, min to max */
    VALUE_FLAG,    /* bool */
    VALUE_HEX,     /* max bytes */
    VALUE_TOKEN,   /* uint64_t as 16 hex digits */
    VALUE_TEXT,    /* struct frame_slice, min to max bytes */
    VALUE_JSON,    /* struct frame_slice, min to max bytes */
    VALUE_SACK,
    VALUE_PAD,
    VALUE_CRC,
};

#define FRAME_NAME_MAX 8 /* so that a name is compared as one word */

struct frame_member_row {
    char name[FRAME_NAME_MAX]; /* without a NUL */
    uint8_t n_name;
    enum frame_value value;
    uint32_t bit;    /* enum frame_member, or 0 */
    uint16_t offset; /* in struct frame */
    uint64_t min;
    uint64_t max;
};

/* In the order in which they are written. */
#define FRAME_N_MEMBERS 21
extern const struct frame_member_row FRAME_MEMBERS[FRAME_N_MEMBERS];

#endif
