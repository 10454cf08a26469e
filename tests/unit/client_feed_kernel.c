/* SPDX-License-Identifier: MIT */
/* A feed whose kernel takes and refuses what the test says. Linked with --wrap=sendmmsg. */
#include "client/msgd.h"
#include "tests/unit/client_fake_kernel.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct msgd_feed *feed(void)
{
    struct msgd_feed *f;
    cr_assert_eq(msgd_feed_open(&f, "127.0.0.1:9", NULL), 0, "%s", msgd_feed_error(NULL));
    return f;
}

/* Messages of 1, 2, 3... bytes, which are no trains: each is longer than the one before. */
static void put_growing(struct msgd_feed *f, size_t n)
{
    for (size_t i = 1; i <= n; i++)
        cr_assert_eq(msgd_feed_put(f, "1111111111", i), 0);
}

static void expect_figures(const struct msgd_feed *f, uint64_t sent, uint64_t failed,
                           uint64_t waiting)
{
    struct msgd_feed_figures seen;
    msgd_feed_figures(f, &seen);
    cr_expect(seen.sent == sent && seen.failed == failed && seen.waiting == waiting,
              "%llu sent, %llu failed, %llu waiting", (unsigned long long)seen.sent,
              (unsigned long long)seen.failed, (unsigned long long)seen.waiting);
    cr_expect_eq(seen.put, sent + failed + waiting);
}

Test(client_feed_kernel, what_was_not_taken_goes_with_the_next_call)
{
    struct msgd_feed *f = feed();

    begin(true, (struct step[]){{.most = 2}, {.error = EINTR}, {.most = 1}}, 3);
    put_growing(f, 5);
    cr_expect_eq(msgd_feed_flush(f, 0), 0, "%s", msgd_feed_error(f));
    cr_assert_eq(n_taken, 5u);
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq(taken[i], i + 1, "in order");
    expect_figures(f, 5, 0, 0);
    f = msgd_feed_close(f);
}

Test(client_feed_kernel, a_full_kernel_keeps_messages_waiting_and_more_are_not_taken)
{
    struct msgd_feed *f = feed();
    struct step full[16];

    for (size_t i = 0; i < 16; i++)
        full[i] = (struct step){.error = i % 2 == 0 ? EAGAIN : ENOBUFS};
    begin(true, full, 16);
    script[0] = (struct step){.most = 2};
    put_growing(f, 5);
    cr_expect_eq(msgd_feed_flush(f, 0), -EAGAIN);
    expect_figures(f, 2, 0, 3);
    int error = 0, n = 0;
    for (; error == 0 && n < 1000; n++)
        error = msgd_feed_put(f, "1", 1);
    cr_expect_eq(error, -EAGAIN);
    expect_figures(f, 2, 0, 3 + (uint64_t)n - 1);
    cr_expect_eq(msgd_feed_flush(f, -1), 0, "%s", msgd_feed_error(f));
    expect_figures(f, 5 + (uint64_t)n - 1, 0, 0);
    f = msgd_feed_close(f);
}

Test(client_feed_kernel, one_that_is_refused_is_not_the_others_fate)
{
    static const int errors[] = {EPERM, EMSGSIZE, ENETUNREACH, EHOSTUNREACH};

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct msgd_feed *f = feed();
        begin(true, (struct step[]){{.most = 1}, {.error = errors[i]}}, 2);
        put_growing(f, 4);
        cr_expect_eq(msgd_feed_flush(f, 0), -errors[i]);
        cr_expect_gt(strlen(msgd_feed_error(f)), 0u);
        expect_figures(f, 3, 1, 0);
        cr_expect_eq(taken[1], 3u);
        cr_expect_eq(msgd_feed_flush(f, 0), 0, "it is told once");
        f = msgd_feed_close(f);
    }
}

Test(client_feed_kernel, a_refusal_of_earlier_ones_loses_none)
{
    struct msgd_feed *f = feed();

    begin(true, (struct step[]){{.most = 1}, {.error = ECONNREFUSED}, {.most = 1}}, 3);
    put_growing(f, 4);
    cr_expect_eq(msgd_feed_flush(f, 0), -ECONNREFUSED);
    cr_expect_eq(n_taken, 4u);
    expect_figures(f, 4, 0, 0);
    f = msgd_feed_close(f);
}

Test(client_feed_kernel, where_trains_do_not_leave_single_datagrams_do)
{
    struct msgd_feed *f = feed();

    begin(false, NULL, 0);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(msgd_feed_put(f, "[12]", 4), 0);
    cr_expect_eq(msgd_feed_flush(f, 0), 0, "%s", msgd_feed_error(f));
    cr_expect_eq(n_taken, 100u);
    for (size_t i = 0; i < n_taken; i++)
        cr_expect_eq(taken[i], 4u);
    expect_figures(f, 100, 0, 0);
    f = msgd_feed_close(f);
}

Test(client_feed_kernel, a_train_is_one_message_to_the_kernel)
{
    struct msgd_feed *f = feed();

    begin(true, NULL, 0);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(msgd_feed_put(f, "[12]", 4), 0);
    cr_expect_eq(msgd_feed_flush(f, 0), 0, "%s", msgd_feed_error(f));
    cr_assert_eq(n_taken, 2u);
    cr_expect(taken[0] == 64 * 4 && taken[1] == 36 * 4);
    expect_figures(f, 100, 0, 0);
    f = msgd_feed_close(f);
}
