/* SPDX-License-Identifier: MIT */
/* A sender whose kernel takes and refuses what the test says. Linked with
 * --wrap=sendmmsg,--wrap=getsockopt. */
#include "client/msgd.h"
#include "tests/unit/client_fake_kernel.h"

#include <criterion/criterion.h>
#include <netinet/in.h>

/* Messages under way at first (docs/protocol.md, "What a sender does"). */
#define FIRST_WINDOW 10
/* Of a datagram whose message is short. */
#define SHORT 128

static int path_mtu; /* 0: that of the loopback device */

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length);

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    if (level != IPPROTO_IP || name != IP_MTU || path_mtu == 0)
        return __real_getsockopt(fd, level, name, value, length);
    memcpy(value, &path_mtu, sizeof path_mtu);
    return 0;
}

static struct msgd_sender *sender(void)
{
    struct msgd_sender *s;
    cr_assert_eq(msgd_sender_open(&s, "127.0.0.1:9", NULL), 0, "%s", msgd_sender_error(NULL));
    return s;
}

/* A JSON text of n bytes. */
static void put(struct msgd_sender *s, size_t n)
{
    char text[1600];
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

/* Lengths of texts, which all have headers of one length. */
static void put_lengths(struct msgd_sender *s, const size_t *lengths, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(s, lengths[i]);
}

Test(client_sender_kernel, a_shorter_one_ends_a_train_and_a_longer_one_begins_another)
{
    struct msgd_sender *s = sender();

    begin(true, NULL, 0);
    put_lengths(s, (size_t[]){600, 600, 300, 300, 800, 800}, 6);
    send_due(s, 0, 0);
    cr_assert_eq(n_taken, 3u);
    size_t header = (taken[0] - 1500) / 3;
    cr_expect_eq(taken[0], 1500 + 3 * header);
    cr_expect_eq(taken[1], 300 + header);
    cr_expect_eq(taken[2], 1600 + 2 * header);
    s = msgd_sender_close(s);
}

Test(client_sender_kernel, within_a_host_similar_lengths_are_made_one)
{
    struct msgd_sender *s = sender();

    begin(true, NULL, 0);
    put_lengths(s, (size_t[]){300, 299, 292, 291, 290, 256, 300}, 7);
    send_due(s, 0, 0);
    cr_assert_eq(n_taken, 1u);
    cr_expect_eq(n_parts, 7u);
    cr_expect_eq(taken[0] % 7, 0u);
    s = msgd_sender_close(s);
}

Test(client_sender_kernel, on_a_network_no_byte_is_added)
{
    path_mtu = 1500;
    struct msgd_sender *s = sender();

    begin(true, NULL, 0);
    put_lengths(s, (size_t[]){300, 290, 280}, 3);
    send_due(s, 0, 0);
    cr_assert_eq(n_taken, 2u);
    cr_expect_eq(2 * taken[1] - taken[0], (size_t)2 * 280 - 300 - 290);
    s = msgd_sender_close(s);
}

Test(client_sender_kernel, what_the_network_cuts_is_no_part_of_a_train)
{
    path_mtu = 1500;
    struct msgd_sender *s = sender();

    begin(true, NULL, 0);
    put_lengths(s, (size_t[]){1500, 1500}, 2);
    send_due(s, 0, 0);
    cr_assert_eq(n_taken, 2u);
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
    put_lengths(s, (size_t[]){200, 300, 300}, 3);
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
