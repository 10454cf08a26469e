/* SPDX-License-Identifier: MIT */
/* When a worker is awake for a datagram that is due. */
#include "daemon/core/rhythm.h"

#include <criterion/criterion.h>

#define US      UINT64_C(1000)
#define MS      UINT64_C(1000000)
#define PERCENT 10u

static struct rhythm r;
static uint64_t now_ns;
static uint64_t seed;

static void begin(void)
{
    now_ns = 3000 * MS;
    seed = 1;
    rhythm_init(&r, PERCENT);
}

TestSuite(rhythm, .init = begin);

/* xorshift64 */
static uint64_t below(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % n;
}

/* ---- A worker that sleeps and looks, and what comes to it ---- */

static struct counts {
    unsigned n_met, n_missed, n_asleep;
    uint64_t cost_ns;
} counts;

static void read_one(uint64_t at_ns)
{
    if (rhythm_turn(&r, at_ns))
        rhythm_arrived(&r, at_ns);
}

/* Looks that end before it comes are missed; it is woken 20 to 30 us late. */
static void look_until(uint64_t at_ns)
{
    for (uint64_t begins_ns; (begins_ns = rhythm_begins_ns(&r, now_ns)) != 0;) {
        uint64_t awake_ns = begins_ns <= now_ns ? now_ns : begins_ns + 20 * US + below(10 * US);
        if (begins_ns >= at_ns)
            break;
        rhythm_begun(&r, begins_ns <= now_ns ? awake_ns : begins_ns, awake_ns);
        now_ns = rhythm_until_ns(&r);
        if (now_ns >= at_ns) {
            now_ns = at_ns > awake_ns ? at_ns : awake_ns;
            counts.cost_ns += rhythm_ended(&r, now_ns, RHYTHM_MET);
            counts.n_met++;
            read_one(at_ns);
            return;
        }
        counts.cost_ns += rhythm_ended(&r, now_ns, RHYTHM_MISSED);
        counts.n_missed++;
    }
    now_ns = at_ns;
    counts.n_asleep++;
    read_one(at_ns);
}

static void comes(unsigned n, uint64_t period_ns, uint64_t jitter_ns)
{
    uint64_t start_ns = now_ns;

    counts = (struct counts){0};
    for (unsigned i = 1; i <= n; i++)
        look_until(start_ns + i * period_ns + below(jitter_ns + 1));
}

Test(rhythm, is_awake_for_what_comes_regularly)
{
    static const struct {
        const char *name;
        uint64_t period_ns, jitter_ns;
    } cases[] = {
        {"1,000 a second", MS, 20 * US},
        {"exactly", MS, 0},
        {"at least 500 us", 800 * US, 10 * US},
        {"100 a second", 10 * MS, 40 * US},
        {"10 a second", 100 * MS - 50 * US, 50 * US},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        begin();
        comes(100, cases[i].period_ns, cases[i].jitter_ns);
        comes(1000, cases[i].period_ns, cases[i].jitter_ns);
        cr_expect_geq(counts.n_met, 900, "%s: %u", cases[i].name, counts.n_met);
        cr_expect_leq(counts.n_missed, 50, "%s: %u", cases[i].name, counts.n_missed);
    }
}

Test(rhythm, takes_a_twentieth_of_a_core_for_1000_a_second)
{
    comes(100, MS, 20 * US);
    comes(1000, MS, 20 * US);
    cr_expect_leq(counts.cost_ns, 1000 * 60 * US, "%lu us", (unsigned long)(counts.cost_ns / US));
}

Test(rhythm, is_learned_from_so_many_alike)
{
    for (unsigned i = 0; i < RHYTHM_LEARNED + 2; i++) {
        cr_assert_eq(rhythm_begins_ns(&r, now_ns), 0, "%u", i);
        read_one(now_ns += MS);
    }
    uint64_t begins_ns = rhythm_begins_ns(&r, now_ns);
    cr_assert_gt(begins_ns, now_ns + MS / 2);
    cr_assert_lt(begins_ns, now_ns + MS);
}

Test(rhythm, wakes_nobody_where_the_share_is_none)
{
    rhythm_init(&r, 0);
    comes(100, MS, 0);
    cr_assert_eq(counts.n_met + counts.n_missed, 0);
}

Test(rhythm, is_silent_once_nothing_comes)
{
    comes(100, MS, 20 * US);
    unsigned n = 0;
    for (uint64_t begins_ns; n < 100 && (begins_ns = rhythm_begins_ns(&r, now_ns)) != 0; n++) {
        rhythm_begun(&r, begins_ns, begins_ns + 20 * US);
        now_ns = rhythm_until_ns(&r);
        (void)rhythm_ended(&r, now_ns, RHYTHM_MISSED);
    }
    cr_assert_leq(n, 4);
    now_ns += 60000 * MS;
    cr_assert_eq(rhythm_begins_ns(&r, now_ns), 0, "for good");
}

Test(rhythm, is_of_no_concern_to_what_comes_at_random)
{
    counts = (struct counts){0};
    uint64_t start_ns = now_ns;
    for (int i = 0; i < 10000; i++)
        look_until(now_ns + 100 * US + below(2 * MS));
    cr_assert_lt(counts.cost_ns * 200, now_ns - start_ns, "half a percent");
}

Test(rhythm, is_of_no_concern_to_what_comes_fast)
{
    comes(1000, 150 * US, 0);
    cr_assert_eq(counts.n_met + counts.n_missed, 0);
    comes(1000, 10 * US, 0);
    cr_assert_eq(counts.n_met + counts.n_missed, 0);
}

Test(rhythm, leaves_alone_what_its_share_is_too_small_for)
{
    rhythm_init(&r, 1);
    comes(1000, MS, 20 * US);
    cr_assert_eq(counts.n_met + counts.n_missed, 0);
    comes(1000, 10 * MS, 20 * US);
    cr_assert_geq(counts.n_met, 900);
}

Test(rhythm, keeps_to_its_share_whatever_comes)
{
    for (int round = 0; round < 200; round++) {
        uint64_t start_ns = now_ns;
        rhythm_init(&r, PERCENT);
        counts = (struct counts){0};
        uint64_t period_ns = 200 * US + below(2 * MS), spread_ns = 1 + below(period_ns / 2);
        for (int i = 0; i < 500; i++)
            look_until(now_ns + period_ns + below(spread_ns));
        /* A window of margins may have been begun when it was used up. */
        cr_expect_leq(counts.cost_ns, (now_ns - start_ns) * PERCENT / 100 + 10 * MS + MS,
                      "round %d", round);
    }
}

Test(rhythm, is_not_put_off_by_a_very_late_waking)
{
    comes(100, MS, 10 * US);
    for (int i = 0; i < 3; i++)
        rhythm_begun(&r, now_ns, now_ns + 10 * MS);
    comes(100, MS, 10 * US);
    cr_assert_geq(counts.n_met, 90, "%u", counts.n_met);
}

Test(rhythm, is_tried_again_after_many_very_late_wakings)
{
    comes(100, MS, 10 * US);
    for (int i = 0; i < 50; i++)
        rhythm_begun(&r, now_ns, now_ns + 10 * MS);
    comes(100, MS, 10 * US);
    cr_assert_eq(counts.n_met, 0);
    comes(2000, MS, 10 * US);
    comes(100, MS, 10 * US);
    cr_assert_geq(counts.n_met, 90, "%u", counts.n_met);
}

Test(rhythm, goes_on_where_some_are_left_out)
{
    comes(100, MS, 10 * US);
    now_ns += 3 * MS;
    comes(100, MS, 10 * US);
    cr_assert_geq(counts.n_met, 90, "%u", counts.n_met);
}

Test(rhythm, goes_on_where_others_come_in_between)
{
    comes(100, MS, 10 * US);
    uint64_t start_ns = now_ns;
    counts = (struct counts){0};
    for (unsigned i = 1; i <= 100; i++) {
        look_until(start_ns + i * MS - 400 * US);
        look_until(start_ns + i * MS + below(10 * US));
    }
    cr_assert_geq(counts.n_met, 90, "%u", counts.n_met);
}

Test(rhythm, follows_a_sender_whose_period_changes)
{
    comes(100, MS, 10 * US);
    comes(200, 2 * MS, 10 * US);
    cr_assert_geq(counts.n_met, 150, "%u", counts.n_met);
    comes(200, MS, 10 * US);
    cr_assert_geq(counts.n_met, 150, "%u", counts.n_met);
}

Test(rhythm, rests_at_once_where_somebody_works_and_longer_each_time)
{
    comes(100, MS, 0);
    rhythm_begun(&r, now_ns, now_ns);
    (void)rhythm_ended(&r, now_ns, RHYTHM_DISTURBED);
    cr_assert_eq(rhythm_begins_ns(&r, now_ns), 0);
    comes(9, MS, 0);
    cr_assert_eq(counts.n_met, 0);
    comes(3, MS, 0);
    cr_assert_geq(counts.n_met, 1);
}

Test(rhythm, rests_where_its_core_is_the_senders)
{
    comes(100, MS, 0);
    for (int i = 0; i < 4; i++) {
        cr_assert_neq(rhythm_begins_ns(&r, now_ns), 0);
        rhythm_begun(&r, now_ns, now_ns);
        (void)rhythm_ended(&r, now_ns, RHYTHM_SHARED);
        read_one(now_ns += MS);
    }
    cr_assert_eq(rhythm_begins_ns(&r, now_ns), 0);
    comes(30, MS, 0);
    cr_assert_geq(counts.n_met, 15);
}
