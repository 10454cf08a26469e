/* SPDX-License-Identifier: MIT */
/*
 * What frame_read.c (the header and its members) and frame_value.c (their values) share.
 *
 * The header ends before a LF, which cannot stand inside it: so the walk needs no comparison with
 * the end where it looks at one byte at a time, since none of those that it goes on for is a LF. A
 * function that reads something takes the place where that begins and returns the place behind it,
 * or NULL: it cannot be.
 */
#ifndef MSGD_PROTO_FRAME_READER_H
#define MSGD_PROTO_FRAME_READER_H

#include "proto/frame_table.h"

#include <endian.h>
#include <string.h>

#define FRAME_CRC_DIGITS 8

struct frame_reader {
    const uint8_t *end; /* where the header's LF is */
    struct frame *f;
    uint32_t seen;         /* a bit for each row of FRAME_MEMBERS */
    size_t next;           /* the row that is looked at first: members mostly come in its order */
    const uint8_t *digits; /* of crc, or NULL */
    uint32_t crc;
};

static inline const uint8_t *frame_space_end(const uint8_t *p)
{
    while (*p <= ' ' && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* Eight bytes as a number whose lowest byte is the first one. */
static inline uint64_t frame_load_word(const void *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

#define FRAME_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The highest bit of each byte that is `byte`; exact up to the first one. */
static inline uint64_t frame_equal_bytes(uint64_t word, uint8_t byte)
{
    word ^= FRAME_EACH(byte);
    return (word - FRAME_EACH(1)) & ~word & FRAME_EACH(0x80);
}

/* The value of a known member, into r->f. */
const uint8_t *frame_read_value(struct frame_reader *r, const struct frame_member_row *m,
                                const uint8_t *p);

/* Any JSON text. */
const uint8_t *frame_read_json(const struct frame_reader *r, const uint8_t *p,
                               struct frame_slice *out);

#endif
