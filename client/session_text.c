/* SPDX-License-Identifier: MIT */
/* Texts into and out of a session's stream. */
#include "client/session.h"

#include "client/deadline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How much may be consumed before the other side is told that there is room again. */
#define PROCESS_BYTES (128u * 1024u)
/* How much is put into the stream at a time. */
#define STAGE_BYTES 16384u

/* ---- Writing ---- */

/* Half of a text is in the stream, and there is no memory for the other half. */
static int fail_in_a_text(struct msgd_session *s)
{
    s->stream->abort(s, "no_memory");
    return client_session_fail(s, -ENOMEM, "no_memory",
                               "no memory for a text that was begun; the session is aborted");
}

/* Puts as much of the text as fits. 0 or -ENOMEM. */
static int put_what_fits(struct msgd_session *s, struct sequence_writer *w)
{
    uint8_t stage[STAGE_BYTES];
    size_t room;

    while (!sequence_writer_is_done(w) && (room = s->stream->writable(s)) > 0) {
        size_t n = sequence_writer_fill(w, stage, room < sizeof(stage) ? room : sizeof(stage));
        if (s->stream->write(s, stage, n) < n)
            return fail_in_a_text(s);
    }
    return 0;
}

/* Takes a text whole: what does not fit is held. 0 or -ENOMEM. */
static int take(struct msgd_session *s, struct sequence_writer *w)
{
    size_t room = s->state == MSGD_SESSION_CONNECTING ? 0 : s->stream->writable(s);
    size_t n_rest = w->left > room ? w->left - room : 0;
    uint8_t *rest = NULL;

    if (n_rest > 0) {
        rest = malloc(n_rest);
        if (rest == NULL)
            return failure_set(&s->failure, -ENOMEM, "no memory for a text of %zu bytes", w->n);
    }
    int error = room > 0 ? put_what_fits(s, w) : 0;
    if (rest == NULL || error != 0) {
        free(rest);
        return error;
    }
    s->rest = rest;
    s->rest_at = 0;
    s->n_rest = sequence_writer_fill(w, rest, n_rest);
    return 0;
}

bool client_session_has_room(const struct msgd_session *s)
{
    return s->rest == NULL && (s->state == MSGD_SESSION_CONNECTING || s->stream->writable(s) > 0);
}

/* Waits until no earlier text is in the way. 0, -EAGAIN, -EINTR, or what it has failed with. */
static int await_room(struct msgd_session *s, int64_t deadline)
{
    bool has_advanced = false;

    while (!client_session_has_room(s)) {
        int error = has_advanced ? client_session_wait(s, deadline) : 0;
        if (error == 0)
            error = client_session_advance(s);
        if (error != 0)
            return error;
        has_advanced = true;
    }
    return 0;
}

static int begin(struct msgd_session *s, struct sequence_writer *w, const void *text, size_t length)
{
    if (s->state == MSGD_SESSION_FAILED)
        return s->error;
    if (s->is_finishing)
        return failure_set(&s->failure, -EPIPE, "nothing can be written: this side has finished");
    int error = sequence_writer_begin(w, text, length);
    if (error == -EMSGSIZE)
        return failure_set(&s->failure, error, "too large: %zu bytes, a text has at most %u",
                           length, SEQUENCE_TEXT_MAX);
    if (error != 0)
        return failure_set(&s->failure, error, "a text of %zu bytes is not JSON", length);
    return 0;
}

static bool is_to_wait(int error)
{
    return error == -EAGAIN || error == -EINTR;
}

static int write_text(struct msgd_session *s, const void *text, size_t length, int timeout_ms)
{
    struct sequence_writer w = {0};
    int error = begin(s, &w, text, length);

    if (error == 0)
        error = await_room(s, deadline_after_ms(timeout_ms));
    s->awaits_room = is_to_wait(error);
    return error == 0 ? take(s, &w) : error;
}

int msgd_session_queue(struct msgd_session *s, const void *text, size_t length)
{
    int error = write_text(s, text, length, 0);

    client_session_show(s);
    return error;
}

int msgd_session_write(struct msgd_session *s, const void *text, size_t length, int timeout_ms)
{
    int error = write_text(s, text, length, timeout_ms);

    if (error == 0)
        error = client_session_advance(s);
    client_session_show(s);
    return error;
}

/* ---- Reading ---- */

static void consume(struct msgd_session *s, size_t n)
{
    s->stream->consume(s, n);
    s->n_unprocessed += n;
}

/* What came cannot be: the other side is told, and nothing more is read. */
static int reject(struct msgd_session *s, int error)
{
    const char *reason = error == -EMSGSIZE ? "too_large" : "invalid_json";

    s->stream->abort(s, reason);
    return client_session_fail(
        s, error, reason,
        error == -EMSGSIZE ? "%s sent a text of more than 16 MiB; the session is aborted"
                           : "%s sent what is not a sequence of JSON texts; the session is aborted",
        s->peer);
}

static int at_end(struct msgd_session *s)
{
    if (!s->has_read_all && !sequence_reader_is_between(&s->reader))
        return reject(s, -EBADMSG);
    s->has_read_all = true;
    return 0;
}

static int fail_cancelled(struct msgd_session *s, const struct sequence_text *text)
{
    char reason[SEQUENCE_REASON_MAX + 1];

    memcpy(reason, text->bytes, text->n);
    reason[text->n] = '\0';
    return client_session_fail_for(s, reason);
}

/* The next text that is there. 1; 0: the end; -EAGAIN: none yet; -ENOMEM or a failure. */
static int take_text(struct msgd_session *s, struct msgd_text *out)
{
    const uint8_t *bytes;
    size_t n;

    if (s->state == MSGD_SESSION_FAILED)
        return s->error;
    if (s->state == MSGD_SESSION_CONNECTING)
        return -EAGAIN;
    while (!s->has_read_all && (bytes = s->stream->peek(s, &n)) != NULL) {
        struct sequence_text text;
        size_t taken;
        int step = sequence_reader_take(&s->reader, bytes, n, &taken, &text);
        if (step == SEQUENCE_TEXT) {
            *out = (struct msgd_text){(const char *)text.bytes, text.n};
            s->shown = taken; /* it may lie there */
            return 1;
        }
        if (step == -ENOMEM)
            failure_set(&s->failure, step, "no memory for a text");
        else if (step < 0)
            return reject(s, step);
        consume(s, taken);
        if (step == -ENOMEM)
            return step;
        if (step == SEQUENCE_CANCELLED)
            return fail_cancelled(s, &text);
        if (step == SEQUENCE_FINISHED)
            s->has_read_all = true;
    }
    return s->has_read_all || s->stream->is_at_end(s) ? at_end(s) : -EAGAIN;
}

static int read_text(struct msgd_session *s, struct msgd_text *out, int timeout_ms)
{
    int64_t deadline = deadline_after_ms(timeout_ms);
    bool has_advanced = false;

    *out = (struct msgd_text){0};
    if (s->shown > 0)
        consume(s, s->shown);
    s->shown = 0;
    /* Not behind a text: what it lies in must stay. */
    if (s->n_unprocessed > PROCESS_BYTES && client_session_advance(s) != 0)
        return s->error;
    for (;;) {
        int rc = take_text(s, out);
        if (rc != -EAGAIN)
            return rc;
        /* Only a stream that has nothing more may be waited for: it tells of each arrival once. */
        bool is_dry = has_advanced && s->n_unprocessed == 0;
        if (is_dry && (rc = client_session_wait(s, deadline)) != 0)
            return rc;
        rc = client_session_advance(s);
        if (rc != 0)
            return rc;
        has_advanced = true;
    }
}

int msgd_session_read(struct msgd_session *s, struct msgd_text *out, int timeout_ms)
{
    int rc = read_text(s, out, timeout_ms);

    s->awaits_text = is_to_wait(rc);
    client_session_show(s);
    return rc;
}
