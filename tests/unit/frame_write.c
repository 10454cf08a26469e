/* SPDX-License-Identifier: MIT */
/* Writing framed datagrams: what is written reads back, at the length that was asked. */
#include "proto/frame.h"

#include <criterion/criterion.h>
#include <string.h>

static struct frame_slice slice(const char *text)
{
    return (struct frame_slice){(const uint8_t *)text, strlen(text)};
}

static void expect_text(const struct frame *f, const char *text)
{
    uint8_t buf[4096];
    size_t n = frame_write(f, buf, sizeof buf);

    cr_expect_eq(n, strlen(text), "%zu: %.*s", n, (int)n, (const char *)buf);
    cr_expect(n == strlen(text) && memcmp(buf, text, n) == 0, "%.*s", (int)n, (const char *)buf);
}

Test(frame_write, writes_what_the_page_shows)
{
    expect_text(&(struct frame){.type = FRAME_SEND,
                                .members = FRAME_HAS_ID | FRAME_HAS_WISH,
                                .id.text = slice("9f8e7d6c5b4a3921.17"),
                                .body = slice("{\"temp\": 21.5}")},
                "\x1e{\"type\":\"send\",\"id\":\"9f8e7d6c5b4a3921.17\",\"ack\":\"stored\","
                "\"crc\":\"7c9b5d1f\"}\n{\"temp\": 21.5}");
    expect_text(&(struct frame){.type = FRAME_NACK,
                                .members = FRAME_HAS_ID | FRAME_HAS_REASON,
                                .id.text = slice("x"),
                                .reason = slice("mailbox_full"),
                                .is_retry = true},
                "\x1e{\"type\":\"nack\",\"id\":\"x\",\"reason\":\"mailbox_full\",\"retry\":true,"
                "\"crc\":\"97c627d8\"}\n");
}

/* The longest numbers, and as many ranges as there may be. */
static struct frame longest_data(void)
{
    struct frame f = {
        .type = FRAME_DATA,
        .members = FRAME_HAS_SESSION | FRAME_HAS_NUMBER | FRAME_HAS_OFFSET | FRAME_HAS_ACK |
                   FRAME_HAS_WINDOW | FRAME_HAS_ECHO | FRAME_HAS_DELAY,
        .number = INT64_MAX,
        .offset = INT64_MAX,
        .ack = UINT64_C(1000000000000000000),
        .window = INT64_MAX,
        .echo = INT64_MAX,
        .delay_us = INT64_MAX,
        .is_fin = true,
    };

    for (uint32_t i = 0; i < FRAME_SACK_MAX; i++) {
        f.sack[i].begin = f.ack + 2 * i + 1;
        f.sack[i].end = f.ack + 2 * i + 2;
    }
    return f;
}

Test(frame_write, keeps_the_promised_lengths)
{
    struct frame f = longest_data();
    uint8_t buf[4096];
    size_t n = frame_write(&f, buf, sizeof buf);

    cr_expect(n > 0 && n <= FRAME_DATA_HEADER_MAX, "%zu", n);
    f.n_sack = FRAME_SACK_MAX;
    n = frame_write(&f, buf, sizeof buf);
    cr_assert(n > 0);

    struct frame g;

    cr_assert_eq(frame_parse(buf, n, &g), 0);
    cr_expect_eq(g.n_sack, FRAME_SACK_MAX);
    cr_expect(memcmp(g.sack, f.sack, sizeof f.sack) == 0);
    f.n_sack = FRAME_SACK_MAX + 1;
    cr_expect_eq(frame_write(&f, buf, sizeof buf), 0);
}

Test(frame_write, fits_or_writes_nothing_behind_the_end)
{
    struct frame f = longest_data();
    uint8_t buf[600];

    f.n_sack = 1;
    f.body = slice("0123456789");

    size_t whole = frame_write(&f, buf, sizeof buf);

    cr_assert(whole > 0);
    for (size_t capacity = 0; capacity <= whole; capacity++) {
        memset(buf, 0x55, sizeof buf);
        cr_expect_eq(frame_write(&f, buf, capacity), capacity == whole ? whole : 0);
        for (size_t i = capacity; i < sizeof buf; i++)
            cr_assert_eq(buf[i], 0x55);
    }
}

Test(frame_write, pads_in_the_header_to_the_byte)
{
    struct frame f = {
        .type = FRAME_REQUEST, .members = FRAME_HAS_ID, .id.text = slice("q"), .body = slice("1")};
    uint8_t buf[4096];
    size_t bare = frame_write(&f, buf, sizeof buf);
    struct frame g;

    for (f.pad_bytes = 0; f.pad_bytes < 300; f.pad_bytes++) {
        size_t n = frame_write(&f, buf, sizeof buf);

        cr_expect_eq(n, f.pad_bytes > bare ? f.pad_bytes : bare);
        cr_assert_eq(frame_parse(buf, n, &g), 0);
        cr_expect_eq(g.body.n, 1);
    }
    f.pad_bytes = 3000; /* longer than any header */
    cr_expect_eq(frame_write(&f, buf, sizeof buf), 0);
}

Test(frame_write, pads_by_a_body_that_is_ignored)
{
    static const enum frame_type types[] = {FRAME_CONNECT, FRAME_PING, FRAME_PONG};
    static uint8_t buf[70000];

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct frame f = {.type = types[i], .members = FRAME_HAS_NONCE};
        struct frame g;
        size_t bare = frame_write(&f, buf, sizeof buf);

        f.pad_bytes = bare + 1;
        cr_expect_eq(frame_write(&f, buf, sizeof buf), bare + 1);
        f.pad_bytes = 65507;
        cr_expect_eq(frame_write(&f, buf, sizeof buf), 65507);
        cr_assert_eq(frame_parse(buf, 65507, &g), 0);
        cr_expect_eq(g.body.n, 65507 - bare);
    }
}

Test(frame_write, knows_no_type_that_is_not_known)
{
    uint8_t buf[100];

    cr_expect_eq(frame_write(&(struct frame){.type = FRAME_OTHER}, buf, sizeof buf), 0);
}

Test(frame_write, says_no_more_than_one_header_holds)
{
    static char identity[FRAME_HEADER_MAX];
    static uint8_t buf[4096];

    memset(identity, '1', sizeof identity - 1);

    struct frame f = {.type = FRAME_CONNECT,
                      .members = FRAME_HAS_NONCE | FRAME_HAS_IDENTITY,
                      .identity = slice(identity)};

    cr_expect_eq(frame_write(&f, buf, sizeof buf), 0);
    f.identity.n = FRAME_IDENTITY_MAX;
    cr_expect(frame_write(&f, buf, sizeof buf) > 0);
}

Test(frame_write, writes_a_batch_in_place)
{
    static const char *const texts[] = {"1", "{\"a\": 2}", " [3] "};
    uint8_t buf[256], whole[256];
    size_t n = FRAME_BATCH_HEADER_BYTES, at = 0;
    struct frame_slice text;
    struct frame f;

    frame_batch_begin(buf);
    for (size_t i = 0; i < 3; n += strlen(texts[i++]) + FRAME_BATCH_TEXT_EXTRA)
        frame_batch_add(buf + n, texts[i], strlen(texts[i]));
    frame_batch_end(buf, n);
    cr_assert_eq(frame_parse(buf, n, &f), 0);
    cr_expect(f.type == FRAME_BATCH && f.members == FRAME_HAS_CRC);
    for (size_t i = 0; i < 3; i++) {
        cr_assert(frame_batch_next(&f.body, &at, &text));
        cr_expect(text.n == strlen(texts[i]) + 1 && text.bytes[text.n - 1] == '\n');
        cr_expect_eq(memcmp(text.bytes, texts[i], text.n - 1), 0, "%s", texts[i]);
    }
    cr_expect_not(frame_batch_next(&f.body, &at, &text));
    cr_expect_eq(
        frame_write(&(struct frame){.type = FRAME_BATCH, .body = f.body}, whole, sizeof whole), n);
    cr_expect_eq(memcmp(whole, buf, n), 0, "frame_write writes the same");
}
