/* SPDX-License-Identifier: MIT */
/* What strings may hold beside plain ASCII: escapes and UTF-8. Included by json_walk.h alone. */
#ifndef MSGD_PROTO_JSON_STRINGS_H
#define MSGD_PROTO_JSON_STRINGS_H

/* What the words before hand over; most texts need none of it. */
struct strings {
    bool is_pending; /* the next words must be looked at, whatever they hold */
    uint64_t even_run;
    uint64_t odd_run;
    words backslash;
    words hex[4];
    words more[3];
    words e0, ed, f0, f4;
};

ALWAYS_INLINE void strings_begin(struct strings *s)
{
    const words none = {0};

    s->is_pending = false;
    s->even_run = s->odd_run = 0;
    s->backslash = none;
    s->hex[0] = s->hex[1] = s->hex[2] = s->hex[3] = none;
    s->more[0] = s->more[1] = s->more[2] = none;
    s->e0 = s->ed = s->f0 = s->f4 = none;
}

/*
 * The bytes that a backslash escapes, backslashes aside. A run of backslashes ends in one that
 * escapes what follows if their number is odd: if it begins at an even place and ends before an odd
 * one, or the other way round.
 */
ALWAYS_INLINE words strings_escaped(struct strings *s, words backslash)
{
    const uint64_t even = UINT64_C(0x5555555555555555);
    words begin = backslash & ~words_shift(backslash, &s->backslash);
    words even_end = words_add(begin & even, backslash, &s->even_run) & ~backslash;
    words odd_end = words_add(begin & ~even, backslash, &s->odd_run) & ~backslash;

    return (even_end & ~even) | (odd_end & even);
}

/* Bytes that are wrong after the backslash that escapes them, or as one of four digits after \u. */
ALWAYS_INLINE words strings_wrong_escapes(struct strings *s, const struct planes *planes,
                                          words escaped)
{
    const words *b = planes->b;
    words h2 = ~b[7] & ~b[6] & b[5] & ~b[4], h3 = ~b[7] & ~b[6] & b[5] & b[4];
    words h6 = ~b[7] & b[6] & b[5] & ~b[4], h7 = ~b[7] & b[6] & b[5] & b[4];
    words l2 = ~b[3] & ~b[2] & b[1] & ~b[0], l4 = ~b[3] & b[2] & ~b[1] & ~b[0];
    words l5 = ~b[3] & b[2] & ~b[1] & b[0], lf = b[3] & b[2] & b[1] & b[0];
    words l6e = b[2] & b[1] & ~b[0];
    /* " / b f n r t u */
    words right = (h2 & (l2 | lf)) | (h6 & (l2 | l6e)) | (h7 & (l2 | l4 | l5));
    words letter = ~b[7] & b[6] & ~b[4] & ~b[3] & (b[2] | b[1] | b[0]) & ~(b[2] & b[1] & b[0]);
    words digit = h3 & ~(b[3] & (b[2] | b[1]));
    words u = h7 & l5 & escaped;
    words hex = u = words_shift(u, &s->hex[0]);

    hex |= u = words_shift(u, &s->hex[1]);
    hex |= u = words_shift(u, &s->hex[2]);
    hex |= words_shift(u, &s->hex[3]);
    return (escaped & ~right) | (hex & ~(letter | digit));
}

/* Bytes that are wrong as UTF-8 (RFC 3629), or that come where a continuation is missing. */
ALWAYS_INLINE words strings_wrong_utf8(struct strings *s, const struct planes *planes)
{
    const words *b = planes->b;
    words lead = b[7] & b[6], lead3 = lead & b[5], lead4 = lead3 & b[4];
    words more = words_shift(lead4, &s->more[0]);
    words l0 = ~(b[3] | b[2] | b[1] | b[0]);
    words e0 = lead3 & ~b[4] & l0, ed = lead3 & ~b[4] & b[3] & b[2] & ~b[1] & b[0];
    words f0 = lead4 & l0, f4 = lead4 & ~b[3] & b[2] & ~b[1] & ~b[0];

    more = words_shift(lead3 | more, &s->more[1]);
    more = words_shift(lead | more, &s->more[2]);

    words wrong = more ^ (b[7] & ~b[6]);

    wrong |= words_shift(e0, &s->e0) & ~b[5];            /* overlong, three bytes */
    wrong |= words_shift(ed, &s->ed) & b[5];             /* surrogates */
    wrong |= words_shift(f0, &s->f0) & ~(b[5] | b[4]);   /* overlong, four bytes */
    wrong |= words_shift(f4, &s->f4) & (b[5] | b[4]);    /* above U+10FFFF */
    wrong |= lead & ~(b[5] | b[4] | b[3] | b[2] | b[1]); /* c0, c1 */
    wrong |= lead4 & (b[3] | (b[2] & (b[1] | b[0])));    /* f5 to ff */
    return wrong;
}

/* Takes escaped quotes out of *quote. The bytes that are wrong. */
ALWAYS_INLINE words strings_check(struct strings *s, const struct planes *planes, words backslash,
                                  words *quote)
{
    words escaped = strings_escaped(s, backslash);
    words wrong = strings_wrong_escapes(s, planes, escaped);

    *quote &= ~escaped;
    wrong |= strings_wrong_utf8(s, planes);
    /* \u reaches four bytes further, a lead byte three, a backslash one */
    s->is_pending = words_last(backslash | planes->b[7] | escaped) >> (BLOCK_BYTES - 4) != 0;
    return wrong;
}

#endif
