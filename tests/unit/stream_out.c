/* SPDX-License-Identifier: MIT */
#include "proto/stream_out.h"

#include <criterion/criterion.h>
#include <string.h>

static struct stream_out out;
static uint64_t number;

static void begin(void)
{
    static const uint8_t bytes[10000];

    number = 0;
    stream_out_init(&out, 1 << 16);
    cr_assert_eq(stream_out_write(&out, bytes, sizeof bytes), sizeof bytes);
}

static void end(void)
{
    stream_out_deinit(&out);
}

TestSuite(stream_out, .init = begin, .fini = end);

/* Sends n segments of 100 bytes for the first time. */
static void send_new(int n)
{
    while (n-- > 0) {
        struct segment *s = stream_out_cut(&out, 100);

        number++;
        stream_out_sent(&out, s, number, number * 1000, 150);
    }
}

static void resend(void)
{
    struct segment *s = stream_out_lost(&out);

    number++;
    stream_out_sent(&out, s, number, number * 1000, 150);
}

static struct delivery acknowledge(uint64_t ack, uint64_t echo, uint32_t n_sack,
                                   const struct frame_range *sack)
{
    struct frame f = {.ack = ack, .n_sack = n_sack};
    struct delivery d = {.echo = echo};

    if (n_sack > 0)
        memcpy(f.sack, sack, n_sack * sizeof *sack);
    cr_assert(stream_out_is_possible(&out, &f));
    stream_out_acknowledge(&out, &f, &d);
    return d;
}

Test(stream_out, takes_no_more_than_its_bound)
{
    static const uint8_t bytes[1 << 16];

    cr_assert_eq(stream_out_write(&out, bytes, sizeof bytes), (1 << 16) - 10000);
    cr_assert_eq(stream_out_write(&out, bytes, 1), 0);
    send_new(10);
    acknowledge(500, 5, 0, NULL);
    cr_assert_eq(stream_out_writable(&out), 500);
    out.is_finished = true;
    cr_assert_eq(stream_out_writable(&out), 0);
}

Test(stream_out, counts_each_segment_once)
{
    struct delivery d;

    send_new(10);
    cr_assert_eq(out.n_in_flight, 1500);
    d = acknowledge(200, 2, 0, NULL);
    cr_assert_eq(d.n_segments, 2);
    cr_assert_eq(d.number, 2);
    d = acknowledge(200, 7, 2, (struct frame_range[]){{300, 500}, {600, 700}});
    cr_assert_eq(d.n_segments, 3);
    cr_assert_eq(d.number, 7);
    cr_assert_eq(d.sent_ns, 7000);
    d = acknowledge(200, 7, 2, (struct frame_range[]){{300, 500}, {600, 700}});
    cr_assert_eq(d.n_segments, 0, "nothing new");
    d = acknowledge(700, 8, 0, NULL);
    cr_assert_eq(d.n_segments, 2);
    cr_assert_eq(out.n_in_flight, 450);
    cr_assert_eq(stream_out_oldest(&out)->number, 8);
}

Test(stream_out, takes_nothing_that_was_never_sent)
{
    static const struct {
        const char *name;
        uint64_t ack;
        uint32_t n_sack;
        struct frame_range sack[2];
    } CASES[] = {
        {"an offset behind all", 501, 0, {{0}}},
        {"a range behind all", 0, 1, {{400, 501}}},
        {"a range that touches ack", 100, 1, {{100, 200}}},
        {"an empty range", 0, 1, {{200, 200}}},
        {"ranges that touch", 0, 2, {{100, 200}, {200, 300}}},
        {"ranges in the wrong order", 0, 2, {{300, 400}, {100, 200}}},
    };

    send_new(5);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct frame f = {.ack = CASES[i].ack, .n_sack = CASES[i].n_sack};

        memcpy(f.sack, CASES[i].sack, sizeof CASES[i].sack);
        cr_expect_not(stream_out_is_possible(&out, &f), "%s", CASES[i].name);
    }
}

Test(stream_out, tells_the_first_transmission_from_the_second)
{
    struct delivery d;

    send_new(3);
    stream_out_lose(&out, stream_out_oldest(&out));
    cr_assert_eq(out.n_in_flight, 300);
    resend();
    cr_assert_eq(out.in_flight.last, 0, "sent again, it is the latest");
    d = acknowledge(300, 3, 0, NULL);
    cr_assert_eq(d.n_spurious, 1, "number 4 has not come, and yet all has");
    cr_assert_eq(d.number, 3);
}

/* What was latest was an acknowledgement alone, sent after what has come now. */
Test(stream_out, nothing_is_late_against_what_has_no_time)
{
    struct frame f = {.ack = 100};
    struct delivery d = {.echo = 1, .latest = 5, .latest_sent_ns = 0};

    send_new(1);
    stream_out_acknowledge(&out, &f, &d);
    cr_assert_eq(d.n_segments, 1);
    cr_assert_eq(d.late_ns, 0);
}

Test(stream_out, cuts_anew_what_has_become_too_large)
{
    uint64_t offset = 0;

    send_new(4);
    acknowledge(0, 3, 1, (struct frame_range[]){{200, 300}});
    cr_assert_eq(stream_out_recut(&out, 30), 0);
    cr_assert_eq(out.n_in_flight, 0);
    while (stream_out_lost(&out) != NULL) {
        struct segment *s = stream_out_lost(&out);

        if (offset == 200)
            offset = 300;
        cr_assert_leq(s->n_bytes, 30);
        cr_assert_eq(s->offset, offset);
        offset += s->n_bytes;
        resend();
    }
    cr_assert_eq(offset, 400);
    acknowledge(400, number, 0, NULL);
    cr_assert_eq(out.n_in_flight, 0);
}

Test(stream_out, is_done_when_its_end_has_come)
{
    struct segment *s;

    out.is_finished = true;
    send_new(100);
    cr_assert_not(stream_out_has_unsent(&out));
    acknowledge(10000, number, 0, NULL);
    cr_assert_not(stream_out_is_done(&out), "all bytes, and not the end");
    s = stream_out_oldest(&out);
    cr_assert(s->is_end);
    cr_assert_eq(s->n_bytes, 0);
    acknowledge(10001, number, 0, NULL);
    cr_assert(stream_out_is_done(&out));
    stream_out_trim(&out);
    cr_assert_null(out.slots);
}
