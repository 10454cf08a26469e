/* SPDX-License-Identifier: MIT */
/* A server's session over the Unix stream that msgd hands over, of which the test has the other
 * end.
 */
#include "client/session_unix.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct stream {
    int msgd; /* msgd's end */
    struct msgd_session *s;
};

static struct stream begin(void)
{
    const struct session_offer offer = {
        .id = "8a0d", .peer = "192.0.2.7:4000", .identity = "{\"who\":1}"};
    struct failure failure = {0};
    struct stream t;
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    t.msgd = fds[0];
    cr_assert_eq(session_unix_open(&t.s, fds[1], &offer, &failure), 0, "%s", failure.sentence);
    return t;
}

/* msgd writes. */
static void put(struct stream *t, const char *bytes)
{
    cr_assert_eq(write(t->msgd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
}

/* What msgd reads next is this. */
static void expect(struct stream *t, const char *bytes)
{
    char got[256] = "";
    size_t n = strlen(bytes);

    cr_assert_eq(recv(t->msgd, got, n, MSG_WAITALL), (ssize_t)n);
    cr_expect_str_eq(got, bytes);
}

static void expect_end(struct stream *t)
{
    char byte;

    cr_expect_eq(recv(t->msgd, &byte, 1, MSG_DONTWAIT), 0);
    close(t->msgd);
}

static void expect_text(struct stream *t, const char *expected)
{
    struct msgd_text text;

    cr_assert_eq(msgd_session_read(t->s, &text, 5000), 1, "%s", msgd_session_error(t->s));
    cr_expect_eq(text.length, strlen(expected));
    cr_expect_eq(memcmp(text.data, expected, text.length), 0);
}

Test(client_session_unix, carries_texts_both_ways_and_ends_with_marks, .timeout = 30)
{
    struct stream t = begin();
    struct msgd_text text;
    struct msgd_session_figures figures;

    cr_expect_str_eq(msgd_session_id(t.s), "8a0d");
    cr_expect_str_eq(msgd_session_peer(t.s), "192.0.2.7:4000");
    cr_expect_str_eq(msgd_session_identity(t.s), "{\"who\":1}");
    cr_expect_eq(msgd_session_read(t.s, &text, 0), -EAGAIN);
    put(&t, "\x1e{\"a\": 1}\n\x1e[2]\n\x1e\"thr");
    expect_text(&t, "{\"a\": 1}");
    expect_text(&t, "[2]");
    cr_expect_eq(msgd_session_read(t.s, &text, 0), -EAGAIN);
    put(&t, "ee\"\n");
    expect_text(&t, "\"three\"");
    cr_expect_eq(msgd_session_queue(t.s, "1", 1), 0);
    msgd_session_figures(t.s, &figures);
    cr_expect_eq(figures.bytes_queued, 3);
    cr_expect_eq(msgd_session_write(t.s, "[\n2]", 4, -1), 0);
    expect(&t, "\x1e"
               "1\n\x1e[ 2]\n");
    cr_expect_eq(msgd_session_finish(t.s), 0);
    cr_expect_eq(msgd_session_finish(t.s), 0);
    cr_expect_eq(msgd_session_write(t.s, "3", 1, -1), -EPIPE);
    expect(&t, "\x04");
    cr_expect_eq(msgd_session_state(t.s), MSGD_SESSION_OPEN);
    put(&t, "\x1e"
            "4\n\x04");
    expect_text(&t, "4");
    cr_expect_eq(msgd_session_read(t.s, &text, 5000), 0);
    cr_expect_eq(msgd_session_read(t.s, &text, 0), 0);
    cr_expect_eq(msgd_session_process(t.s), 0);
    cr_expect_eq(msgd_session_state(t.s), MSGD_SESSION_DONE);
    cr_expect_eq(msgd_session_close(t.s, 0), 0);
    expect_end(&t);
}

Test(client_session_unix, what_came_before_the_end_is_read_before_it, .timeout = 30)
{
    static const struct {
        const char *name, *end;
        int error;
        const char *reason, *sentence;
    } cases[] = {
        {"msgd died", "", -ECONNRESET, "msgd ended", "msgd has gone"},
        {"the client aborted",
         "\x18"
         "closed by peer: busy\n",
         -ECONNRESET, "busy", "busy"},
        {"silence", "\x18idle\n", -ETIMEDOUT, "idle", "192.0.2.7:4000"},
        {"released", "\x18released\n", -ECONNRESET, "released", "released"},
        {"not JSON", "\x1e{\n", -EBADMSG, "invalid_json", "JSON"},
        {"no sequence", "x", -EBADMSG, "invalid_json", "JSON"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stream t = begin();
        struct msgd_text text;

        put(&t, "\x1e"
                "1\n");
        put(&t, cases[i].end);
        if (cases[i].error == -ECONNRESET)
            close(t.msgd);
        expect_text(&t, "1");
        for (int n = 0; n < 2; n++)
            cr_expect_eq(msgd_session_read(t.s, &text, 5000), cases[i].error, "%s: %s",
                         cases[i].name, msgd_session_error(t.s));
        cr_expect_str_eq(msgd_session_reason(t.s), cases[i].reason, "%s", cases[i].name);
        cr_expect_not_null(strstr(msgd_session_error(t.s), cases[i].sentence), "%s: %s",
                           cases[i].name, msgd_session_error(t.s));
        cr_expect_eq(msgd_session_write(t.s, "2", 1, 0), cases[i].error, "%s", cases[i].name);
        cr_expect_eq(msgd_session_close(t.s, 1000), cases[i].error, "%s", cases[i].name);
        if (cases[i].error == -EBADMSG)
            expect(&t, "\x18invalid_json\n");
        if (cases[i].error != -ECONNRESET)
            close(t.msgd);
    }
}

Test(client_session_unix, an_abort_is_told, .timeout = 30)
{
    struct stream t = begin();

    cr_expect_null(msgd_session_abort(t.s, "enough"));
    expect(&t, "\x18"
               "enough\n");
    expect_end(&t);
    t = begin();
    cr_expect_eq(msgd_session_close(t.s, 20), -ETIMEDOUT);
    expect(&t, "\x04\x18"
               "closed\n");
    expect_end(&t);
}

/* Larger than every buffer between the two, and more than one read brings. */
Test(client_session_unix, a_large_text_goes_through_in_pieces, .timeout = 30)
{
    enum { BYTES = 3000000 };
    struct stream t = begin();
    struct msgd_text text;
    char *large = malloc(BYTES + 3), *back = malloc(BYTES + 2);
    size_t n_put = 0, n_back = 0;
    int rc = -EAGAIN;

    memset(large, '7', BYTES + 3);
    large[0] = '\x1e';
    large[BYTES + 1] = '\n';
    large[BYTES + 2] = '\0';
    while (rc == -EAGAIN) {
        ssize_t n = send(t.msgd, large + n_put, BYTES + 2 - n_put, MSG_DONTWAIT);
        n_put += n > 0 ? (size_t)n : 0;
        rc = msgd_session_read(t.s, &text, n_put < BYTES + 2 ? 0 : 5000);
    }
    cr_assert_eq(rc, 1, "%s", msgd_session_error(t.s));
    cr_assert_eq(text.length, BYTES);
    cr_expect_eq(msgd_session_write(t.s, text.data, text.length, 0), 0);
    cr_expect_eq(msgd_session_write(t.s, "1", 1, 0), -EAGAIN);
    while (n_back < BYTES + 2) {
        struct pollfd fd = {.fd = msgd_session_fd(t.s), .events = POLLIN};
        ssize_t n = recv(t.msgd, back + n_back, BYTES + 2 - n_back, MSG_DONTWAIT);
        n_back += n > 0 ? (size_t)n : 0;
        if (n < 0)
            cr_assert_eq(poll(&fd, 1, 5000), 1, "the descriptor tells that there is room");
        cr_expect_eq(msgd_session_process(t.s), 0);
    }
    cr_expect_eq(memcmp(large, back, BYTES + 2), 0);
    cr_expect_eq(msgd_session_write(t.s, "1", 1, 0), 0);
    msgd_session_abort(t.s, NULL);
    close(t.msgd);
    free(large);
    free(back);
}

static int queue_one(struct msgd_session *s)
{
    return msgd_session_queue(s, "1", 1);
}

static int write_one(struct msgd_session *s)
{
    return msgd_session_write(s, "1", 1, 0);
}

static int read_none(struct msgd_session *s)
{
    struct msgd_text text;

    return msgd_session_read(s, &text, 0) == -EAGAIN ? 0 : -EPROTO;
}

static const struct {
    const char *name;
    int (*call)(struct msgd_session *s);
} calls[] = {
    {"process", msgd_session_process},
    {"finish", msgd_session_finish},
    {"write", write_one},
    {"queue", queue_one},
    {"read", read_none},
};

static bool is_readable(const struct msgd_session *s)
{
    struct pollfd fd = {.fd = msgd_session_fd(s), .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

/* Until nothing can be written any more, which is said. */
static void fill(struct msgd_session *s)
{
    int rc;

    while ((rc = queue_one(s)) == 0)
        continue;
    cr_assert_eq(rc, -EAGAIN);
}

/* Takes what was written, and gives room for more. */
static void drain(struct stream *t)
{
    char bytes[65536];

    while (recv(t->msgd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
}

/* Whichever call takes it in: between a read that found nothing and the wait there may be others.
 */
Test(client_session_unix, a_text_that_a_read_did_not_find_wakes, .timeout = 30)
{
    for (size_t i = 0; i < 4; i++) {
        struct stream t = begin();
        struct msgd_text text;

        cr_expect_eq(msgd_session_read(t.s, &text, 0), -EAGAIN);
        cr_expect_eq(msgd_session_process(t.s), 0);
        cr_expect_not(is_readable(t.s), "%s: nothing has come", calls[i].name);
        put(&t, "\x1e"
                "1\n\x1e"
                "2\n");
        cr_expect_eq(calls[i].call(t.s), 0, "%s", calls[i].name);
        cr_expect(is_readable(t.s), "%s: a text has come", calls[i].name);
        expect_text(&t, "1");
        cr_expect_eq(msgd_session_process(t.s), 0);
        cr_expect_not(is_readable(t.s), "%s: who leaves a text is not woken", calls[i].name);
        expect_text(&t, "2");
        cr_expect_eq(msgd_session_read(t.s, &text, 0), -EAGAIN);
        put(&t, "\x04");
        cr_expect_eq(msgd_session_process(t.s), 0);
        cr_expect(is_readable(t.s), "%s: the end has come", calls[i].name);
        cr_expect_eq(msgd_session_read(t.s, &text, 0), 0);
        cr_expect_eq(msgd_session_process(t.s), 0);
        cr_expect_not(is_readable(t.s), "%s: the end is known", calls[i].name);
        msgd_session_abort(t.s, NULL);
        close(t.msgd);
    }
}

Test(client_session_unix, room_that_a_write_did_not_find_wakes, .timeout = 30)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct stream t = begin();
        bool is_over = calls[i].call == msgd_session_finish;
        bool is_write = calls[i].call == write_one || calls[i].call == queue_one;

        fill(t.s);
        cr_expect_eq(msgd_session_process(t.s), 0);
        cr_expect_not(is_readable(t.s), "%s: there is no room", calls[i].name);
        drain(&t);
        cr_expect_eq(calls[i].call(t.s), 0, "%s", calls[i].name);
        cr_expect_eq(msgd_session_process(t.s), 0);
        cr_expect_eq(is_readable(t.s), !is_write && !is_over, "%s", calls[i].name);
        cr_expect_eq(queue_one(t.s), is_over ? -EPIPE : 0, "%s", calls[i].name);
        cr_expect_eq(msgd_session_process(t.s), 0);
        cr_expect_not(is_readable(t.s), "%s: nobody waits", calls[i].name);
        msgd_session_abort(t.s, NULL);
        close(t.msgd);
    }
}

/* Waiting inside of a call does not mind what nobody asked for. */
Test(client_session_unix, a_write_waits_beside_a_text_that_waits, .timeout = 30)
{
    struct stream t = begin();
    struct msgd_text text;

    cr_expect_eq(msgd_session_read(t.s, &text, 0), -EAGAIN);
    put(&t, "\x1e"
            "1\n");
    fill(t.s);
    cr_expect(is_readable(t.s));
    cr_expect_eq(msgd_session_write(t.s, "2", 1, 50), -EAGAIN);
    cr_expect(is_readable(t.s));
    expect_text(&t, "1");
    msgd_session_abort(t.s, NULL);
    close(t.msgd);
}
