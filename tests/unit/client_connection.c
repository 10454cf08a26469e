/* SPDX-License-Identifier: MIT */
/* Frames and descriptors as they come off a stream, cut anywhere. */
#include "client/connection.h"
#include "client/deadline.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A connection, and the other end of its stream. */
static int pair(struct connection *c)
{
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    connection_init(c);
    c->fd = fds[0];
    return fds[1];
}

static void send_with_fds(int fd, const char *bytes, size_t n, int n_fds)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 64)];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec data = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&message);

    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
    for (int i = 0; i < n_fds; i++)
        memcpy(CMSG_DATA(h) + (size_t)i * sizeof(int), &fd, sizeof(int));
    cr_assert_eq(sendmsg(fd, &message, MSG_NOSIGNAL), (ssize_t)n);
}

Test(client_connection, a_reply_that_comes_byte_by_byte_is_one_reply)
{
    static const char frame[] = "{\"parameters\":{\"n\":7}}";
    struct varlink_reply reply;
    struct connection c;
    int other = pair(&c);

    for (size_t i = 0; i < sizeof(frame); i++) {
        cr_assert_eq(connection_next(&c, &reply), 0);
        cr_assert_eq(connection_read(&c), -EAGAIN);
        cr_assert_eq(write(other, frame + i, 1), 1);
        cr_assert_eq(connection_read(&c), 0);
    }
    cr_assert_eq(connection_next(&c, &reply), 1);
    cr_expect_eq(json_integer_value(json_object_get(reply.parameters, "n")), 7);
    varlink_reply_deinit(&reply);
    cr_expect_eq(connection_next(&c, &reply), 0);
    connection_close(&c);
    close(other);
}

Test(client_connection, sets_of_descriptors_come_in_the_order_of_their_replies)
{
    struct varlink_reply reply;
    struct descriptor_set set;
    struct connection c;
    int other = pair(&c);

    send_with_fds(other, "{}", 3, 5);
    cr_assert_eq(write(other, "{}", 3), 3);
    send_with_fds(other, "{\"par", 5, 2);
    cr_assert_eq(write(other, "ameters\":{}}", 13), 13);
    while (connection_read(&c) == 0)
        ;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(connection_next(&c, &reply), 1);
        varlink_reply_deinit(&reply);
    }
    cr_assert_eq(connection_take_set(&c, &set), 0);
    cr_expect_eq(set.n, 5);
    cr_expect(fcntl(set.fds[4], F_GETFD) & FD_CLOEXEC);
    descriptor_set_close(&set);
    cr_assert_eq(connection_take_set(&c, &set), 0);
    cr_expect_eq(set.n, 2);
    descriptor_set_close(&set);
    cr_expect_eq(connection_take_set(&c, &set), -EPROTO);
    connection_close(&c);
    close(other);
}

Test(client_connection, more_descriptors_than_there_is_room_for_are_closed)
{
    struct descriptor_set set;
    struct connection c;
    int other = pair(&c);

    send_with_fds(other, "{}", 3, CONNECTION_SET_MAX + 1);
    cr_assert_eq(connection_read(&c), 0);
    int next = dup(0);
    cr_expect_eq(connection_take_set(&c, &set), -EMFILE);
    int lower = dup(0);
    cr_expect_lt(lower, next, "descriptors were closed");
    close(next);
    close(lower);
    connection_close(&c);
    close(other);
}

Test(client_connection, descriptors_that_nobody_asked_for_do_not_pile_up)
{
    struct connection c;
    int other = pair(&c);

    for (int i = 0; i < CONNECTION_SETS_MAX; i++) {
        send_with_fds(other, "{}", 3, 1);
        cr_assert_eq(connection_read(&c), 0);
    }
    send_with_fds(other, "{}", 3, 1);
    cr_expect_eq(connection_read(&c), -EPROTO);
    connection_close(&c);
    close(other);
}

Test(client_connection, both_ends_full_is_not_a_deadlock)
{
    static char big[300000];
    struct connection c;
    int other = pair(&c);

    memset(big, 'x', sizeof(big));
    json_put_raw_bytes(&c.out, big, sizeof(big));
    json_put_raw_bytes(&c.out, big, sizeof(big));
    while (write(other, "{\"parameters\":{}}", 18) == 18)
        ;
    cr_expect_eq(connection_send(&c), -EAGAIN);
    cr_expect_eq(connection_wait(&c, deadline_after_ms(1000)), 0);
    cr_expect_eq(connection_read(&c), 0);
    connection_close(&c);
    close(other);
}

Test(client_connection, the_end_is_told_apart_from_silence_and_from_talk)
{
    struct connection c;
    int other = pair(&c);

    cr_expect_eq(connection_probe(&c), 0);
    cr_assert_eq(write(other, "{}", 3), 3);
    cr_expect_eq(connection_probe(&c), -EPROTO);
    cr_expect_eq(connection_read(&c), 0);
    cr_expect_eq(connection_probe(&c), -EPROTO);
    struct varlink_reply reply;
    cr_assert_eq(connection_next(&c, &reply), 1);
    varlink_reply_deinit(&reply);
    cr_expect_eq(connection_probe(&c), 0);
    close(other);
    cr_expect_eq(connection_probe(&c), -ECONNRESET);
    cr_expect_eq(connection_read(&c), -ECONNRESET);
    json_put_raw_bytes(&c.out, "x", 1);
    cr_expect_eq(connection_send(&c), -EPIPE);
    connection_close(&c);
}

Test(client_connection, waiting_ends_with_the_time)
{
    struct connection c;
    int other = pair(&c);

    cr_expect_eq(connection_wait(&c, deadline_after_ms(10)), -ETIMEDOUT);
    cr_expect_eq(connection_wait(&c, deadline_after_ms(0)), -ETIMEDOUT);
    connection_close(&c);
    connection_close(&c);
    close(other);
}
