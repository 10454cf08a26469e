/* SPDX-License-Identifier: MIT */
/* libmsgd's feed against a socket of this host. */
#include "client/msgd.h"
#include "proto/frame.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t bytes[65536];

static int receiver_open(char target[32])
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&here, sizeof here), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&here, &length), 0);
    snprintf(target, 32, "127.0.0.1:%u", ntohs(here.sin_port));
    return fd;
}

static struct msgd_feed *feed_to(const char *target, const struct msgd_feed_options *options)
{
    struct msgd_feed *f;
    cr_assert_eq(msgd_feed_open(&f, target, options), 0, "%s", msgd_feed_error(NULL));
    return f;
}

static void put(struct msgd_feed *f, const char *text)
{
    cr_assert_eq(msgd_feed_put(f, text, strlen(text)), 0, "%s", msgd_feed_error(f));
}

/* The next datagram is there; its length. */
static size_t take(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&ready, 1, 10000), 1, "nothing came");
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    cr_assert_geq(n, 0);
    return (size_t)n;
}

static void expect(int fd, const char *text)
{
    size_t n = take(fd);
    cr_expect(n == strlen(text) && memcmp(bytes, text, n) == 0, "%.*s", (int)n, (char *)bytes);
}

static bool has_more(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

static void expect_figures(const struct msgd_feed *f, struct msgd_feed_figures wanted)
{
    struct msgd_feed_figures seen;
    msgd_feed_figures(f, &seen);
    cr_expect_eq(seen.put, wanted.put);
    cr_expect_eq(seen.sent, wanted.sent);
    cr_expect_eq(seen.failed, wanted.failed);
    cr_expect_eq(seen.waiting, wanted.waiting);
    cr_expect_eq(seen.datagrams, wanted.datagrams);
    cr_expect_eq(seen.refusals, wanted.refusals);
}

Test(client_feed, what_was_put_leaves_when_it_is_flushed)
{
    char target[32];
    int fd = receiver_open(target);
    struct msgd_feed *f = feed_to(target, NULL);

    put(f, "1");
    put(f, "{\"a\": 1}");
    put(f, "[2]");
    cr_expect_not(has_more(fd));
    expect_figures(f, (struct msgd_feed_figures){.put = 3, .waiting = 3});
    cr_assert_eq(msgd_feed_flush(f, 0), 0, "%s", msgd_feed_error(f));
    expect(fd, "1");
    expect(fd, "{\"a\": 1}");
    expect(fd, "[2]");
    expect_figures(f, (struct msgd_feed_figures){.put = 3, .sent = 3, .datagrams = 3});
    put(f, "4");
    f = msgd_feed_close(f);
    expect(fd, "4");
    cr_expect_not(has_more(fd));
    close(fd);
}

Test(client_feed, much_leaves_without_a_flush)
{
    char target[32], text[32];
    int fd = receiver_open(target);
    struct msgd_feed *f = feed_to(target, NULL);
    struct msgd_feed_figures seen;

    for (unsigned i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "%u", i);
        put(f, text);
        msgd_feed_figures(f, &seen);
        cr_expect_eq(seen.put, seen.sent + seen.waiting);
        while (has_more(fd))
            take(fd);
    }
    cr_expect_gt(seen.sent, 0u);
    f = msgd_feed_close(f);
    close(fd);
}

/* How many datagrams one read of the receiver holds. */
static size_t take_train(int fd, size_t *length)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec room = {bytes, sizeof bytes};
    struct msghdr m = {.msg_iov = &room,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
    int segment;

    cr_assert_gt(n, 0);
    *length = (size_t)n;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c == NULL || c->cmsg_type != UDP_GRO)
        return 1;
    memcpy(&segment, CMSG_DATA(c), sizeof segment);
    return ((size_t)n + (size_t)segment - 1) / (size_t)segment;
}

Test(client_feed, those_of_one_length_leave_as_a_train)
{
    char target[32];
    size_t length;
    int one = 1, fd = receiver_open(target);
    struct msgd_feed *f = feed_to(target, NULL);

    cr_assert_eq(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one), 0);
    for (int i = 0; i < 70; i++)
        put(f, "[1234]");
    put(f, "[1]");
    put(f, "[12345678]");
    cr_assert_eq(msgd_feed_flush(f, 0), 0, "%s", msgd_feed_error(f));
    cr_expect_eq(take_train(fd, &length), 64u);
    cr_expect_eq(length, 64u * 6);
    cr_expect_eq(take_train(fd, &length), 7u, "a shorter one ends a train");
    cr_expect_eq(length, 6u * 6 + 3);
    cr_expect_eq(take_train(fd, &length), 1u);
    cr_expect_eq(length, 10u);
    expect_figures(f, (struct msgd_feed_figures){.put = 72, .sent = 72, .datagrams = 72});
    f = msgd_feed_close(f);
    close(fd);
}

Test(client_feed, a_batch_holds_as_many_messages_as_fit)
{
    char target[32];
    int fd = receiver_open(target);
    struct msgd_feed *f = feed_to(
        target, &(struct msgd_feed_options){.is_batch = 1, .max_datagram_bytes = 35 + 3 * 5});
    struct frame_slice text;
    struct frame frame;
    size_t at = 0, n = 0;

    for (int i = 0; i < 4; i++)
        put(f, "[1]");
    put(f, "\"longer than any batch may be\"");
    put(f, "5");
    cr_assert_eq(msgd_feed_flush(f, 0), 0, "%s", msgd_feed_error(f));
    cr_assert_eq(frame_parse(bytes, take(fd), &frame), 0);
    cr_expect_eq((int)frame.type, FRAME_BATCH);
    for (; frame_batch_next(&frame.body, &at, &text); n++)
        cr_expect(text.n == 4 && memcmp(text.bytes, "[1]\n", 4) == 0);
    cr_expect_eq(n, 3u);
    expect(fd, "[1]");
    expect(fd, "\"longer than any batch may be\"");
    expect(fd, "5");
    expect_figures(f, (struct msgd_feed_figures){.put = 6, .sent = 6, .datagrams = 4});
    f = msgd_feed_close(f);
    close(fd);
}

Test(client_feed, the_longest_message_goes_in_either_way)
{
    static char text[65508];
    char target[32];
    int fd = receiver_open(target);

    memset(text, '1', sizeof text);
    for (int is_batch = 0; is_batch < 2; is_batch++) {
        struct msgd_feed *f = feed_to(target, &(struct msgd_feed_options){.is_batch = is_batch});
        cr_expect_eq(msgd_feed_put(f, text, sizeof text), -EMSGSIZE);
        for (int i = 0; i < 2; i++) {
            cr_assert_eq(msgd_feed_put(f, text, sizeof text - 1), 0);
            cr_assert_eq(msgd_feed_flush(f, 0), 0, "%s", msgd_feed_error(f));
            cr_expect_eq(take(fd), sizeof text - 1);
        }
        f = msgd_feed_close(f);
    }
    close(fd);
}

Test(client_feed, only_json_is_taken_unless_it_is_raw)
{
    char target[32];
    int fd = receiver_open(target);
    struct msgd_feed *f = feed_to(target, NULL);

    cr_expect_eq(msgd_feed_put(f, "hello", 5), -EINVAL);
    cr_expect_eq(msgd_feed_put(f, "", 0), -EINVAL);
    expect_figures(f, (struct msgd_feed_figures){0});
    f = msgd_feed_close(f);
    f = feed_to(target, &(struct msgd_feed_options){.is_raw = 1});
    put(f, "hello");
    put(f, "");
    put(f, "");
    cr_assert_eq(msgd_feed_flush(f, 0), 0);
    expect(fd, "hello");
    expect(fd, "");
    expect(fd, "");
    f = msgd_feed_close(f);
    f = feed_to(target, &(struct msgd_feed_options){.is_raw = 1, .is_batch = 1});
    cr_expect_eq(msgd_feed_put(f, "1\x1e", 2), -EINVAL);
    cr_expect_not_null(strstr(msgd_feed_error(f), "RS"));
    put(f, "hello");
    f = msgd_feed_close(f);
    expect(fd, "hello");
    close(fd);
}

Test(client_feed, a_refusal_is_told_once_and_everything_is_counted)
{
    char target[32];
    struct msgd_feed_figures seen;
    int fd = receiver_open(target);
    struct msgd_feed *f = feed_to(target, NULL);

    close(fd);
    put(f, "1");
    put(f, "22");
    put(f, "333");
    cr_expect_eq(msgd_feed_flush(f, -1), -ECONNREFUSED);
    cr_expect_not_null(strstr(msgd_feed_error(f), target), "%s", msgd_feed_error(f));
    msgd_feed_figures(f, &seen);
    cr_expect(seen.sent == 3 && seen.failed == 0 && seen.waiting == 0);
    cr_expect(seen.refusals >= 1 && seen.refusals <= 3);
    cr_expect_eq(msgd_feed_flush(f, -1), 0, "%s", msgd_feed_error(f));
    f = msgd_feed_close(f);
}

Test(client_feed, a_forked_child_sends_nothing)
{
    char target[32];
    int status, fd = receiver_open(target);
    struct msgd_feed *f = feed_to(target, NULL);

    put(f, "1");
    pid_t child = fork();
    if (child == 0) {
        bool is_good = msgd_feed_flush(f, 0) == -ESTALE;
        int error = 0;
        for (int i = 0; i < 1000 && error == 0; i++)
            error = msgd_feed_put(f, "2", 1);
        is_good = is_good && error == -ESTALE;
        msgd_feed_close(f);
        _exit(is_good ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    cr_expect_not(has_more(fd));
    f = msgd_feed_close(f);
    expect(fd, "1");
    cr_expect_not(has_more(fd));
    close(fd);
}

Test(client_feed, what_is_no_target_is_said)
{
    struct msgd_feed *f;
    cr_expect_eq(msgd_feed_open(&f, "127.0.0.1", NULL), -EINVAL);
    cr_expect_null(f);
    cr_expect_gt(strlen(msgd_feed_error(NULL)), 0u);
    cr_expect_null(msgd_feed_close(NULL));
}
