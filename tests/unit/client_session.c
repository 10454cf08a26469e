/* SPDX-License-Identifier: MIT */
/* A client's session against a server in a thread: connecting, talking, ending, failing. */
#include "client/msgd.h"
#include "session_fake.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>

static const struct msgd_connect_options soon = {.timeout_ms = 300};

static void expect_text(struct msgd_session *s, const char *expected)
{
    struct msgd_text text;
    int rc = msgd_session_read(s, &text, 20000);

    cr_assert_eq(rc, 1, "%d: %s", rc, msgd_session_error(s));
    cr_expect_eq(text.length, strlen(expected));
    cr_expect_eq(memcmp(text.data, expected, text.length), 0, "got %.*s", (int)text.length,
                 text.data);
}

static int write_text(struct msgd_session *s, const char *text)
{
    return msgd_session_write(s, text, strlen(text), 20000);
}

static void converse(struct fake_server *f)
{
    char target[32];
    struct msgd_session *s;
    struct msgd_text text;

    fake_server_start(f, target);
    int rc = msgd_connect(&s, target, &(struct msgd_connect_options){.identity = "{\"who\":\n1}"});
    cr_assert_eq(rc, 0, "%s", msgd_session_error(NULL));
    cr_expect_str_eq(msgd_session_id(s), "abababababababababababababababab");
    cr_expect_str_eq(msgd_session_identity(s), "{\"who\": 1}");
    cr_expect_eq(msgd_session_state(s), MSGD_SESSION_OPEN);
    cr_expect_eq(msgd_session_read(s, &text, 0), -EAGAIN);
    cr_assert_eq(write_text(s, "{\"hello\":\n\"there\"}"), 0);
    expect_text(s, "{\"hello\": \"there\"}");
    for (int i = 0; i < 1000; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        while ((rc = msgd_session_queue(s, number, strlen(number))) == -EAGAIN)
            msgd_session_process(s);
        cr_assert_eq(rc, 0);
    }
    for (int i = 0; i < 1000; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        expect_text(s, number);
    }
    cr_assert_eq(msgd_session_finish(s), 0);
    cr_expect_eq(write_text(s, "1"), -EPIPE);
    cr_expect_eq(msgd_session_read(s, &text, 20000), 0, "%s", msgd_session_error(s));
    cr_expect_eq(msgd_session_read(s, &text, 0), 0);
    cr_expect_eq(msgd_session_close(s, 20000), 0);
    cr_expect_str_eq(f->identity, "{\"who\": 1}");
    fake_server_stop(f);
}

Test(client_session, talks_both_ways_and_ends_in_order, .timeout = 60)
{
    struct fake_server own_port = {.act = SERVER_ECHOES};
    struct fake_server one_port = {.act = SERVER_ECHOES, .is_single_port = true};
    struct fake_server bad_network = {.act = SERVER_ECHOES, .loss_percent = 20};

    converse(&own_port);
    converse(&one_port);
    converse(&bad_network);
}

/* Half of what is written cannot be sent before something is read. */
Test(client_session, a_large_text_goes_through_in_pieces, .timeout = 60)
{
    struct fake_server f = {.act = SERVER_ECHOES};
    char target[32];
    struct msgd_session *s;
    struct msgd_text text;
    char *large = malloc(MSGD_TEXT_MAX + 1);

    memset(large, 'x', MSGD_TEXT_MAX + 1);
    large[0] = large[MSGD_TEXT_MAX - 1] = '"';
    fake_server_start(&f, target);
    cr_assert_eq(msgd_connect(&s, target, NULL), 0, "%s", msgd_session_error(NULL));
    cr_expect_eq(msgd_session_write(s, large, MSGD_TEXT_MAX + 1, -1), -EMSGSIZE);
    cr_expect_eq(msgd_session_write(s, "{", 1, -1), -EBADMSG);
    cr_assert_eq(msgd_session_write(s, large, MSGD_TEXT_MAX, 0), 0);
    cr_expect_eq(msgd_session_write(s, "2", 1, 0), -EAGAIN);
    cr_assert_eq(msgd_session_finish(s), 0);
    cr_assert_eq(msgd_session_read(s, &text, 20000), 1, "%s", msgd_session_error(s));
    cr_expect_eq(text.length, MSGD_TEXT_MAX);
    cr_expect_eq(memcmp(text.data, large, text.length), 0);
    cr_expect_eq(msgd_session_read(s, &text, 20000), 0);
    cr_expect_eq(msgd_session_close(s, 20000), 0);
    fake_server_stop(&f);
    free(large);
}

Test(client_session, in_the_background_texts_wait_for_the_session, .timeout = 60)
{
    struct fake_server f = {.act = SERVER_ECHOES};
    char target[32];
    struct msgd_session *s;
    struct msgd_text text;

    fake_server_start(&f, target);
    cr_assert_eq(msgd_connect(&s, target, &(struct msgd_connect_options){.is_in_background = 1}),
                 0);
    cr_expect_eq(msgd_session_state(s), MSGD_SESSION_CONNECTING);
    cr_expect_eq(msgd_session_read(s, &text, 0), -EAGAIN);
    cr_expect_eq(msgd_session_write(s, "[1]", 3, 0), 0);
    cr_expect_eq(msgd_session_finish(s), 0);
    while (msgd_session_read(s, &text, 0) == -EAGAIN) {
        struct pollfd fd = {.fd = msgd_session_fd(s), .events = POLLIN};
        cr_assert_eq(poll(&fd, 1, 20000), 1);
    }
    cr_expect_eq(memcmp(text.data, "[1]", 3), 0);
    cr_expect_eq(msgd_session_close(s, 20000), 0);
    fake_server_stop(&f);
}

Test(client_session, says_why_it_did_not_come_about, .timeout = 60)
{
    static const struct {
        const char *name;
        struct fake_server server;
        int error;
        const char *reason, *sentence;
    } cases[] = {
        {"refused", {.act = SERVER_REFUSES, .word = "go away"}, -EACCES, "go away", "go away"},
        {"nobody",
         {.act = SERVER_REFUSES, .word = "no_listener"},
         -ECONNREFUSED,
         "no_listener",
         "start the server"},
        {"off",
         {.act = SERVER_REFUSES, .word = "no_sessions"},
         -ECONNREFUSED,
         "no_sessions",
         "no sessions"},
        {"full", {.act = SERVER_REFUSES, .word = "full"}, -EAGAIN, "full", "full"},
        {"undecided", {.act = SERVER_REFUSES, .word = "timeout"}, -ETIMEDOUT, "timeout", "decide"},
        {"silent server", {.act = SERVER_ASKS_ONLY}, -ETIMEDOUT, "timeout", "decide in time"},
        {"silence", {.act = SERVER_IS_MUTE}, -ETIMEDOUT, "timeout", "no answer"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake_server f = cases[i].server;
        char target[32];
        struct msgd_session *s;

        fake_server_start(&f, target);
        cr_expect_eq(msgd_connect(&s, target, &soon), cases[i].error, "%s", cases[i].name);
        cr_expect_null(s);
        cr_expect_str_eq(msgd_session_reason(NULL), cases[i].reason, "%s", cases[i].name);
        cr_expect(strstr(msgd_session_error(NULL), cases[i].sentence) != NULL, "%s: %s",
                  cases[i].name, msgd_session_error(NULL));
        cr_expect(strstr(msgd_session_error(NULL), target) != NULL, "%s", msgd_session_error(NULL));
        fake_server_stop(&f);
    }
}

Test(client_session, where_nobody_listens_it_ends_at_once, .timeout = 60)
{
    struct msgd_session *s;
    uint16_t port;
    char target[32];
    uint64_t begun = fake_now();

    close(fake_socket(&port));
    snprintf(target, sizeof target, "localhost:%u", port);
    cr_expect_eq(msgd_connect(&s, target, NULL), -ECONNREFUSED, "%s", msgd_session_error(NULL));
    cr_expect_not_null(strstr(msgd_session_error(NULL), "nobody listens"));
    cr_expect_lt(fake_now() - begun, UINT64_C(5000000000));
    cr_expect_eq(msgd_connect(&s, "A B", NULL), -EINVAL);
    cr_expect_eq(msgd_connect(&s, target, &(struct msgd_connect_options){.identity = "me"}),
                 -EINVAL);
    cr_expect_not_null(strstr(msgd_session_error(NULL), "not JSON"));
}

Test(client_session, a_host_is_found_at_whichever_address_answers, .timeout = 60)
{
    struct fake_server f = {.act = SERVER_ECHOES};
    char target[32], host[32];
    struct msgd_session *s;

    fake_server_start(&f, target);
    snprintf(host, sizeof host, "localhost:%s", strchr(target, ':') + 1);
    cr_assert_eq(msgd_connect(&s, host, NULL), 0, "%s", msgd_session_error(NULL));
    msgd_session_abort(s, NULL);
    fake_server_stop(&f);
    f = (struct fake_server){.act = SERVER_ECHOES};
    fake_server_start(&f, target);
    snprintf(host, sizeof host, "0.0.0.0:%s", strchr(target, ':') + 1);
    cr_assert_eq(msgd_connect(&s, host, NULL), 0, "%s", msgd_session_error(NULL));
    msgd_session_abort(s, NULL);
    fake_server_stop(&f);
}

struct failing {
    const char *name;
    struct fake_server server;
    int error;
    const char *reason;
};

/* What a failed session says, it says again. */
static void fail_as(const struct failing *c)
{
    struct fake_server f = c->server;
    char target[32];
    struct msgd_session *s;
    struct msgd_text text;

    fake_server_start(&f, target);
    cr_assert_eq(msgd_connect(&s, target, NULL), 0, "%s", msgd_session_error(NULL));
    cr_assert_eq(write_text(s, "1"), 0);
    for (int i = 0; i < 2; i++)
        cr_expect_eq(msgd_session_read(s, &text, 20000), c->error, "%s: %s", c->name,
                     msgd_session_error(s));
    cr_expect_eq(msgd_session_state(s), MSGD_SESSION_FAILED);
    cr_expect_str_eq(msgd_session_reason(s), c->reason, "%s", c->name);
    cr_expect_eq(write_text(s, "2"), c->error);
    cr_expect_eq(msgd_session_finish(s), c->error);
    cr_expect_eq(msgd_session_process(s), c->error);
    cr_expect_eq(msgd_session_close(s, 1000), c->error);
    fake_server_stop(&f);
}

Test(client_session, says_why_it_has_failed, .timeout = 60)
{
    static const struct failing cases[] = {
        {"aborted", {.act = SERVER_ABORTS, .word = "busy"}, -ECONNRESET, "busy"},
        {"gone", {.act = SERVER_VANISHES}, -EHOSTUNREACH, "unreachable"},
        {"not JSON", {.act = SERVER_WRITES, .word = "\x1e{\n"}, -EBADMSG, "invalid_json"},
        {"no sequence", {.act = SERVER_WRITES, .word = "1\n"}, -EBADMSG, "invalid_json"},
        {"cut", {.act = SERVER_WRITES, .word = "\x1e[1"}, -EBADMSG, "invalid_json"},
        {"a mark", {.act = SERVER_WRITES, .word = "\x04"}, -EBADMSG, "invalid_json"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        fail_as(&cases[i]);
}

static void on_alarm(int number)
{
    (void)number;
}

Test(client_session, a_signal_ends_a_wait, .timeout = 60)
{
    /* One that comes beside the wait ends none: there is another. */
    const struct itimerval often = {.it_value.tv_usec = 50000, .it_interval.tv_usec = 50000};
    const struct itimerval never = {.it_value.tv_sec = 0};
    struct sigaction action = {.sa_handler = on_alarm};
    struct fake_server f = {.act = SERVER_ECHOES};
    char target[32];
    struct msgd_session *s;
    struct msgd_text text;

    sigaction(SIGALRM, &action, NULL);
    fake_server_start(&f, target);
    cr_assert_eq(msgd_connect(&s, target, NULL), 0);
    setitimer(ITIMER_REAL, &often, NULL);
    int rc;
    while ((rc = msgd_session_read(s, &text, 100)) == -EAGAIN)
        continue;
    setitimer(ITIMER_REAL, &never, NULL);
    cr_expect_eq(rc, -EINTR);
    msgd_session_abort(s, NULL);
    fake_server_stop(&f);
}

Test(client_session, a_forked_child_may_let_go_of_its_copy, .timeout = 60)
{
    struct fake_server f = {.act = SERVER_ECHOES};
    char target[32];
    struct msgd_session *s;

    fake_server_start(&f, target);
    cr_assert_eq(msgd_connect(&s, target, NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        msgd_session_close(s, 0);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_eq(write_text(s, "[\"still here\"]"), 0);
    expect_text(s, "[\"still here\"]");
    msgd_session_abort(s, "enough");
    fake_server_stop(&f);
}

Test(client_session, a_server_that_does_not_finish_is_waited_for_and_told, .timeout = 60)
{
    struct fake_server f = {.act = SERVER_ABORTS, .word = "never"};
    char target[32];
    struct msgd_session *s;

    fake_server_start(&f, target);
    cr_assert_eq(msgd_connect(&s, target, NULL), 0);
    cr_expect_eq(msgd_session_close(s, 50), -ETIMEDOUT);
    fake_server_stop(&f);
    cr_expect_eq(msgd_session_close(NULL, 0), 0);
    cr_expect_null(msgd_session_abort(NULL, NULL));
}

/* The answer comes in while something else is written. */
Test(client_session, a_text_that_another_call_takes_in_wakes, .timeout = 60)
{
    struct fake_server f = {.act = SERVER_ECHOES};
    char target[32];
    struct msgd_session *s;
    struct msgd_text text;

    fake_server_start(&f, target);
    cr_assert_eq(msgd_connect(&s, target, NULL), 0, "%s", msgd_session_error(NULL));
    cr_expect_eq(msgd_session_read(s, &text, 0), -EAGAIN);
    cr_assert_eq(write_text(s, "[1]"), 0);
    struct pollfd fd = {.fd = msgd_session_fd(s), .events = POLLIN};
    for (int i = 0; i < 100; i++) { /* before a keep-alive would wake it, and again and again */
        cr_assert_eq(poll(&fd, 1, 8000), 1);
        cr_assert_eq(msgd_session_process(s), 0);
    }
    expect_text(s, "[1]");
    msgd_session_abort(s, "enough");
    fake_server_stop(&f);
}
