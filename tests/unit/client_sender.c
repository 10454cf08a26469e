/* SPDX-License-Identifier: MIT */
/* libmsgd's sender against an endpoint that the test plays itself, on a socket of this host. */
#include "client/msgd.h"
#include "proto/frame.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The endpoint, and the message that it received last. */
struct endpoint {
    int fd;
    char target[32];
    struct sockaddr_in from;
    uint8_t bytes[65536];
    size_t n;
    struct frame f;
};

static void endpoint_open(struct endpoint *e)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;

    e->fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_geq(e->fd, 0);
    cr_assert_eq(bind(e->fd, (struct sockaddr *)&here, sizeof here), 0);
    cr_assert_eq(getsockname(e->fd, (struct sockaddr *)&here, &length), 0);
    snprintf(e->target, sizeof e->target, "127.0.0.1:%u", ntohs(here.sin_port));
}

/* Waits for the next message. */
static void endpoint_receive(struct endpoint *e)
{
    socklen_t length = sizeof e->from;
    struct pollfd fd = {.fd = e->fd, .events = POLLIN};
    cr_assert_eq(poll(&fd, 1, 10000), 1, "nothing was sent");
    ssize_t n = recvfrom(e->fd, e->bytes, sizeof e->bytes, 0, (struct sockaddr *)&e->from, &length);
    cr_assert_gt(n, 0);
    e->n = (size_t)n;
    cr_assert_eq(frame_parse(e->bytes, e->n, &e->f), 0);
    cr_assert_neq(e->f.members & FRAME_HAS_CRC, 0u);
}

static bool endpoint_has_more(struct endpoint *e, int ms)
{
    struct pollfd fd = {.fd = e->fd, .events = POLLIN};
    return poll(&fd, 1, ms) == 1;
}

static void endpoint_answer(struct endpoint *e, struct frame answer)
{
    uint8_t buf[2048];
    answer.members |= FRAME_HAS_ID;
    answer.id = e->f.id;
    size_t n = frame_write(&answer, buf, sizeof buf);
    cr_assert_gt(n, 0);
    cr_assert_eq(sendto(e->fd, buf, n, 0, (struct sockaddr *)&e->from, sizeof e->from), (ssize_t)n);
}

static const struct frame ack_stored = {
    .type = FRAME_ACK, .members = FRAME_HAS_WISH, .wish = FRAME_STORED};
static const struct frame ack_released = {
    .type = FRAME_ACK, .members = FRAME_HAS_WISH, .wish = FRAME_RELEASED};

static struct frame nack(const char *reason, bool is_retry)
{
    return (struct frame){.type = FRAME_NACK,
                          .members = FRAME_HAS_REASON,
                          .reason = {(const uint8_t *)reason, strlen(reason)},
                          .is_retry = is_retry};
}

static struct msgd_sender *sender_to(const char *target, uint32_t max_unanswered, int timeout_ms)
{
    struct msgd_sender *s;
    const struct msgd_sender_options o = {.max_unanswered = max_unanswered,
                                          .timeout_ms = timeout_ms};
    int error = msgd_sender_open(&s, target, &o);
    cr_assert_eq(error, 0, "%s", msgd_sender_error(NULL));
    return s;
}

static void put(struct msgd_sender *s, const char *text, enum msgd_wish wish, void *token)
{
    const struct msgd_send m = {.data = text, .length = strlen(text), .wish = wish, .token = token};
    cr_assert_eq(msgd_sender_put(s, &m), 0, "%s", msgd_sender_error(s));
}

/* Sends what is due, and fetches nothing. */
static void step(struct msgd_sender *s)
{
    struct msgd_result result;
    cr_assert_eq(msgd_sender_results(s, &result, 1, 0), 0);
}

static struct endpoint e;

Test(client_sender, a_message_is_stored_and_its_token_comes_back)
{
    struct msgd_result result;
    int token;

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    cr_expect_eq(msgd_sender_results(s, &result, 1, -1), 0, "nothing is under way");
    put(s, "{\"a\": 1}", MSGD_WISH_STORED, &token);
    cr_expect_eq(msgd_sender_unanswered(s), 1u);
    step(s);
    endpoint_receive(&e);
    cr_expect_eq((int)e.f.type, FRAME_SEND);
    cr_expect_eq((int)e.f.wish, FRAME_STORED);
    cr_expect(e.f.id.is_numbered && e.f.id.number == 1);
    cr_expect_geq(e.n, 128u);
    cr_expect(e.f.body.n == 8 && memcmp(e.f.body.bytes, "{\"a\": 1}", 8) == 0);
    endpoint_answer(&e, ack_stored);
    cr_assert_eq(msgd_sender_results(s, &result, 1, 10000), 1);
    cr_expect(result.token == &token && result.outcome == MSGD_OUTCOME_STORED && result.error == 0);
    cr_expect(result.n_sent == 1 && result.took_ns > 0);
    cr_expect_eq(msgd_sender_unanswered(s), 0u);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, what_is_not_answered_goes_again)
{
    struct msgd_result result;

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    put(s, "1", MSGD_WISH_RELEASED, NULL);
    step(s);
    endpoint_receive(&e);
    uint64_t number = e.f.id.number;
    cr_assert_eq(msgd_sender_results(s, &result, 1, 700), 0);
    endpoint_receive(&e);
    cr_expect_eq(e.f.id.number, number);
    cr_expect_eq((int)e.f.wish, FRAME_RELEASED);
    endpoint_answer(&e, ack_stored);
    step(s);
    cr_expect_eq(msgd_sender_unanswered(s), 1u);
    endpoint_answer(&e, ack_released);
    cr_assert_eq(msgd_sender_results(s, &result, 1, 10000), 1);
    cr_expect(result.outcome == MSGD_OUTCOME_RELEASED && result.n_sent >= 2);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, a_refusal_has_its_reason_and_an_errno)
{
    static const struct {
        const char *reason;
        int error;
    } cases[] = {{"not_allowed", -EACCES},
                 {"too_large", -EMSGSIZE},
                 {"invalid_json", -EBADMSG},
                 {"expired", -ECONNABORTED},
                 {"of_a_later_version", -ECONNABORTED}};
    struct msgd_result result;

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(s, "1", MSGD_WISH_STORED, NULL);
        step(s);
        endpoint_receive(&e);
        endpoint_answer(&e, nack(cases[i].reason, false));
        cr_assert_eq(msgd_sender_results(s, &result, 1, 10000), 1);
        cr_expect_eq((int)result.outcome, MSGD_OUTCOME_REFUSED);
        cr_expect_str_eq(result.reason, cases[i].reason);
        cr_expect(result.error == cases[i].error && !result.is_temporary, "%s", result.reason);
    }
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, a_refusal_for_the_moment_lasts_until_the_time_is_over)
{
    struct msgd_result result;
    int n = 0;

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 300);
    put(s, "1", MSGD_WISH_STORED, NULL);
    step(s);
    do {
        while (endpoint_has_more(&e, 0)) {
            endpoint_receive(&e);
            endpoint_answer(&e, nack("mailbox_full", true));
        }
    } while ((n = msgd_sender_results(s, &result, 1, 10)) == 0);
    cr_assert_eq(n, 1);
    cr_expect(result.outcome == MSGD_OUTCOME_REFUSED && result.is_temporary);
    cr_expect_eq(result.error, -EAGAIN);
    cr_expect_str_eq(result.reason, "mailbox_full");
    cr_expect_geq(result.n_sent, 2u);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, a_request_gets_its_reply)
{
    struct msgd_result result;
    struct frame reply = {.type = FRAME_REPLY, .body = {(const uint8_t *)"[2]", 3}};

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    put(s, "1", MSGD_WISH_REPLY, NULL);
    put(s, "2", MSGD_WISH_REPLY, NULL);
    step(s);
    endpoint_receive(&e);
    cr_expect_eq((int)e.f.type, FRAME_REQUEST);
    endpoint_answer(&e, ack_released);
    endpoint_receive(&e);
    endpoint_answer(&e, reply);
    endpoint_answer(&e, reply);
    cr_assert_eq(msgd_sender_results(s, &result, 1, 10000), 1);
    cr_expect_eq((int)result.outcome, MSGD_OUTCOME_RELEASED);
    cr_assert_eq(msgd_sender_results(s, &result, 1, 10000), 1);
    cr_expect_eq((int)result.outcome, MSGD_OUTCOME_REPLIED);
    cr_expect(result.reply_length == 3 && memcmp(result.reply, "[2]", 3) == 0);
    cr_expect_eq(msgd_sender_results(s, &result, 1, 100), 0);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, a_text_is_an_id_as_it_stands)
{
    struct msgd_result result;
    const struct msgd_send m = {.data = "1", .length = 1, .id = "order-4711"};

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    cr_assert_eq(msgd_sender_put(s, &m), 0);
    cr_expect_eq(msgd_sender_put(s, &m), -EEXIST);
    step(s);
    endpoint_receive(&e);
    cr_expect_not(e.f.id.is_numbered);
    cr_expect(e.f.id.text.n == 10 && memcmp(e.f.id.text.bytes, "order-4711", 10) == 0);
    cr_expect_geq(e.n, 160u);
    endpoint_answer(&e, ack_stored);
    cr_assert_eq(msgd_sender_results(s, &result, 1, 10000), 1);
    cr_expect_eq((int)result.outcome, MSGD_OUTCOME_STORED);
    cr_expect_eq(msgd_sender_put(s, &m), 0, "it is not under way any more");
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, refuses_what_cannot_be_sent)
{
    static char large[70000];
    static const struct {
        const char *text;
        const char *id;
        int error;
    } cases[] = {
        {"hello", NULL, -EINVAL},
        {"", NULL, -EINVAL},
        {"1 2", NULL, -EINVAL},
        {"1", "", -EINVAL},
        {"1", "a b", -EINVAL},
        {"1", "a\"b", -EINVAL},
        {"1", "a\\b", -EINVAL},
        {"1", "\xc3\xbc", -EINVAL},
        {"1", "0123456789abcdef.17", -EINVAL},
        {"1", "0123456789abcdef.017x", 0},
        {"1", "0123456789ABCDEF.17", 0},
        {"1", "1234567890123456789012345678901234567890123456789012345678901234", 0},
        {"1", "12345678901234567890123456789012345678901234567890123456789012345", -EINVAL},
        {large, NULL, -EMSGSIZE},
    };

    memset(large, '1', sizeof large - 1);
    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct msgd_send m = {
            .data = cases[i].text, .length = strlen(cases[i].text), .id = cases[i].id};
        cr_expect_eq(msgd_sender_put(s, &m), cases[i].error, "%.20s %s", cases[i].text,
                     cases[i].id != NULL ? cases[i].id : "");
    }
    /* Just as large as a datagram with a header may be, and one byte more. */
    const struct msgd_send fits = {.data = large, .length = 65507 - 97};
    const struct msgd_send does_not = {.data = large, .length = 65507 - 60};
    cr_expect_eq(msgd_sender_put(s, &fits), 0, "%s", msgd_sender_error(s));
    cr_expect_eq(msgd_sender_put(s, &does_not), -EMSGSIZE);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, no_more_are_put_than_may_be_under_way)
{
    struct msgd_result results[4];
    const struct msgd_send m = {.data = "1", .length = 1};

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 2, 0);
    put(s, "1", MSGD_WISH_STORED, NULL);
    put(s, "2", MSGD_WISH_STORED, NULL);
    cr_expect_eq(msgd_sender_put(s, &m), -EAGAIN);
    cr_expect_not_null(strstr(msgd_sender_error(s), "fetch results"));
    step(s);
    endpoint_receive(&e);
    struct frame both = ack_stored;
    both.members |= FRAME_HAS_COUNT;
    both.count = 2;
    endpoint_answer(&e, both);
    cr_assert_eq(msgd_sender_results(s, results, 4, 10000), 2);
    cr_expect_eq(msgd_sender_put(s, &m), 0);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, a_port_where_nobody_is_ends_everything_at_once)
{
    struct msgd_result results[8];

    endpoint_open(&e);
    close(e.fd);
    struct msgd_sender *s = sender_to(e.target, 0, -1);
    for (int i = 0; i < 3; i++)
        put(s, "1", MSGD_WISH_STORED, NULL);
    int n = 0;
    while (n < 3) {
        int got = msgd_sender_results(s, results + n, 8, 10000);
        cr_assert_gt(got, 0);
        for (int i = n; i < n + got; i++)
            cr_expect(results[i].outcome == MSGD_OUTCOME_UNREACHABLE &&
                      results[i].error == -ECONNREFUSED);
        n += got;
    }
    const struct msgd_send m = {.data = "1", .length = 1};
    cr_expect_eq(msgd_send_wait(s, &m, NULL), -ECONNREFUSED);
    cr_expect_not_null(strstr(msgd_sender_error(s), "nobody listens"));
    s = msgd_sender_close(s);
}

Test(client_sender, a_refusal_goes_on_to_the_next_address_of_the_host)
{
    struct msgd_result result;
    char target[40];

    endpoint_open(&e);
    snprintf(target, sizeof target, "localhost:%s", strchr(e.target, ':') + 1);
    struct msgd_sender *s = sender_to(target, 0, 0);
    put(s, "1", MSGD_WISH_STORED, NULL);
    put(s, "2", MSGD_WISH_STORED, NULL);
    step(s);
    step(s);
    endpoint_receive(&e);
    cr_expect_eq(e.f.id.number, 1u);
    endpoint_answer(&e, ack_stored);
    cr_assert_eq(msgd_sender_results(s, &result, 1, 10000), 1);
    cr_expect_eq((int)result.outcome, MSGD_OUTCOME_STORED);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, nonsense_and_strangers_change_nothing)
{
    struct msgd_result result;
    struct msgd_sender_figures figures;
    static const char *const nonsense[] = {
        "", "hello", "\x1e", "\x1e{}\n",
        "\x1e{\"type\":\"ack\",\"id\":\"x\",\"ack\":\"stored\"}\n"};

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    put(s, "1", MSGD_WISH_STORED, NULL);
    step(s);
    endpoint_receive(&e);
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        sendto(e.fd, nonsense[i], strlen(nonsense[i]), 0, (struct sockaddr *)&e.from,
               sizeof e.from);
    /* Right in everything but the checksum, which is missing. */
    char text[200];
    int n =
        snprintf(text, sizeof text, "\x1e{\"type\":\"ack\",\"id\":\"%.*s\",\"ack\":\"stored\"}\n",
                 (int)e.f.id.text.n, (const char *)e.f.id.text.bytes);
    sendto(e.fd, text, (size_t)n, 0, (struct sockaddr *)&e.from, sizeof e.from);
    cr_expect_eq(msgd_sender_results(s, &result, 1, 20), 0);
    msgd_sender_figures(s, &figures);
    cr_expect_eq(figures.ignored, 6u);
    cr_expect_eq(msgd_sender_unanswered(s), 1u);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, a_thousand_messages_are_under_way_together)
{
    enum { N = 1000 };
    static struct msgd_result results[N];
    static bool is_told[N];
    int n_put = 0, n_told = 0;

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 256, 0);
    while (n_told < N) {
        while (n_put < N && msgd_sender_unanswered(s) < 256)
            put(s, "1", MSGD_WISH_STORED, &is_told[n_put++]);
        int n = msgd_sender_results(s, results, N, 1);
        cr_assert_geq(n, 0);
        for (int i = 0; i < n; i++) {
            bool *told = results[i].token;
            cr_assert(results[i].outcome == MSGD_OUTCOME_STORED && !*told);
            *told = true;
        }
        n_told += n;
        while (endpoint_has_more(&e, 0)) {
            endpoint_receive(&e);
            endpoint_answer(&e, ack_stored);
        }
    }
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, its_descriptor_wakes_an_event_loop)
{
    struct msgd_result result;

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    struct pollfd fd = {.fd = msgd_sender_fd(s), .events = POLLIN};
    cr_assert_geq(fd.fd, 0);
    cr_expect_eq(poll(&fd, 1, 0), 0, "nothing to do");
    put(s, "1", MSGD_WISH_STORED, NULL);
    cr_expect_eq(poll(&fd, 1, 1000), 1, "a message is to be sent");
    step(s);
    endpoint_receive(&e);
    cr_expect_eq(poll(&fd, 1, 0), 0, "it is under way");
    cr_expect_eq(poll(&fd, 1, 1000), 1, "it is to be sent again");
    step(s);
    endpoint_receive(&e);
    endpoint_answer(&e, ack_stored);
    cr_expect_eq(poll(&fd, 1, 1000), 1, "it is answered");
    cr_expect_eq(msgd_sender_results(s, &result, 1, 0), 1);
    cr_expect_eq(poll(&fd, 1, 300), 0);
    s = msgd_sender_close(s);
    close(e.fd);
}

static void do_nothing(int number)
{
    (void)number;
}

Test(client_sender, a_signal_interrupts_the_wait)
{
    struct sigaction action = {.sa_handler = do_nothing};
    struct msgd_result result;
    const struct msgd_send m = {.data = "1", .length = 1, .id = "mine"};

    endpoint_open(&e);
    sigaction(SIGALRM, &action, NULL);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    ualarm(20000, 20000); /* one that comes beside the wait ends none */
    cr_expect_eq(msgd_send_wait(s, &m, &result), -EINTR);
    ualarm(0, 0);
    cr_expect_eq(msgd_sender_unanswered(s), 0u);
    put(s, "1", MSGD_WISH_STORED, NULL);
    ualarm(20000, 20000);
    cr_expect_eq(msgd_sender_results(s, &result, 1, -1), -EINTR);
    ualarm(0, 0);
    cr_expect_eq(msgd_sender_unanswered(s), 1u);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, a_forked_child_may_only_close)
{
    struct msgd_result result;
    const struct msgd_send m = {.data = "1", .length = 1};
    int status = 0;

    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool is_good = msgd_sender_put(s, &m) == -ESTALE &&
                       msgd_sender_results(s, &result, 1, 0) == -ESTALE &&
                       msgd_send_wait(s, &m, &result) == -ESTALE;
        msgd_sender_close(s);
        _exit(is_good ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
    s = msgd_sender_close(s);
    close(e.fd);
}

Test(client_sender, says_what_a_target_cannot_be)
{
    struct msgd_sender *s;

    cr_expect_eq(msgd_sender_open(&s, "224.0.0.1:7000", NULL), -EINVAL);
    cr_expect_null(s);
    cr_expect_not_null(strstr(msgd_sender_error(NULL), "one receiver"));
    cr_expect_eq(msgd_sender_open(&s, "255.255.255.255:7000", NULL), -EINVAL);
    cr_expect_eq(msgd_sender_open(&s, "127.0.0.1", NULL), -EINVAL);
    cr_expect_null(msgd_sender_close(NULL));
}

Test(client_sender, closing_forgets_what_is_under_way)
{
    endpoint_open(&e);
    struct msgd_sender *s = sender_to(e.target, 0, 0);
    for (int i = 0; i < 100; i++)
        put(s, "1", MSGD_WISH_REPLY, NULL);
    step(s);
    s = msgd_sender_close(s);
    cr_expect_null(s);
    close(e.fd);
}
