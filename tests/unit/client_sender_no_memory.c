/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a sender fails in turn, from opening it to its reply: each failure is an
 * error or has no effect, and nothing is lost or freed twice. Linked with --wrap for the allocating
 * functions.
 */
#include "client/msgd.h"
#include "failing_malloc.h"
#include "proto/frame.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answers the request that is there, if it has come. */
static void reply_to(int fd)
{
    static uint8_t bytes[2048];
    struct sockaddr_in from;
    socklen_t n_from = sizeof(from);
    struct frame f;
    ssize_t n = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &n_from);

    if (n <= 0)
        return;
    cr_assert_eq(frame_parse(bytes, (size_t)n, &f), 0);
    const struct frame reply = {.type = FRAME_REPLY,
                                .members = FRAME_HAS_ID,
                                .id = f.id,
                                .body = {(const uint8_t *)"[1]", 3}};
    uint8_t answer[512];
    size_t n_answer = frame_write(&reply, answer, sizeof(answer));
    sendto(fd, answer, n_answer, 0, (struct sockaddr *)&from, n_from);
}

/* One request and its reply. True: without any failure. */
static bool ask(int fd, const char *target)
{
    const struct msgd_sender_options options = {.timeout_ms = 100};
    const struct msgd_send message = {
        .data = "1", .length = 1, .wish = MSGD_WISH_REPLY, .id = "mine"};
    struct msgd_result result = {.outcome = MSGD_OUTCOME_TIMED_OUT};
    struct msgd_sender *s;

    if (msgd_sender_open(&s, target, &options) != 0) {
        cr_expect(s == NULL && strlen(msgd_sender_error(NULL)) > 0);
        return false;
    }
    bool is_good = msgd_sender_put(s, &message) == 0;
    if (!is_good)
        cr_expect_gt(strlen(msgd_sender_error(s)), 0);
    int n = is_good ? msgd_sender_results(s, &result, 1, 0) : 1;
    while (n == 0) {
        reply_to(fd);
        n = msgd_sender_results(s, &result, 1, 10);
    }
    is_good = is_good && n == 1 && result.outcome == MSGD_OUTCOME_REPLIED;
    s = msgd_sender_close(s);
    return is_good;
}

Test(client_sender_no_memory, each_allocation_may_fail, .timeout = 100)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(here);
    char target[32];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&here, &length), 0);
    snprintf(target, sizeof(target), "127.0.0.1:%u", ntohs(here.sin_port));
    n_allocations = 0;
    cr_assert(ask(fd, target));
    unsigned long n = n_allocations;
    cr_expect_gt(n, 5);
    for (unsigned long i = 1; i <= n; i++) {
        n_allocations = 0;
        fail_at = i;
        ask(fd, target);
        fail_at = 0;
    }
    cr_assert(ask(fd, target));
    close(fd);
}
