/* SPDX-License-Identifier: MIT */
/* Batches: many texts in one datagram, walked and written. */
#include "proto/crc32c.h"
#include "proto/frame.h"

#include <string.h>

/* A batch that wants no answer: its header is the same always, but for the checksum. */
#define HEADER_TEXT "\x1e{\"type\":\"batch\",\"crc\":\"00000000\"}\n"
static const struct {
    char text[FRAME_BATCH_HEADER_BYTES]; /* not ended by NUL */
} HEADER = {HEADER_TEXT};
#define CRC_DIGITS 8
#define CRC_AT     (FRAME_BATCH_HEADER_BYTES - 3 - CRC_DIGITS) /* digits, quotation mark, }, LF */

_Static_assert(sizeof HEADER_TEXT - 1 == FRAME_BATCH_HEADER_BYTES, "its length is told to callers");

bool frame_batch_next(const struct frame_slice *body, size_t *at, struct frame_slice *text)
{
    if (*at >= body->n)
        return false;

    const uint8_t *p = body->bytes + *at;
    const uint8_t *end = body->bytes + body->n;
    const uint8_t *next = end;

    if (*p == FRAME_START) {
        p++;
        next = memchr(p, FRAME_START, (size_t)(end - p));
        if (next == NULL)
            next = end;
    }
    *text = (struct frame_slice){p, (size_t)(next - p)};
    *at = (size_t)(next - body->bytes);
    return true;
}

void frame_batch_begin(uint8_t *buf)
{
    memcpy(buf, &HEADER, sizeof HEADER);
}

void frame_batch_add(uint8_t *at, const void *text, size_t n)
{
    at[0] = FRAME_START;
    memcpy(at + 1, text, n);
    at[n + 1] = '\n';
}

void frame_batch_end(uint8_t *buf, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t crc = crc32c(0, buf, n);

    for (unsigned i = CRC_DIGITS; i > 0; i--, crc >>= 4)
        buf[CRC_AT + i - 1] = (uint8_t)digits[crc & 15];
}
