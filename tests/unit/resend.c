/* SPDX-License-Identifier: MIT */
/* The sender of acknowledged messages: what goes when, and that every fate is told exactly once. */
#include "proto/resend.h"

#include <criterion/criterion.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

static struct resend *sender(uint32_t max_unanswered)
{
    struct resend *r;
    cr_assert_eq(resend_new(&r, max_unanswered, 1), 0);
    return r;
}

static uint64_t put(struct resend *r, enum resend_wish wish, uint64_t deadline_ns)
{
    uint64_t number = 0;
    const struct resend_message m = {.wish = wish, .deadline_ns = deadline_ns, .context = r};
    cr_assert_eq(resend_put(r, &m, &number), 0);
    return number;
}

/* Sends all that may go now; returns how many. */
static unsigned send_all(struct resend *r, uint64_t now)
{
    struct resend_sending sending;
    unsigned n = 0;
    while (resend_next(r, now, &sending))
        n++;
    return n;
}

static void expect_fate(struct resend *r, uint64_t number, enum resend_outcome outcome)
{
    struct resend_fate fate;
    cr_assert(resend_told(r, 0, &fate), "message %lu is not told", (unsigned long)number);
    cr_expect_eq(fate.number, number);
    cr_expect_eq((int)fate.outcome, (int)outcome, "message %lu: %d", (unsigned long)number,
                 (int)fate.outcome);
    cr_expect_eq(fate.context, r);
}

static void expect_nothing_told(struct resend *r)
{
    struct resend_fate fate;
    cr_expect_not(resend_told(r, 0, &fate), "message %lu", (unsigned long)fate.number);
}

static const struct resend_refusal full = {"mailbox_full", 12, true};
static const struct resend_refusal not_allowed = {"not_allowed", 11, false};

Test(resend, a_message_goes_and_is_told_when_it_is_acknowledged)
{
    struct resend *r = sender(8);
    struct resend_sending sending;

    cr_expect_eq(resend_deadline(r), RESEND_NEVER);
    cr_expect_eq(put(r, RESEND_WISH_STORED, RESEND_NEVER), 1);
    cr_expect_leq(resend_deadline(r), S);
    cr_assert(resend_next(r, S, &sending));
    cr_expect(sending.number == 1 && sending.context == r && !sending.is_again);
    cr_expect_not(resend_next(r, S, &sending));
    resend_ack(r, S + MS, 1, 1, RESEND_WISH_STORED);
    expect_fate(r, 1, RESEND_STORED);
    expect_nothing_told(r);
    cr_expect_eq(resend_deadline(r), RESEND_NEVER);
    resend_free(r);
}

Test(resend, what_is_not_answered_goes_again_later_each_time)
{
    struct resend *r = sender(8);
    uint64_t now = S, last = 0;

    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    cr_assert_eq(send_all(r, now), 1);
    for (int i = 0; i < 5; i++) {
        uint64_t due = resend_deadline(r);
        uint64_t base = 200 * MS << i;
        cr_expect(due - now >= base && due - now <= base + base / 2, "%lu", (unsigned long)due);
        cr_expect_eq(send_all(r, due - 1), 0);
        cr_expect_eq(send_all(r, due), 1);
        cr_expect_gt(due - now, last);
        last = due - now;
        now = due;
    }
    resend_free(r);
}

Test(resend, the_jitter_differs_from_sender_to_sender)
{
    struct resend *a, *b;
    cr_assert(resend_new(&a, 1, 1) == 0 && resend_new(&b, 1, 2) == 0);
    put(a, RESEND_WISH_STORED, RESEND_NEVER);
    put(b, RESEND_WISH_STORED, RESEND_NEVER);
    send_all(a, S);
    send_all(b, S);
    cr_expect_neq(resend_deadline(a), resend_deadline(b));
    resend_free(a);
    resend_free(b);
}

Test(resend, the_time_of_a_message_that_nobody_answers_is_over_at_its_deadline)
{
    struct resend *r = sender(8);
    struct resend_fate fate;

    put(r, RESEND_WISH_STORED, 3 * S);
    uint64_t now = S;
    for (; now != RESEND_NEVER && now < 3 * S; now = resend_deadline(r))
        send_all(r, now);
    cr_expect_eq(now, 3 * S);
    expect_nothing_told(r);
    cr_expect_eq(send_all(r, 3 * S), 0);
    cr_assert(resend_told(r, 3 * S, &fate));
    cr_expect_eq((int)fate.outcome, RESEND_TIMED_OUT);
    cr_expect(fate.is_sent && !fate.is_kept && fate.n_sent >= 3);
    cr_expect_eq(fate.took_ns, 2 * S);
    resend_free(r);
}

Test(resend, an_acknowledgement_may_be_of_many_and_of_what_is_not_under_way)
{
    struct resend *r = sender(16);

    for (int i = 0; i < 10; i++)
        put(r, RESEND_WISH_STORED, RESEND_NEVER);
    cr_assert_eq(send_all(r, S), 10);
    resend_ack(r, S, 4, 3, RESEND_WISH_STORED);
    for (uint64_t n = 4; n <= 6; n++)
        expect_fate(r, n, RESEND_STORED);
    resend_ack(r, S, 0, UINT64_MAX, RESEND_WISH_STORED);
    resend_ack(r, S, UINT64_MAX, UINT64_MAX, RESEND_WISH_STORED);
    resend_nack(r, S, 1, UINT64_MAX, &not_allowed);
    for (uint64_t n = 1; n <= 10; n++)
        if (n < 4 || n > 6)
            expect_fate(r, n, RESEND_STORED);
    expect_nothing_told(r);
    resend_free(r);
}

Test(resend, an_answer_to_what_was_never_sent_changes_nothing)
{
    struct resend *r = sender(16);

    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    put(r, RESEND_WISH_REPLY, RESEND_NEVER);
    resend_ack(r, S, 1, 2, RESEND_WISH_STORED);
    resend_nack(r, S, 1, 2, &not_allowed);
    cr_expect_not(resend_reply(r, S, 2));
    cr_expect_not(resend_reply(r, S, 3));
    expect_nothing_told(r);
    cr_expect_eq(send_all(r, S), 2);
    cr_expect_not(resend_reply(r, S, 1), "no request");
    resend_free(r);
}

Test(resend, a_release_is_awaited_and_a_stored_message_is_asked_about_more_slowly)
{
    struct resend *r = sender(16);
    uint64_t now = S;

    put(r, RESEND_WISH_RELEASED, RESEND_NEVER);
    send_all(r, now);
    resend_ack(r, now + MS, 1, 1, RESEND_WISH_STORED);
    expect_nothing_told(r);
    cr_expect_geq(resend_deadline(r), now + 200 * MS);
    for (int i = 0; i < 20; i++) {
        now = resend_deadline(r);
        cr_expect_eq(send_all(r, now), 1);
        resend_ack(r, now + MS, 1, 1, RESEND_WISH_STORED);
    }
    cr_expect_geq(resend_deadline(r), now + 5 * S);
    cr_expect_leq(resend_deadline(r), now + 8 * S);
    resend_ack(r, now + 2 * MS, 1, 1, RESEND_WISH_RELEASED);
    expect_fate(r, 1, RESEND_RELEASED);
    resend_free(r);
}

Test(resend, what_is_kept_does_not_count_as_under_way)
{
    struct resend *r = sender(4096);
    struct resend_figures f;
    uint64_t number = 1;

    for (int i = 0; i < 1000; i++)
        put(r, RESEND_WISH_RELEASED, RESEND_NEVER);
    for (unsigned n; (n = send_all(r, S)) > 0; number += n)
        resend_ack(r, S, number, n, RESEND_WISH_STORED);
    cr_expect_eq(number, 1001);
    resend_figures(r, &f);
    cr_expect(f.n_flying == 0 && f.n_unanswered == 1000 && f.n_sent == 1000);
    resend_free(r);
}

Test(resend, a_kept_message_whose_time_is_over_is_told_as_kept)
{
    struct resend *r = sender(1);
    struct resend_fate fate;

    put(r, RESEND_WISH_RELEASED, 2 * S);
    send_all(r, S);
    resend_ack(r, S, 1, 1, RESEND_WISH_STORED);
    send_all(r, 2 * S);
    cr_assert(resend_told(r, 2 * S, &fate));
    cr_expect(fate.outcome == RESEND_TIMED_OUT && fate.is_kept);
    resend_free(r);
}

Test(resend, a_request_ends_with_its_reply_or_with_its_release)
{
    struct resend *r = sender(4);

    put(r, RESEND_WISH_REPLY, RESEND_NEVER);
    put(r, RESEND_WISH_REPLY, RESEND_NEVER);
    send_all(r, S);
    resend_ack(r, S, 1, 2, RESEND_WISH_STORED);
    expect_nothing_told(r);
    cr_expect(resend_reply(r, S, 1));
    cr_expect_not(resend_reply(r, S, 1), "the second is not the first");
    expect_fate(r, 1, RESEND_REPLIED);
    cr_expect_not(resend_reply(r, S, 1));
    resend_ack(r, S, 2, 1, RESEND_WISH_RELEASED);
    expect_fate(r, 2, RESEND_RELEASED);
    resend_free(r);
}

Test(resend, a_refusal_is_told_at_once_with_its_reason)
{
    struct resend *r = sender(4);
    struct resend_fate fate;
    char text[200];

    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    send_all(r, S);
    resend_nack(r, S, 1, 1, &not_allowed);
    cr_assert(resend_told(r, S, &fate));
    cr_expect(fate.outcome == RESEND_REFUSED && !fate.is_temporary);
    cr_expect_str_eq(fate.reason, "not_allowed");
    memset(text, 'x', sizeof text);
    resend_nack(r, S, 2, 1, &(struct resend_refusal){text, sizeof text, false});
    cr_assert(resend_told(r, S, &fate));
    cr_expect_eq(strlen(fate.reason), RESEND_REASON_MAX - 1);
    resend_free(r);
}

Test(resend, a_refusal_for_the_moment_is_tried_again_until_the_deadline)
{
    struct resend *r = sender(4);
    struct resend_fate fate;
    unsigned n = 0;

    put(r, RESEND_WISH_STORED, 6 * S);
    for (uint64_t now = S; now < 6 * S; now = resend_deadline(r))
        for (struct resend_sending sending; resend_next(r, now, &sending); n++)
            resend_nack(r, now, 1, 1, &full);
    cr_expect(n >= 4 && n <= 10, "%u", n);
    send_all(r, 6 * S);
    cr_assert(resend_told(r, 6 * S, &fate));
    cr_expect(fate.outcome == RESEND_REFUSED && fate.is_temporary);
    cr_expect_str_eq(fate.reason, "mailbox_full");
    resend_free(r);
}

Test(resend, what_was_refused_for_the_moment_is_taken_later)
{
    struct resend *r = sender(4);

    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    send_all(r, S);
    resend_nack(r, S, 1, 1, &full);
    resend_nack(r, S, 1, 1, &full);
    expect_nothing_told(r);
    cr_expect_eq(send_all(r, resend_deadline(r)), 1);
    resend_ack(r, 2 * S, 1, 1, RESEND_WISH_STORED);
    expect_fate(r, 1, RESEND_STORED);
    resend_free(r);
}

Test(resend, nothing_new_is_begun_for_a_while_after_a_refusal)
{
    struct resend *r = sender(100);

    for (int i = 0; i < 20; i++)
        put(r, RESEND_WISH_STORED, RESEND_NEVER);
    cr_assert_eq(send_all(r, S), 10);
    resend_nack(r, S + MS, 1, 10, &full);
    cr_expect_eq(send_all(r, S + MS), 0);
    cr_expect_eq(resend_deadline(r), S + 21 * MS);
    cr_expect_gt(send_all(r, S + 21 * MS), 0);
    resend_free(r);
}

Test(resend, a_drop_after_it_was_stored_is_told_or_tried_again)
{
    struct resend *r = sender(4);
    struct resend_fate fate;
    static const struct resend_refusal expired = {"expired", 7, false};

    put(r, RESEND_WISH_RELEASED, RESEND_NEVER);
    put(r, RESEND_WISH_RELEASED, RESEND_NEVER);
    send_all(r, S);
    resend_ack(r, S, 1, 2, RESEND_WISH_STORED);
    resend_nack(r, S, 1, 1, &expired);
    cr_assert(resend_told(r, S, &fate));
    cr_expect_str_eq(fate.reason, "expired");
    resend_nack(r, S, 2, 1, &full);
    expect_nothing_told(r);
    cr_expect_eq(send_all(r, resend_deadline(r)), 1);
    resend_free(r);
}

Test(resend, what_has_come_and_is_not_stored_yet_is_only_asked_about)
{
    struct resend *r = sender(8);
    struct resend_fate fate;

    put(r, RESEND_WISH_STORED, 2 * S);
    put(r, RESEND_WISH_STORED, 2 * S);
    send_all(r, S);
    resend_ack(r, S + MS, 1, 2, RESEND_RECEIVED);
    expect_nothing_told(r);
    cr_expect_geq(resend_deadline(r), S + 200 * MS);
    resend_ack(r, S + 50 * MS, 1, 1, RESEND_WISH_STORED);
    expect_fate(r, 1, RESEND_STORED);
    send_all(r, 2 * S);
    cr_assert(resend_told(r, 2 * S, &fate));
    cr_expect_eq(fate.outcome, RESEND_TIMED_OUT);
    cr_expect_not(fate.is_kept, "nobody said that it is stored");
    resend_free(r);
}

Test(resend, a_window_that_shrank_for_messages_that_were_late_is_given_back)
{
    struct resend *r = sender(100);
    struct resend_figures before, after;
    struct resend_sending late;

    for (int i = 0; i < 90; i++)
        put(r, RESEND_WISH_STORED, RESEND_NEVER);
    for (uint64_t n = 1; n <= 40; n++) { /* slow start */
        send_all(r, S);
        resend_ack(r, S + MS, n, 1, RESEND_WISH_STORED);
        expect_fate(r, n, RESEND_STORED);
    }
    send_all(r, S + MS);
    resend_figures(r, &before);
    uint64_t late_ns = resend_deadline(r);
    cr_assert(resend_next(r, late_ns, &late));
    cr_assert(late.is_again);
    resend_figures(r, &after);
    cr_assert_lt(after.window, before.window);
    resend_ack(r, late_ns + MS, late.number, 1, RESEND_RECEIVED);
    resend_ack(r, late_ns + 2 * MS, late.number, 1, RESEND_WISH_STORED);
    expect_fate(r, late.number, RESEND_STORED);
    resend_figures(r, &after);
    cr_assert_geq(after.window, before.window);
    resend_free(r);
}

Test(resend, nobody_there_ends_everything)
{
    struct resend *r = sender(100);
    struct resend_fate fate;

    for (int i = 0; i < 20; i++)
        put(r, RESEND_WISH_STORED, RESEND_NEVER);
    send_all(r, S);
    resend_ack(r, S, 1, 1, RESEND_WISH_STORED);
    expect_fate(r, 1, RESEND_STORED);
    resend_unreachable(r);
    for (uint64_t n = 2; n <= 20; n++) {
        cr_assert(resend_told(r, S, &fate));
        cr_expect(fate.number == n && fate.outcome == RESEND_UNREACHABLE);
        cr_expect_eq(fate.is_sent, n <= 10);
    }
    expect_nothing_told(r);
    cr_expect_eq(resend_deadline(r), RESEND_NEVER);
    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    cr_expect_eq(send_all(r, S), 1, "the next one is tried again");
    resend_free(r);
}

Test(resend, another_address_gets_everything_anew)
{
    struct resend *r = sender(100);
    struct resend_sending sending;

    for (int i = 0; i < 3; i++)
        put(r, RESEND_WISH_STORED, 2 * S);
    send_all(r, S);
    resend_begin_again(r);
    for (uint64_t n = 1; n <= 3; n++) {
        cr_assert(resend_next(r, S, &sending));
        cr_expect(sending.number == n && !sending.is_again);
    }
    cr_expect_not(resend_next(r, S, &sending));
    resend_begin_again(r);
    cr_expect_eq(send_all(r, 2 * S), 0);
    unsigned n_told = 0;
    for (struct resend_fate fate; resend_told(r, 2 * S, &fate); n_told++)
        cr_expect(fate.outcome == RESEND_TIMED_OUT && !fate.is_sent);
    cr_expect_eq(n_told, 3);
    resend_free(r);
}

Test(resend, numbers_never_span_more_than_the_receiver_remembers)
{
    struct resend *r = sender(RESEND_SPAN);
    const struct resend_message m = {.wish = RESEND_WISH_RELEASED, .deadline_ns = RESEND_NEVER};
    uint64_t number;

    put(r, RESEND_WISH_RELEASED, RESEND_NEVER);
    send_all(r, S);
    for (uint64_t n = 2; n <= RESEND_SPAN; n++) {
        cr_assert_eq(put(r, RESEND_WISH_RELEASED, RESEND_NEVER), n);
        send_all(r, S);
        resend_ack(r, S, n, 1, RESEND_WISH_RELEASED);
        expect_fate(r, n, RESEND_RELEASED);
    }
    cr_expect_eq(resend_put(r, &m, &number), RESEND_FULL);
    cr_expect_not(resend_has_room(r));
    resend_ack(r, S, 1, 1, RESEND_WISH_RELEASED);
    cr_expect_eq(resend_put(r, &m, &number), RESEND_FULL, "its fate is not told yet");
    expect_fate(r, 1, RESEND_RELEASED);
    cr_expect_eq(put(r, RESEND_WISH_STORED, RESEND_NEVER), RESEND_SPAN + 1);
    resend_free(r);
}

Test(resend, no_more_are_put_than_was_agreed)
{
    struct resend *r = sender(3);
    uint64_t number;

    for (int i = 0; i < 3; i++)
        put(r, RESEND_WISH_STORED, RESEND_NEVER);
    cr_expect_eq(resend_put(r, &(struct resend_message){0}, &number), RESEND_FULL);
    cr_expect(resend_cancel(r, 2));
    cr_expect_not(resend_cancel(r, 2));
    cr_expect_not(resend_cancel(r, 9));
    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    cr_expect_eq(send_all(r, S), 3);
    resend_ack(r, S, 1, 4, RESEND_WISH_STORED);
    expect_fate(r, 1, RESEND_STORED);
    expect_fate(r, 3, RESEND_STORED);
    expect_fate(r, 4, RESEND_STORED);
    expect_nothing_told(r);
    resend_free(r);
}

Test(resend, the_window_follows_what_gets_lost)
{
    struct resend *r = sender(1000);
    struct resend_figures f;
    uint64_t acked = 1, now = S;

    for (int i = 0; i < 1000; i++)
        put(r, RESEND_WISH_STORED, RESEND_NEVER);
    for (int i = 0; i < 4; i++, now += MS) {
        unsigned n = send_all(r, now);
        resend_ack(r, now, acked, n, RESEND_WISH_STORED);
        acked += n;
    }
    resend_figures(r, &f);
    cr_expect_gt(f.window, 60);
    uint32_t before = f.window;
    send_all(r, now);
    now = resend_deadline(r);
    send_all(r, now);
    resend_figures(r, &f);
    cr_expect_eq(f.window, before / 2);
    cr_expect_gt(f.n_resent, 0);
    resend_free(r);
}

Test(resend, only_what_was_sent_once_is_measured)
{
    struct resend *r = sender(4);
    struct resend_figures f;

    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    send_all(r, S);
    uint64_t now = resend_deadline(r);
    send_all(r, now);
    resend_ack(r, now + MS, 1, 1, RESEND_WISH_STORED);
    resend_figures(r, &f);
    cr_expect_eq(f.smoothed_rtt_ns, 0);
    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    send_all(r, now);
    resend_ack(r, now + 3 * MS, 2, 1, RESEND_WISH_STORED);
    resend_figures(r, &f);
    cr_expect_eq(f.smoothed_rtt_ns, 3 * MS);
    cr_expect_eq(f.timeout_ns, 10 * MS);
    resend_free(r);
}

Test(resend, as_many_answers_as_sendings_tell_that_the_path_is_slow)
{
    struct resend *r = sender(4);
    struct resend_figures f;

    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    send_all(r, S);
    resend_ack(r, S + MS, 1, 1, RESEND_WISH_STORED);
    expect_fate(r, 1, RESEND_STORED);
    put(r, RESEND_WISH_STORED, RESEND_NEVER);
    unsigned n = 0;
    for (uint64_t now = 2 * S; now < 2 * S + 100 * MS; now = resend_deadline(r))
        n += send_all(r, now);
    cr_assert_gt(n, 2);
    for (unsigned i = 0; i < n; i++) {
        resend_figures(r, &f);
        cr_expect_eq(f.smoothed_rtt_ns, MS);
        resend_ack(r, 2 * S + (100 + i) * MS, 2, 1, RESEND_WISH_STORED);
    }
    expect_fate(r, 2, RESEND_STORED);
    expect_nothing_told(r);
    resend_figures(r, &f);
    cr_expect_eq(f.smoothed_rtt_ns, (7 * MS + 100 * MS) / 8);
    resend_free(r);
}

Test(resend, a_late_deadline_never_delays_an_early_one)
{
    struct resend *r = sender(8);

    put(r, RESEND_WISH_STORED, 100 * S);
    put(r, RESEND_WISH_STORED, S + 5 * MS);
    send_all(r, S);
    cr_expect_eq(resend_deadline(r), S + 5 * MS);
    send_all(r, S + 5 * MS);
    expect_fate(r, 2, RESEND_TIMED_OUT);
    expect_nothing_told(r);
    resend_free(r);
}

Test(resend, a_deadline_that_has_passed_is_told_without_a_sending)
{
    struct resend *r = sender(8);
    struct resend_fate fate;

    put(r, RESEND_WISH_STORED, S);
    cr_expect_eq(send_all(r, 2 * S), 0);
    cr_assert(resend_told(r, 2 * S, &fate));
    cr_expect(fate.outcome == RESEND_TIMED_OUT && !fate.is_sent && fate.took_ns == 0);
    resend_free(r);
}
