/* SPDX-License-Identifier: MIT */
/* Reads a framed datagram, in one pass over its header. */
#include "proto/crc32c.h"
#include "proto/frame_reader.h"

#define ROW_TYPE 0 /* of FRAME_MEMBERS */

/* ---- Members ---- */

/* p: behind the quote. What could be a name that is known, as one word; 0: too long for one. */
static uint64_t load_name(const struct frame_reader *r, const uint8_t *p, size_t *n)
{
    size_t left = (size_t)(r->end - p);
    uint8_t copy[8] = {0};

    if (left < sizeof copy)
        p = memcpy(copy, p, left);

    uint64_t word = frame_load_word(p);
    uint64_t quotes = frame_equal_bytes(word, '"');

    if (quotes != 0) {
        unsigned bits = (unsigned)__builtin_ctzll(quotes) & ~7u;

        *n = bits / 8;
        return word & ~(~UINT64_C(0) << bits);
    }
    *n = FRAME_NAME_MAX;
    return left > FRAME_NAME_MAX && p[FRAME_NAME_MAX] == '"' ? word : 0;
}

/* A name may hold a NUL byte, which no known one does. */
static bool is_named(const struct frame_member_row *m, uint64_t name, size_t n)
{
    return frame_load_word(m->name) == name && m->n_name == n;
}

/* The row of a name; FRAME_N_MEMBERS: not known. */
static size_t find_member(const struct frame_reader *r, uint64_t name, size_t n)
{
    for (size_t i = r->next; i < FRAME_N_MEMBERS; i++) {
        if (is_named(&FRAME_MEMBERS[i], name, n))
            return i;
    }
    for (size_t i = 0; i < r->next; i++) {
        if (is_named(&FRAME_MEMBERS[i], name, n))
            return i;
    }
    return FRAME_N_MEMBERS;
}

static const uint8_t *colon_end(const uint8_t *p)
{
    p = frame_space_end(p);
    return *p == ':' ? frame_space_end(p + 1) : NULL;
}

/*
 * p: at the quote. A name that is written with escapes may be one that is known, for others who
 * read the header: no such names.
 */
static const uint8_t *read_unknown(const struct frame_reader *r, const uint8_t *p)
{
    struct frame_slice s;

    p = frame_read_json(r, p, &s);
    if (p == NULL || memchr(s.bytes, '\\', s.n) != NULL)
        return NULL;
    p = colon_end(p);
    return p != NULL ? frame_read_json(r, p, &s) : NULL;
}

/* p: at the quote of its name. */
static const uint8_t *read_member(struct frame_reader *r, const uint8_t *p)
{
    size_t n_name;
    uint64_t name = load_name(r, p + 1, &n_name);
    size_t row = find_member(r, name, n_name);

    if (row == FRAME_N_MEMBERS)
        return read_unknown(r, p);
    if (r->seen & 1u << row)
        return NULL;
    r->seen |= 1u << row;
    r->next = row + 1;
    r->f->members |= FRAME_MEMBERS[row].bit;
    p = colon_end(p + n_name + 2);
    return p != NULL ? frame_read_value(r, &FRAME_MEMBERS[row], p) : NULL;
}

/* The header, which has at least one member. */
static bool read_header(struct frame_reader *r, const uint8_t *p)
{
    p = frame_space_end(p);
    if (*p != '{')
        return false;
    do {
        p = frame_space_end(p + 1);
        if (*p != '"')
            return false;
        p = read_member(r, p);
        if (p == NULL)
            return false;
        p = frame_space_end(p);
    } while (*p == ',');
    return *p == '}' && frame_space_end(p + 1) == r->end;
}

/* ---- The frame as a whole ---- */

/* What a member's meaning depends on the type for. */
static bool ack_fits(const struct frame *f)
{
    switch (f->type) {
    case FRAME_SEND:
    case FRAME_BATCH:
        return (f->members & FRAME_HAS_ACK) == 0 &&
               ((f->members & FRAME_HAS_WISH) == 0 ||
                ((f->members & FRAME_HAS_ID) != 0 && f->wish != FRAME_RECEIVED));
    case FRAME_ACK:
        return (f->members & FRAME_HAS_ACK) == 0;
    default:
        return true; /* where an offset is required, it is no wish */
    }
}

static bool data_fits(const struct frame *f)
{
    if ((f->body.n > 0 || f->is_fin) && (f->members & FRAME_HAS_OFFSET) == 0)
        return false;
    if (f->offset + f->body.n > INT64_MAX)
        return false;
    return f->n_sack == 0 || f->sack[0].begin > f->ack;
}

static bool is_whole(const struct frame *f)
{
    if (f->type == FRAME_OTHER)
        return true;

    const struct frame_type_row *type = &FRAME_TYPES[f->type];

    if ((f->members & type->required) != type->required || !ack_fits(f))
        return false;
    if (type->body == BODY_NONE && f->body.n > 0)
        return false;
    switch (f->type) {
    case FRAME_BATCH:
        return (f->members & FRAME_HAS_ID) == 0 || f->id.is_numbered;
    case FRAME_DATA:
        return data_fits(f);
    case FRAME_PING:
    case FRAME_PONG:
        return (f->members & FRAME_HAS_SESSION) == 0 || (f->members & FRAME_HAS_CRC) != 0;
    default:
        return true;
    }
}

/* The checksum is that of the datagram with '0' in the places of its digits. */
static bool crc_fits(const struct frame_reader *r, const uint8_t *bytes, size_t n)
{
    if (r->digits == NULL)
        return true;

    const uint8_t *rest = r->digits + FRAME_CRC_DIGITS;
    uint32_t crc = crc32c(0, bytes, (size_t)(r->digits - bytes));

    crc = crc32c(crc, "00000000", FRAME_CRC_DIGITS);
    return crc32c(crc, rest, (size_t)(bytes + n - rest)) == r->crc;
}

int frame_parse(const uint8_t *bytes, size_t n, struct frame *out)
{
    if (n < 2 || bytes[0] != FRAME_START)
        return FRAME_MALFORMED;

    size_t most = n - 1 < FRAME_HEADER_MAX + 1 ? n - 1 : FRAME_HEADER_MAX + 1;
    struct frame_reader r = {.end = memchr(bytes + 1, '\n', most), .f = out};

    if (r.end == NULL)
        return FRAME_MALFORMED;
    memset(out, 0, offsetof(struct frame, sack));
    out->count = 1;
    out->body = (struct frame_slice){r.end + 1, (size_t)(bytes + n - r.end - 1)};
    if (!read_header(&r, bytes + 1) || (r.seen & 1u << ROW_TYPE) == 0 || !is_whole(out) ||
        !crc_fits(&r, bytes, n))
        return FRAME_MALFORMED;
    return 0;
}
