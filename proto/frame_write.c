/* SPDX-License-Identifier: MIT */
/* Writes a framed datagram: what frame_read.c reads. */
#include "proto/crc32c.h"
#include "proto/frame_table.h"

#include <string.h>

#define CRC_DIGITS 8
#define CRC_MEMBER ",\"crc\":\"00000000\"" /* the digits come when all else is written */
#define PAD_MEMBER ",\"pad\":\"\""

#define LENGTH(literal) (sizeof(literal) - 1)

/* What no longer fits is counted, not written. */
struct writer {
    uint8_t *buf;
    size_t n;
    size_t capacity;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
    if (n > 0 && w->n <= w->capacity && n <= w->capacity - w->n)
        memcpy(w->buf + w->n, bytes, n);
    w->n += n;
}

static void put_character(struct writer *w, char c)
{
    put(w, &c, 1);
}

static void put_fill(struct writer *w, char c, size_t n)
{
    if (w->n <= w->capacity && n <= w->capacity - w->n)
        memset(w->buf + w->n, c, n);
    w->n += n;
}

static void put_integer(struct writer *w, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(w, digits + at, sizeof digits - at);
}

static void put_string(struct writer *w, const void *bytes, size_t n)
{
    put_character(w, '"');
    put(w, bytes, n);
    put_character(w, '"');
}

static const char HEX[] = "0123456789abcdef";

/* The lowest n_digits of value, in lower case. */
static void print_hex(char *out, uint64_t value, unsigned n_digits)
{
    for (unsigned i = n_digits; i > 0; i--, value >>= 4)
        out[i - 1] = HEX[value & 15];
}

/* At most 16 bytes. */
static void put_hex(struct writer *w, const uint8_t *bytes, size_t n)
{
    char digits[32];

    for (size_t i = 0; i < n; i++) {
        digits[2 * i] = HEX[bytes[i] >> 4];
        digits[2 * i + 1] = HEX[bytes[i] & 15];
    }
    put_string(w, digits, 2 * n);
}

static void put_sack(struct writer *w, const struct frame *f)
{
    for (uint32_t i = 0; i < f->n_sack; i++) {
        put_character(w, i == 0 ? '[' : ',');
        put_integer(w, f->sack[i].begin);
        put_character(w, ',');
        put_integer(w, f->sack[i].end);
    }
    put_character(w, ']');
}

static void put_ack(struct writer *w, const struct frame *f)
{
    if (f->members & FRAME_HAS_ACK)
        put_integer(w, f->ack);
    else if (f->wish == FRAME_STORED)
        put_string(w, "stored", 6);
    else if (f->wish == FRAME_RELEASED)
        put_string(w, "released", 8);
    else
        put_string(w, "received", 8);
}

static void put_value(struct writer *w, const struct frame *f, const struct frame_member_row *m)
{
    const void *field = (const uint8_t *)f + m->offset;
    const struct frame_slice *s = field;
    char token[16];

    switch (m->value) {
    case VALUE_TYPE:
        put_string(w, FRAME_TYPES[f->type].name, FRAME_TYPES[f->type].n_name);
        break;
    case VALUE_ID:
        put_string(w, f->id.text.bytes, f->id.text.n);
        break;
    case VALUE_ACK:
        put_ack(w, f);
        break;
    case VALUE_INTEGER:
        put_integer(w, *(const uint64_t *)field);
        break;
    case VALUE_PORT:
        put_integer(w, *(const uint16_t *)field);
        break;
    case VALUE_FLAG:
        put(w, "true", 4);
        break;
    case VALUE_HEX:
        put_hex(w, field, m->max);
        break;
    case VALUE_TOKEN:
        print_hex(token, *(const uint64_t *)field, sizeof token);
        put_string(w, token, sizeof token);
        break;
    case VALUE_TEXT:
        put_string(w, s->bytes, s->n);
        break;
    case VALUE_JSON:
        put(w, s->bytes, s->n);
        break;
    case VALUE_SACK:
        put_sack(w, f);
        break;
    case VALUE_PAD: /* the last two are written by frame_write itself */
    case VALUE_CRC:
        break;
    }
}

static bool is_given(const struct frame *f, const struct frame_member_row *m)
{
    switch (m->value) {
    case VALUE_TYPE:
        return true;
    case VALUE_ACK:
        return (f->members & (FRAME_HAS_ACK | FRAME_HAS_WISH)) != 0;
    case VALUE_SACK:
        return f->n_sack > 0;
    case VALUE_FLAG:
        return *((const bool *)((const uint8_t *)f + m->offset));
    case VALUE_PAD:
    case VALUE_CRC:
        return false;
    default:
        return (f->members & m->bit) != 0;
    }
}

/* ,"name": */
static void put_name(struct writer *w, char opener, const struct frame_member_row *m)
{
    char text[FRAME_NAME_MAX + 4] = {opener, '"'};
    size_t n = m->n_name;

    memcpy(text + 2, m->name, FRAME_NAME_MAX);
    text[2 + n] = '"';
    text[3 + n] = ':';
    put(w, text, n + 4);
}

static void put_members(struct writer *w, const struct frame *f)
{
    char opener = '{';

    for (size_t i = 0; i < FRAME_N_MEMBERS; i++) {
        const struct frame_member_row *m = &FRAME_MEMBERS[i];

        if (!is_given(f, m))
            continue;
        put_name(w, opener, m);
        put_value(w, f, m);
        opener = ',';
    }
}

/* A body that nobody reads may be as long as it must be; the length of the others is made up by a
 * member, or, where there is no room for its name, by white space. */
static void put_padding(struct writer *w, size_t n_bytes)
{
    if (n_bytes < LENGTH(PAD_MEMBER)) {
        put_fill(w, ' ', n_bytes);
        return;
    }
    put(w, PAD_MEMBER, LENGTH(PAD_MEMBER) - 1);
    put_fill(w, '.', n_bytes - LENGTH(PAD_MEMBER));
    put_character(w, '"');
}

size_t frame_write(const struct frame *f, uint8_t *buf, size_t capacity)
{
    struct writer w = {.buf = buf, .capacity = capacity};

    if (f->type >= FRAME_OTHER || f->n_sack > FRAME_SACK_MAX)
        return 0;

    bool is_body_ignored = FRAME_TYPES[f->type].body == BODY_IGNORED;

    put_character(&w, FRAME_START);
    put_members(&w, f);

    size_t length = w.n + LENGTH(CRC_MEMBER "}\n") + f->body.n;
    size_t missing = f->pad_bytes > length ? f->pad_bytes - length : 0;

    if (missing > 0 && !is_body_ignored)
        put_padding(&w, missing);
    put(&w, CRC_MEMBER "}\n", LENGTH(CRC_MEMBER "}\n"));

    size_t end = w.n - 1; /* where the header's LF is */

    put(&w, f->body.bytes, f->body.n);
    if (is_body_ignored)
        put_fill(&w, ' ', missing);
    if (w.n > capacity || end - 1 > FRAME_HEADER_MAX)
        return 0;
    print_hex((char *)buf + end - LENGTH("\"}") - CRC_DIGITS, crc32c(0, buf, w.n), CRC_DIGITS);
    return w.n;
}
