/* SPDX-License-Identifier: MIT */
/* Reads the values in a frame's header. */
#include "proto/frame_reader.h"
#include "proto/json_text.h"

#define HIGHEST FRAME_EACH(0x80)

/* No byte of a plain string: '"', '\\', below 0x20, above 0x7e. */
static bool is_stop(uint8_t c)
{
    return c == '"' || c == '\\' || c < 0x20 || c > 0x7e;
}

/* The same for eight; exact up to the first one. */
static uint64_t stop_bytes(uint64_t word)
{
    uint64_t low = (word - FRAME_EACH(0x20)) & ~word & HIGHEST;
    uint64_t high = ((word & ~HIGHEST) + FRAME_EACH(1)) & HIGHEST;

    return low | high | (word & HIGHEST) | frame_equal_bytes(word, '"') |
           frame_equal_bytes(word, '\\');
}

/* p: behind the opening quote of a plain string. Where its closing one is. */
static const uint8_t *plain_end(const struct frame_reader *r, const uint8_t *p)
{
    for (; r->end - p >= 8; p += 8) {
        uint64_t stops = stop_bytes(frame_load_word(p));

        if (stops != 0) {
            p += (unsigned)__builtin_ctzll(stops) / 8;
            return *p == '"' ? p : NULL;
        }
    }
    while (!is_stop(*p))
        p++;
    return *p == '"' ? p : NULL;
}

/*
 * Eight lower-case hexadecimal digits as the four bytes that they are, in their order. All at once:
 * what each would be as a digit is turned back into text, and was one if it is the same.
 */
static bool hex_bytes(const uint8_t *p, void *out)
{
    uint64_t text = frame_load_word(p);
    uint64_t value = (text & FRAME_EACH(0x0f)) + (text >> 6 & FRAME_EACH(1)) * 9;
    uint64_t letter = (value + FRAME_EACH(6)) >> 4 & FRAME_EACH(1);
    uint64_t pairs = (value << 4 | value >> 8) & UINT64_C(0x00ff00ff00ff00ff);

    pairs = (pairs | pairs >> 8) & UINT64_C(0x0000ffff0000ffff);

    uint32_t bytes = htole32((uint32_t)(pairs | pairs >> 16));

    memcpy(out, &bytes, sizeof bytes);
    return value + FRAME_EACH('0') + letter * ('a' - '0' - 10) == text &&
           (value & FRAME_EACH(0xf0)) == 0;
}

static bool hex_number_8(const uint8_t *p, uint32_t *out)
{
    bool is_hex = hex_bytes(p, out);

    *out = be32toh(*out);
    return is_hex;
}

static bool hex_number_16(const uint8_t *p, uint64_t *out)
{
    uint32_t high;
    uint32_t low;
    bool is_high = hex_number_8(p, &high);
    bool is_low = hex_number_8(p + 8, &low);

    *out = (uint64_t)high << 32 | low;
    return is_high && is_low;
}

/* A number of at most 19 digits is less than 2^64. */
static const uint8_t *read_integer(const uint8_t *p, uint64_t min, uint64_t max, uint64_t *out)
{
    const uint8_t *begin = p;
    uint64_t value = 0;

    for (uint8_t digit; (digit = (uint8_t)(*p - '0')) <= 9; p++)
        value = value * 10 + digit;
    if (p == begin || p - begin > 19 || (*begin == '0' && p - begin > 1) || value < min ||
        value > max)
        return NULL;
    *out = value;
    return p;
}

/* ---- Any JSON, of which nothing is known ---- */

/* p: behind the opening quote. Behind the closing one; what is between is not looked at. */
static const uint8_t *string_skip(const struct frame_reader *r, const uint8_t *p)
{
    for (; p < r->end && *p != '"'; p++) {
        if (*p == '\\')
            p++;
    }
    return p < r->end ? p + 1 : NULL;
}

static const uint8_t *container_skip(const struct frame_reader *r, const uint8_t *p)
{
    size_t depth = 0;

    while (p != NULL && p < r->end) {
        uint8_t c = *p++;

        if (c == '"')
            p = string_skip(r, p);
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return p;
        if (depth >= JSON_TEXT_MAX_DEPTH)
            return NULL;
    }
    return NULL;
}

static bool ends_scalar(uint8_t c)
{
    return c == ',' || c == '}' || c == ' ' || c == '\t' || c == '\r';
}

/* First where it would end if it were a value, then whether it is one. */
const uint8_t *frame_read_json(const struct frame_reader *r, const uint8_t *p,
                               struct frame_slice *out)
{
    const uint8_t *begin = p;

    if (*p == '{' || *p == '[') {
        p = container_skip(r, p);
    } else if (*p == '"') {
        p = string_skip(r, p + 1);
    } else {
        while (p < r->end && !ends_scalar(*p))
            p++;
    }
    if (p == NULL || !json_text_is_valid(begin, (size_t)(p - begin)))
        return NULL;
    *out = (struct frame_slice){begin, (size_t)(p - begin)};
    return p;
}

/* ---- The values of members ---- */

static const uint8_t *read_text(const struct frame_reader *r, const uint8_t *p, uint64_t min,
                                uint64_t max, struct frame_slice *out)
{
    if (*p != '"')
        return NULL;
    p++;

    const uint8_t *end = plain_end(r, p);

    if (end == NULL || (size_t)(end - p) < min || (size_t)(end - p) > max)
        return NULL;
    *out = (struct frame_slice){p, (size_t)(end - p)};
    return end + 1;
}

static bool slice_is(const struct frame_slice *s, const char *text, size_t n)
{
    return s->n == n && memcmp(s->bytes, text, n) == 0;
}

static enum frame_type type_of(const struct frame_slice *name)
{
    enum frame_type type = FRAME_SEND;

    while (type < FRAME_OTHER && !slice_is(name, FRAME_TYPES[type].name, FRAME_TYPES[type].n_name))
        type++;
    return type;
}

static const uint8_t *read_type(const struct frame_reader *r, const uint8_t *p)
{
    struct frame_slice name;

    p = read_text(r, p, 1, FRAME_HEADER_MAX, &name);
    if (p != NULL)
        r->f->type = type_of(&name);
    return p;
}

/* HEX{16} "." NUMBER; anything else is a text. */
static void number_id(struct frame_id *id)
{
    const uint8_t *p = id->text.bytes;
    const uint8_t *end = p + id->text.n;

    id->is_numbered = id->text.n >= 18 && p[16] == '.' && hex_number_16(p, &id->source) &&
                      read_integer(p + 17, 1, INT64_MAX, &id->number) == end;
    if (!id->is_numbered)
        id->source = id->number = 0;
}

static const uint8_t *read_id(const struct frame_reader *r, const struct frame_member_row *m,
                              const uint8_t *p)
{
    struct frame_id *id = &r->f->id;

    p = read_text(r, p, m->min, m->max, &id->text);
    if (p == NULL || memchr(id->text.bytes, ' ', id->text.n) != NULL)
        return NULL;
    number_id(id);
    return p;
}

/* A string says what is wished for, a number how far the other side's stream has come. */
static const uint8_t *read_ack(const struct frame_reader *r, const struct frame_member_row *m,
                               const uint8_t *p)
{
    struct frame_slice wish;

    if (*p != '"') {
        r->f->members |= FRAME_HAS_ACK;
        return read_integer(p, m->min, m->max, &r->f->ack);
    }
    p = read_text(r, p, 1, FRAME_HEADER_MAX, &wish);
    if (p == NULL)
        return NULL;
    r->f->members |= FRAME_HAS_WISH;
    if (slice_is(&wish, "stored", 6))
        r->f->wish = FRAME_STORED;
    else if (slice_is(&wish, "released", 8))
        r->f->wish = FRAME_RELEASED;
    else if (slice_is(&wish, "received", 8))
        r->f->wish = FRAME_RECEIVED;
    else
        return NULL;
    return p;
}

static const uint8_t *read_flag(const struct frame_reader *r, const uint8_t *p, bool *out)
{
    size_t left = (size_t)(r->end - p);

    if (left >= 4 && memcmp(p, "true", 4) == 0) {
        *out = true;
        return p + 4;
    }
    return left >= 5 && memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
}

/* A string of n hexadecimal digits. Its first one to *digits. */
static const uint8_t *read_digits(const struct frame_reader *r, const uint8_t *p, size_t n,
                                  const uint8_t **digits)
{
    if ((size_t)(r->end - p) < n + 2 || p[0] != '"' || p[n + 1] != '"')
        return NULL;
    *digits = p + 1;
    return p + n + 2;
}

/* Bytes in whole fours. */
static const uint8_t *read_hex(const struct frame_reader *r, const uint8_t *p, size_t n_bytes,
                               uint8_t *out)
{
    const uint8_t *digits;
    bool is_hex = true;

    p = read_digits(r, p, 2 * n_bytes, &digits);
    if (p == NULL)
        return NULL;
    for (size_t i = 0; i < n_bytes; i += 4)
        is_hex &= hex_bytes(digits + 2 * i, out + i);
    return is_hex ? p : NULL;
}

static const uint8_t *read_token(const struct frame_reader *r, const uint8_t *p, uint64_t *out)
{
    const uint8_t *digits;

    p = read_digits(r, p, 16, &digits);
    return p != NULL && hex_number_16(digits, out) ? p : NULL;
}

static const uint8_t *read_crc(struct frame_reader *r, const uint8_t *p)
{
    p = read_digits(r, p, FRAME_CRC_DIGITS, &r->digits);
    return p != NULL && hex_number_8(r->digits, &r->crc) ? p : NULL;
}

/* Growing offsets: whole ranges, none of which is empty or touches another one. */
static const uint8_t *read_sack(const struct frame_reader *r, const struct frame_member_row *m,
                                const uint8_t *p)
{
    struct frame *f = r->f;
    uint64_t least = m->min;

    if (*p != '[')
        return NULL;
    p = frame_space_end(p + 1);
    if (*p == ']')
        return p + 1;
    for (size_t i = 0; i < 2 * FRAME_SACK_MAX; i++) {
        struct frame_range *range = &f->sack[i / 2];
        uint64_t *offset = i % 2 == 0 ? &range->begin : &range->end;

        p = read_integer(p, least, m->max, offset);
        if (p == NULL)
            return NULL;
        least = *offset + 1;
        p = frame_space_end(p);
        if (*p == ']' && i % 2 == 1) {
            f->n_sack = (uint32_t)(i / 2 + 1);
            return p + 1;
        }
        if (*p != ',')
            return NULL;
        p = frame_space_end(p + 1);
    }
    return NULL;
}

static const uint8_t *read_port(const uint8_t *p, const struct frame_member_row *m, uint16_t *out)
{
    uint64_t port = 0;

    p = read_integer(p, m->min, m->max, &port);
    *out = (uint16_t)port;
    return p;
}

const uint8_t *frame_read_value(struct frame_reader *r, const struct frame_member_row *m,
                                const uint8_t *p)
{
    void *field = (uint8_t *)r->f + m->offset;
    struct frame_slice ignored;

    switch (m->value) {
    case VALUE_TYPE:
        return read_type(r, p);
    case VALUE_ID:
        return read_id(r, m, p);
    case VALUE_ACK:
        return read_ack(r, m, p);
    case VALUE_INTEGER:
        return read_integer(p, m->min, m->max, field);
    case VALUE_PORT:
        return read_port(p, m, field);
    case VALUE_FLAG:
        return read_flag(r, p, field);
    case VALUE_HEX:
        return read_hex(r, p, m->max, field);
    case VALUE_TOKEN:
        return read_token(r, p, field);
    case VALUE_TEXT:
        return read_text(r, p, m->min, m->max, field);
    case VALUE_JSON:
        p = frame_read_json(r, p, field);
        return ((struct frame_slice *)field)->n <= m->max ? p : NULL;
    case VALUE_SACK:
        return read_sack(r, m, p);
    case VALUE_PAD:
        return read_text(r, p, m->min, m->max, &ignored);
    case VALUE_CRC:
        return read_crc(r, p);
    }
    return NULL;
}
