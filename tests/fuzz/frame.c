/* SPDX-License-Identifier: MIT */
/*
 * A frame's header is JSON, what was read reads back the same once it is written, what is written
 * stays within its memory, and what was changed on the way is refused. The input is read as it is,
 * and once more with the checksum that it should have, which no mutation would find.
 */
#include "proto/frame.h"
#include "proto/crc32c.h"
#include "proto/json_text.h"
#include "tests/fuzz/fuzz.h"

#define CRC_DIGITS 8
#define CRC_BYTES  17 /* of ,"crc":"xxxxxxxx" */

static bool same_slice(struct frame_slice a, struct frame_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.bytes, b.bytes, a.n) == 0);
}

static void same_id(const struct frame_id *a, const struct frame_id *b)
{
    HOLDS(same_slice(a->text, b->text) && a->is_numbered == b->is_numbered);
    HOLDS(a->source == b->source && a->number == b->number);
    HOLDS(a->is_numbered == (a->number > 0));
}

static void same_session(const struct frame *a, const struct frame *b)
{
    HOLDS(memcmp(a->nonce, b->nonce, sizeof a->nonce) == 0);
    HOLDS(memcmp(a->session, b->session, sizeof a->session) == 0);
    HOLDS(same_slice(a->identity, b->identity) && same_slice(a->cookie, b->cookie));
    HOLDS(a->port == b->port && a->token == b->token);
    HOLDS(a->is_fin == b->is_fin && a->number == b->number && a->offset == b->offset);
    HOLDS(a->ack == b->ack && a->window == b->window);
    HOLDS(a->echo == b->echo && a->delay_us == b->delay_us);
    HOLDS(a->n_sack == b->n_sack && a->n_sack <= FRAME_SACK_MAX);
    for (uint32_t i = 0; i < a->n_sack; i++)
        HOLDS(a->sack[i].begin == b->sack[i].begin && a->sack[i].end == b->sack[i].end);
}

/* Padding is no part of it: a body that is ignored may be another one. */
static void same_frame(const struct frame *a, const struct frame *b)
{
    HOLDS(a->type == b->type && (a->members | FRAME_HAS_CRC) == b->members);
    same_id(&a->id, &b->id);
    HOLDS(a->wish == b->wish && a->count == b->count && a->count > 0);
    HOLDS(same_slice(a->reason, b->reason) && a->is_retry == b->is_retry);
    same_session(a, b);
    HOLDS(same_slice(a->body, b->body));
}

/* `at` chooses what is changed. */
static void refuses_changes(uint8_t *bytes, size_t n, size_t n_body, size_t at)
{
    uint8_t *digit = bytes + n - n_body - 3 - CRC_DIGITS + at % CRC_DIGITS;
    uint8_t kept = *digit;
    struct frame f;

    *digit = kept == '0' ? 'f' : '0';
    HOLDS(frame_parse(bytes, n, &f) == FRAME_MALFORMED);
    *digit = kept;
    if (n_body > 0) {
        bytes[n - 1 - at % n_body] ^= (uint8_t)(1u << at % 8);
        HOLDS(frame_parse(bytes, n, &f) == FRAME_MALFORMED);
    }
}

static void writes_back(const struct frame *f, size_t n_header, size_t at)
{
    uint8_t whole[8192];
    size_t n = frame_write(f, whole, sizeof whole);

    if (n == 0) {
        HOLDS(f->body.n > 4096 || n_header > FRAME_HEADER_MAX - CRC_BYTES);
        return;
    }

    uint8_t *bytes = malloc(n);
    struct frame again;

    HOLDS(bytes != NULL);
    HOLDS(frame_write(f, bytes, n - 1) == 0);
    HOLDS(frame_write(f, bytes, n) == n && memcmp(bytes, whole, n) == 0);
    HOLDS(frame_parse(bytes, n, &again) == 0);
    same_frame(f, &again);
    refuses_changes(bytes, n, f->body.n, at);
    free(bytes);
}

static void pads(struct frame f, size_t n_bytes)
{
    uint8_t bytes[8192];
    struct frame again;

    f.pad_bytes = 0;

    size_t bare = frame_write(&f, bytes, sizeof bytes);

    f.pad_bytes = n_bytes;

    size_t n = frame_write(&f, bytes, sizeof bytes);

    if (n == 0)
        return;
    HOLDS(n == (n_bytes > bare ? n_bytes : bare) && frame_parse(bytes, n, &again) == 0);
    f.body = again.body;
    same_frame(&f, &again);
}

static void walks(const struct frame_slice *body)
{
    struct frame_slice text;
    size_t at = 0;
    size_t n = 0;

    while (frame_batch_next(body, &at, &text)) {
        HOLDS(text.bytes >= body->bytes && text.bytes + text.n <= body->bytes + body->n);
        HOLDS(text.bytes + text.n == body->bytes + at);
        n += text.n;
    }
    HOLDS(at == body->n && n <= body->n);
}

static void read_one(const uint8_t *data, size_t size)
{
    struct frame f;

    if (frame_parse(data, size, &f) != 0)
        return;

    size_t n_header = (size_t)(f.body.bytes - data) - 2;

    HOLDS(n_header <= FRAME_HEADER_MAX && n_header + 2 + f.body.n == size);
    HOLDS(json_text_is_valid(data + 1, n_header));
    walks(&f.body);
    if (f.type == FRAME_OTHER)
        return;
    writes_back(&f, n_header, size);
    pads(f, f.body.n + size * 7 % 3000);
}

static void read_mended(const uint8_t *data, size_t size)
{
    static const char name[] = "\"crc\":\"";
    const uint8_t *found = memmem(data, size, name, sizeof name - 1);
    char digits[CRC_DIGITS + 1];

    if (found == NULL || size - (size_t)(found - data) < sizeof name - 1 + CRC_DIGITS)
        return;

    uint8_t *copy = malloc(size);

    HOLDS(copy != NULL);
    memcpy(copy, data, size);

    uint8_t *place = copy + (found - data) + sizeof name - 1;

    memset(place, '0', CRC_DIGITS);
    snprintf(digits, sizeof digits, "%08x", (unsigned)crc32c(0, copy, size));
    memcpy(place, digits, CRC_DIGITS);
    read_one(copy, size);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    HOLDS(crc32c(0, data, size) == crc32c_portable(0, data, size));
    read_one(data, size);
    read_mended(data, size);
    return 0;
}
