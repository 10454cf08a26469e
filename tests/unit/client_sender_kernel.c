/* SPDX-License-Identifier: MIT */
/* A sender whose kernel takes and refuses what the test says. Linked with --wrap=sendmmsg. */
#include "client/msgd.h"
#include "tests/unit/client_fake_kernel.h"

#include <criterion/criterion.h>

/* Messages under way at first (docs/protocol.md, "What a sender does"). */
#define FIRST_WINDOW 10
/* Of a datagram whose message is short. */
#define SHORT 128

static struct msgd_sender *sender(void)
{
    struct msgd_sender *s;
    cr_assert_eq(msgd_sender_open(&s, "127.0.0.1:9", NULL), 0, "%s", msgd_sender_error(NULL));
    return s;
}

/* A JSON text of n bytes. */
static void put(struct msgd_sender *s, size_t n)
{
    char text[512];
    memset(text, ' ', sizeof text);
    text[0] = '1';
    const struct msgd_send m = {.data = text, .length = n};
    cr_assert_eq(msgd_sender_put(s, &m), 0, "%s", msgd_sender_error(s));
}

static void put_short(struct msgd_sender *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(s, 4);
}

/* What is due is sent; the program hears so many results, each with that error. */
static void send_due(struct msgd_sender *s, int n_results, int error)
{
    struct msgd_result results[FIRST_WINDOW];
    cr_expect_eq(msgd_sender_results(s, results, FIRST_WINDOW, 0), n_results);
    for (int i = 0; i < n_results; i++)
        cr_expect_eq(results[i].error, error);
}

Test(client_sender_kernel, messages_of_one_length_are_one_train)
{
    struct msgd_sender *s = sender();

    begin(true, NULL, 0);
    put_short(s, FIRST_WINDOW);
    send_due(s, 0, 0);
    cr_assert_eq(n_taken, 1u);
    cr_expect_eq(taken[0], (size_t)FIRST_WINDOW * SHORT);
    cr_expect_eq(n_parts, (size_t)FIRST_WINDOW);
    s = msgd_sender_close(s);
}

Test(client_sender_kernel, a_shorter_one_ends_a_train_and_a_longer_one_begins_another)
{
    struct msgd_sender *s = sender();

    begin(true, NULL, 0);
    put(s, 300);
    put(s, 300);
    put(s, 200);
    put(s, 200);
    put(s, 400);
    put(s, 400);
    send_due(s, 0, 0);
    cr_assert_eq(n_taken, 3u);
    size_t headers = taken[0] - 800;
    cr_expect_eq(headers % 3, 0u);
    cr_expect_eq(taken[1], 200 + headers / 3);
    cr_expect_eq(taken[2], 800 + headers / 3 * 2);
    s = msgd_sender_close(s);
}

Test(client_sender_kernel, where_trains_do_not_leave_single_datagrams_do)
{
    struct msgd_sender *s = sender();

    begin(false, NULL, 0);
    put_short(s, FIRST_WINDOW);
    send_due(s, 0, 0);
    cr_assert_eq(n_taken, (size_t)FIRST_WINDOW);
    for (size_t i = 0; i < n_taken; i++)
        cr_expect_eq(taken[i], (size_t)SHORT);
    s = msgd_sender_close(s);
}

Test(client_sender_kernel, what_was_not_taken_goes_with_the_next_call)
{
    struct msgd_sender *s = sender();

    begin(true, (struct step[]){{.most = 1}, {.error = EINTR}, {.error = EAGAIN}}, 3);
    put(s, 200);
    put(s, 300);
    put(s, 300);
    send_due(s, 0, 0);
    cr_assert_eq(n_taken, 1u);
    send_due(s, 0, 0);
    cr_assert_eq(n_taken, 2u);
    cr_expect_gt(taken[1], 600u);
    s = msgd_sender_close(s);
}

Test(client_sender_kernel, a_train_that_a_full_device_has_dropped_goes_again)
{
    struct msgd_sender *s = sender();
    struct msgd_result result;

    begin(true, (struct step[]){{.error = ENOBUFS}}, 1);
    put_short(s, 3);
    send_due(s, 0, 0);
    cr_expect_eq(n_taken, 0u);
    cr_expect_eq(msgd_sender_results(s, &result, 1, 1000), 0);
    size_t bytes = 0;
    for (size_t i = 0; i < n_taken; i++)
        bytes += taken[i];
    cr_expect_geq(bytes, (size_t)3 * SHORT);
    s = msgd_sender_close(s);
}

Test(client_sender_kernel, one_too_large_is_refused_and_no_other)
{
    struct msgd_sender *s = sender();

    /* The train first, then each by itself. */
    begin(true, (struct step[]){{.error = EMSGSIZE}, {.error = EMSGSIZE}}, 2);
    put_short(s, FIRST_WINDOW);
    send_due(s, 1, -EMSGSIZE);
    cr_expect_eq(n_taken, (size_t)FIRST_WINDOW - 1);
    s = msgd_sender_close(s);
}
