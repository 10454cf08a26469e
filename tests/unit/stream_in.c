/* SPDX-License-Identifier: MIT */
#include "proto/stream_in.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 10000u

static uint8_t bytes[WINDOW];
static struct stream_in in;

static void begin(void)
{
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 >> 2);
    stream_in_init(&in, WINDOW);
}

static void end(void)
{
    stream_in_deinit(&in);
}

TestSuite(stream_in, .init = begin, .fini = end);

static enum stream_in_outcome put(uint64_t offset, size_t n, bool is_end)
{
    return stream_in_put(&in, offset, bytes + offset % WINDOW, n, is_end);
}

Test(stream_in, says_of_each_segment_what_it_was)
{
    static const struct {
        const char *name;
        uint64_t offset;
        size_t n;
        bool is_end;
        enum stream_in_outcome outcome;
        uint64_t next;
    } STEPS[] = {
        {"in order", 0, 100, false, STREAM_IN_NEXT, 100},
        {"again", 0, 100, false, STREAM_IN_DUPLICATE, 100},
        {"a part of it again", 20, 30, false, STREAM_IN_DUPLICATE, 100},
        {"behind a gap", 200, 100, false, STREAM_IN_GAP, 100},
        {"again behind the gap", 220, 80, false, STREAM_IN_DUPLICATE, 100},
        {"behind another gap", 400, 100, false, STREAM_IN_GAP, 100},
        {"overlapping two ranges", 250, 200, false, STREAM_IN_GAP, 100},
        {"overlapping what has come, into the gap", 50, 100, false, STREAM_IN_GAP, 150},
        {"the rest of the gap and more", 140, 70, false, STREAM_IN_GAP, 500},
        {"nothing at all", 500, 0, false, STREAM_IN_DUPLICATE, 500},
        {"one byte outside the window", WINDOW, 1, false, STREAM_IN_NONSENSE, 500},
        {"reaching out of the window", WINDOW - 1, 2, false, STREAM_IN_NONSENSE, 500},
        {"an end before what has come", 300, 100, true, STREAM_IN_NONSENSE, 500},
        {"an offset that wraps", UINT64_MAX, 2, false, STREAM_IN_NONSENSE, 500},
        {"the end, behind a gap", 600, 100, true, STREAM_IN_GAP, 500},
        {"another end", 600, 50, true, STREAM_IN_NONSENSE, 500},
        {"behind the end", 700, 1, false, STREAM_IN_NONSENSE, 500},
        {"the last gap", 500, 100, false, STREAM_IN_GAP, 701},
        {"the end again", 700, 0, true, STREAM_IN_DUPLICATE, 701},
    };

    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        cr_expect_eq(put(STEPS[i].offset, STEPS[i].n, STEPS[i].is_end), STEPS[i].outcome, "%s",
                     STEPS[i].name);
        cr_expect_eq(in.next, STEPS[i].next, "%s", STEPS[i].name);
    }
    cr_assert(stream_in_has_end(&in));
}

Test(stream_in, takes_a_stream_of_nothing_but_its_end)
{
    size_t n;

    cr_assert_eq(put(0, 0, true), STREAM_IN_NEXT);
    cr_assert(stream_in_has_end(&in));
    cr_assert_null(stream_in_peek(&in, &n));
    cr_assert_eq(put(0, 0, true), STREAM_IN_DUPLICATE);
}

Test(stream_in, gives_bytes_in_order_whatever_the_order_of_segments)
{
    uint32_t seed = 1;
    size_t n, total = 0;
    const uint8_t *piece;

    for (int i = 0; i < 20000 && in.next < WINDOW; i++) {
        seed = seed * 1664525 + 1013904223;

        uint64_t offset = (seed >> 8) % WINDOW;

        put(offset, WINDOW - offset < 97 ? (size_t)(WINDOW - offset) : 97, false);
    }
    cr_assert_eq(in.next, WINDOW);
    cr_assert_eq(in.n_ranges, 0);
    while ((piece = stream_in_peek(&in, &n)) != NULL) {
        cr_assert_arr_eq(piece, bytes + total, n);
        total += n;
        stream_in_consume(&in, n);
    }
    cr_assert_eq(total, WINDOW);
    cr_assert_eq(stream_in_window(&in), 2 * WINDOW);
    cr_assert_eq(put(WINDOW, 1, false), STREAM_IN_NONSENSE, "the peer has not been told yet");
}

Test(stream_in, reports_the_latest_ranges_first)
{
    struct frame_range r[4];

    for (uint64_t i = 1; i < 16; i++)
        put(i * 100, 10, false);
    put(310, 10, false);
    cr_assert_eq(stream_in_report(&in, r, 4), 4);
    cr_assert_eq(r[0].begin, 300, "the one that grew last");
    cr_assert_eq(r[0].end, 320);
    cr_assert_eq(r[1].begin, 1300);
    cr_assert_eq(r[3].begin, 1500);
}

Test(stream_in, bounds_what_gaps_may_cost)
{
    enum stream_in_outcome outcome = STREAM_IN_GAP;
    uint64_t offset;

    for (offset = 2; offset < WINDOW && outcome == STREAM_IN_GAP; offset += 2)
        outcome = put(offset, 1, false);
    cr_assert_eq(outcome, STREAM_IN_NO_ROOM);
    cr_assert_leq(in.n_ranges, WINDOW / STREAM_IN_RANGE + 16);
    cr_assert_eq(put(0, 5, false), STREAM_IN_GAP, "what fills a gap always has room");
    cr_assert_eq(put(7, 1, false), STREAM_IN_GAP);
}
