/* SPDX-License-Identifier: MIT */
/* What both sides of a session have in common: waiting, failing, ending. */
#include "client/session.h"

#include "client/deadline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_EVENTS 4
/* How long the other side's end is acknowledged once more, should that have been lost. */
#define LAST_ANSWER_MS 250

/* Of this thread's last msgd_connect; its parameters are never set. */
static _Thread_local struct failure connect_failure;
static _Thread_local char connect_reason[FRAME_REASON_MAX + 1];

void client_session_keep_failure(const struct failure *failure, const char *reason)
{
    memcpy(connect_failure.sentence, failure->sentence, sizeof(failure->sentence));
    snprintf(connect_reason, sizeof(connect_reason), "%s", reason);
}

/* ---- Life ---- */

int client_session_init(struct msgd_session *s, const struct session_stream *stream, bool has_marks)
{
    s->stream = stream;
    s->process = getpid();
    sequence_reader_init(&s->reader, SEQUENCE_TEXT_MAX, has_marks);
    s->wake = -1;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0)
        return -errno;
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return s->wake < 0 ? -errno : client_session_watch(s, s->wake, EPOLLIN);
}

void client_session_deinit(struct msgd_session *s)
{
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->wake >= 0)
        close(s->wake);
    sequence_reader_deinit(&s->reader);
    failure_deinit(&s->failure);
    free(s->identity);
    free(s->rest);
}

int client_session_watch(struct msgd_session *s, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int client_session_fail(struct msgd_session *s, int error, const char *reason, const char *format,
                        ...)
{
    char sentence[FAILURE_SENTENCE_MAX];
    va_list arguments;

    if (s->state == MSGD_SESSION_FAILED)
        return s->error;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    s->state = MSGD_SESSION_FAILED;
    s->error = failure_set(&s->failure, error, "%s", sentence);
    snprintf(s->reason, sizeof(s->reason), "%s", reason);
    return error;
}

int client_session_fail_for(struct msgd_session *s, const char *reason)
{
    static const char by_peer[] = "closed by peer: ";

    if (strncmp(reason, by_peer, sizeof(by_peer) - 1) == 0) {
        reason += sizeof(by_peer) - 1;
        return client_session_fail(s, -ECONNRESET, reason, "%s has ended the session: %s", s->peer,
                                   reason);
    }
    if (strcmp(reason, "idle") == 0)
        return client_session_fail(s, -ETIMEDOUT, reason, "nothing more was heard of %s", s->peer);
    if (strcmp(reason, "unreachable") == 0)
        return client_session_fail(s, -EHOSTUNREACH, reason,
                                   "%s is gone: nobody has the port any more", s->peer);
    return client_session_fail(s, -ECONNRESET, reason, "the session with %s was ended: %s", s->peer,
                               reason);
}

/* ---- Going on ---- */

/* Moves what is held back into the stream, and its end behind that. True: something moved. */
static bool push_rest(struct msgd_session *s)
{
    size_t left = s->n_rest - s->rest_at;
    size_t room = left > 0 ? s->stream->writable(s) : 0;
    size_t n = left < room ? left : room;

    if (n > 0) {
        n = s->stream->write(s, s->rest + s->rest_at, n);
        s->rest_at += n;
    }
    if (s->rest_at < s->n_rest)
        return n > 0;
    free(s->rest);
    s->rest = NULL;
    s->n_rest = s->rest_at = 0;
    if (!s->is_finishing || s->has_finished)
        return n > 0;
    s->has_finished = true;
    s->stream->finish(s);
    return true;
}

int client_session_advance(struct msgd_session *s)
{
    int error;

    if (s->state == MSGD_SESSION_FAILED)
        return s->error;
    s->n_unprocessed = 0;
    do
        error = s->stream->process(s);
    while (error == 0 && s->state != MSGD_SESSION_CONNECTING && push_rest(s));
    if (error == 0 && s->state == MSGD_SESSION_OPEN && s->stream->is_done(s))
        s->state = MSGD_SESSION_DONE;
    return error;
}

static void set_awake(struct msgd_session *s, bool is_awake)
{
    uint64_t n = 1;

    if (is_awake == s->is_awake)
        return;
    ssize_t done = is_awake ? write(s->wake, &n, sizeof(n)) : read(s->wake, &n, sizeof(n));
    if (done == (ssize_t)sizeof(n))
        s->is_awake = is_awake;
}

static bool has_text(const struct msgd_session *s)
{
    size_t n;

    return s->stream->peek(s, &n) != NULL || s->stream->is_at_end(s);
}

void client_session_show(struct msgd_session *s)
{
    bool is_there = s->state == MSGD_SESSION_OPEN || s->state == MSGD_SESSION_DONE;

    set_awake(s, is_there && ((s->awaits_text && has_text(s)) ||
                              (s->awaits_room && client_session_has_room(s))));
}

int client_session_wait(struct msgd_session *s, int64_t deadline)
{
    struct epoll_event events[MAX_EVENTS];

    set_awake(s, false); /* whoever waits inside of a call looks for himself */
    int n = epoll_wait(s->epoll, events, MAX_EVENTS, deadline_left_ms(deadline));

    if (n < 0)
        return -errno;
    return n == 0 ? -EAGAIN : 0;
}

int msgd_session_process(struct msgd_session *s)
{
    int error = client_session_advance(s);

    client_session_show(s);
    return error;
}

int msgd_session_finish(struct msgd_session *s)
{
    if (s->state == MSGD_SESSION_FAILED)
        return s->error;
    s->is_finishing = true;
    s->awaits_room = false;
    return msgd_session_process(s);
}

/* ---- Ending ---- */

/* What comes now is read by nobody; its end still counts. */
static void discard(struct msgd_session *s)
{
    struct msgd_text text;

    while (msgd_session_read(s, &text, 0) == 1)
        continue;
}

/* Until both have finished. 0, -ETIMEDOUT, or what it has failed with. */
static int linger(struct msgd_session *s, int64_t deadline)
{
    int error = msgd_session_finish(s);

    while (error == 0 && s->state != MSGD_SESSION_DONE) {
        discard(s);
        error = client_session_advance(s);
        if (error != 0 || s->state == MSGD_SESSION_DONE)
            break;
        error = client_session_wait(s, deadline);
        if (error == -EINTR)
            error = 0;
    }
    return error == -EAGAIN ? -ETIMEDOUT : error;
}

/* Nothing is lost any more, but the other side may not know that its end has arrived. */
static void answer_the_last(struct msgd_session *s, int64_t deadline)
{
    int64_t soon = deadline_after_ms(LAST_ANSWER_MS);

    discard(s);
    while (client_session_advance(s) == 0 && !s->stream->is_over(s))
        if (client_session_wait(s, soon < deadline ? soon : deadline) == -EAGAIN)
            return;
}

int msgd_session_close(struct msgd_session *s, int linger_ms)
{
    int error = 0;

    if (s == NULL)
        return 0;
    if (s->process == getpid() && s->state != MSGD_SESSION_FAILED) {
        int64_t deadline = deadline_after_ms(linger_ms);
        error = linger(s, deadline);
        if (error == 0)
            answer_the_last(s, deadline);
        if (error == -ETIMEDOUT)
            s->stream->abort(s, "closed");
    }
    if (s->state == MSGD_SESSION_FAILED)
        error = s->error;
    s->stream->free(s);
    return error;
}

struct msgd_session *msgd_session_abort(struct msgd_session *s, const char *reason)
{
    if (s == NULL)
        return NULL;
    if (s->process == getpid() && s->state != MSGD_SESSION_FAILED && s->state != MSGD_SESSION_DONE)
        s->stream->abort(s, reason != NULL ? reason : "aborted");
    s->stream->free(s);
    return NULL;
}

/* ---- What it is ---- */

int msgd_session_fd(const struct msgd_session *s)
{
    return s->epoll;
}

enum msgd_session_state msgd_session_state(const struct msgd_session *s)
{
    return s->state;
}

const char *msgd_session_error(const struct msgd_session *s)
{
    const struct failure *f = s != NULL ? &s->failure : &connect_failure;

    return f->sentence[0] != '\0' ? f->sentence : "nothing has failed";
}

const char *msgd_session_reason(const struct msgd_session *s)
{
    return s != NULL ? s->reason : connect_reason;
}

const char *msgd_session_id(const struct msgd_session *s)
{
    return s->id;
}

const char *msgd_session_peer(const struct msgd_session *s)
{
    return s->peer;
}

const char *msgd_session_identity(const struct msgd_session *s)
{
    return s->identity;
}

void msgd_session_figures(const struct msgd_session *s, struct msgd_session_figures *out)
{
    *out = (struct msgd_session_figures){0};
    s->stream->figures(s, out);
    out->bytes_queued += s->n_rest - s->rest_at;
}
