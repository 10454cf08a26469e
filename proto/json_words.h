/* SPDX-License-Identifier: MIT */
/*
 * What the bytes of a text are, 64 bytes in a word, the first byte in the lowest bit. A vector of
 * words, `words`, describes LANES times 64 bytes; each of the files that include this one says
 * before how long it is.
 */
#ifndef MSGD_PROTO_JSON_WORDS_H
#define MSGD_PROTO_JSON_WORDS_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_BYTES   64 /* of a word */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Which bytes are what, wherever they stand: inside strings too. */
struct classes {
    words quote;
    words backslash;
    words control; /* below 0x20 */
    words high;    /* above 0x7f */
    words space;   /* ' ' '\t' '\n' '\r' */
    words open;    /* '{' '[' */
    words close;   /* '}' ']' */
    words curly;   /* tells '{' from '[' and '}' from ']'; other bytes have it or not */
    words colon;
    words comma;
    words digit;
    words zero;
    words minus;
    words plus;
    words dot;
    words e;    /* 'e' 'E' */
    words word; /* 't' 'f' 'n' */
};

/* The same bytes, bit by bit: b[k] has bit k of each. */
struct planes {
    words b[8];
};

/* The bits of the first n bytes of a block. */
ALWAYS_INLINE uint64_t first_bits(size_t n)
{
    return n < BLOCK_BYTES ? (UINT64_C(1) << n) - 1 : ~UINT64_C(0);
}

/* Classes by the two hexadecimal digits of a byte: h the high one, l the low one. */
ALWAYS_INLINE void planes_classify(const struct planes *planes, struct classes *c)
{
    const words *b = planes->b;
    words h01 = ~(b[7] | b[6]), h57 = b[6] & b[4] & ~b[7], h46 = b[6] & ~(b[4] | b[7]);
    words h0 = h01 & ~(b[5] | b[4]), h2 = h01 & b[5] & ~b[4], h3 = h01 & b[5] & b[4];
    words l03 = ~(b[3] | b[2]), l47 = b[2] & ~b[3], l8b = b[3] & ~b[2], lcf = b[3] & b[2];
    words end0 = ~(b[1] | b[0]), end1 = b[0] & ~b[1], end2 = b[1] & ~b[0], end3 = b[1] & b[0];

    c->quote = h2 & l03 & end2;
    c->backslash = h57 & lcf & end0 & ~b[5];
    c->control = h01 & ~b[5];
    c->high = b[7];
    c->space = (h2 & l03 & end0) | (h0 & ((l8b & (end1 | end2)) | (lcf & end1)));
    c->open = h57 & l8b & end3;
    c->close = h57 & lcf & end1;
    c->curly = b[5];
    c->colon = h3 & l8b & end2;
    c->comma = h2 & lcf & end0;
    c->digit = h3 & ~(b[3] & (b[2] | b[1]));
    c->zero = h3 & l03 & end0;
    c->minus = h2 & lcf & end1;
    c->plus = h2 & l8b & end3;
    c->dot = h2 & lcf & end2;
    c->e = h46 & l47 & end1;
    c->word = b[5] & ((h57 & l47 & end0) | (h46 & b[2] & end2));
}

#endif
