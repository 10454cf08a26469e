/* SPDX-License-Identifier: MIT */
/* A carrier to bytes and back: how one session outlives its worker. */
#include "daemon/data/carrier.h"

#include "proto/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct archive_kind KIND = {{'c', 'a', 'r', 'r'}, CARRIER_SAVED_VERSION};

/* ---- Fields ---- */

static void archive_length(struct archive *a, size_t *n, size_t max)
{
    uint64_t value = *n;

    archive_uint(a, &value, max);
    *n = (size_t)value;
}

static void archive_stream(struct archive *a, struct carrier_stream *s)
{
    archive_flag(a, &s->has_finished);
    archive_flag(a, &s->is_cancelling);
    archive_length(a, &s->n_why, CONNECT_REASON_MAX);
    archive_bytes(a, s->why, s->n_why);
    archive_flag(a, &s->has_mark);
    archive_length(a, &s->n_mark, sizeof(s->mark));
    archive_bytes(a, s->mark, s->n_mark);
    archive_length(a, &s->n_mark_written, s->n_mark);
}

/* s: saving; loading: made. NULL: it had none any more. */
static void archive_session(struct archive *a, struct session **s)
{
    size_t n = *s != NULL ? session_save(*s, a->now_ns, NULL, 0) : 0;
    bool has_session = *s != NULL;

    archive_flag(a, &has_session);
    if (!has_session)
        return;
    archive_length(a, &n, SIZE_MAX);
    if (archive_is_loading(a)) {
        const uint8_t *bytes = archive_take(a, n);
        int r = bytes != NULL ? session_load(s, a->now_ns, bytes, n) : -EBADMSG;

        if (r < 0)
            archive_fail(a, r);
        return;
    }
    archive_require(a, n > 0);
    if (a->at + n <= a->capacity)
        n = session_save(*s, a->now_ns, a->out + a->at, n);
    a->at += n;
}

static void archive_carrier(struct archive *a, struct carrier *c)
{
    bool is_open = c->state == CARRIER_OPEN;
    bool has_udp = c->udp >= 0, has_stream = c->stream.fd >= 0;

    archive_flag(a, &is_open);
    archive_flag(a, &has_udp);
    archive_flag(a, &has_stream);
    archive_uint(a, &c->receive_bytes, UINT64_MAX);
    archive_text(a, c->reason, sizeof(c->reason));
    archive_uint(a, &c->resent, UINT64_MAX);
    archive_stream(a, &c->stream);
    archive_session(a, &c->session);
    if (!archive_is_loading(a))
        return;
    c->state = is_open ? CARRIER_OPEN : CARRIER_ENDED;
    archive_require(a, has_udp == (c->udp >= 0) && has_stream == (c->stream.fd >= 0));
    archive_require(a, !is_open || c->session != NULL);
}

/* ---- Saving (worker) ---- */

static void make_bytes(const struct carrier *c, struct carrier_saved *out)
{
    struct carrier copy = {.state = c->state,
                           .session = c->session,
                           .receive_bytes = c->receive_bytes,
                           .udp = c->udp,
                           .stream = c->stream,
                           .resent = c->resent};
    struct archive a;
    uint64_t now_ns = session_now_ns();
    size_t n;

    memcpy(copy.reason, c->reason, sizeof(copy.reason));
    archive_save(&a, &KIND, now_ns, NULL, 0);
    archive_carrier(&a, &copy);
    n = archive_finish(&a);
    out->bytes = n > 0 ? malloc(n) : NULL;
    if (out->bytes == NULL)
        return;
    archive_save(&a, &KIND, now_ns, out->bytes, n);
    archive_carrier(&a, &copy);
    out->n_bytes = archive_finish(&a);
}

/* Who asks again hears of it when it has been loaded. */
static void forget_connect(struct carrier *c)
{
    struct connects *connects = &c->worker->sessions->connects;
    struct connect *one = connects_find(connects, &c->claim);

    if (one != NULL && one->carrier == c)
        connects_forget(connects, one);
}

static void remember_connect(struct carrier *c)
{
    struct connects *connects = &c->worker->sessions->connects;
    struct connect *one;

    if (c->state != CARRIER_OPEN || connects_find(connects, &c->claim) != NULL)
        return;
    one = connects_add(connects, &c->claim, c->endpoint);
    if (one == NULL)
        return; /* who asks again may become a session again */
    one->state = CONNECT_OPEN;
    one->carrier = c;
}

static void run_save(struct worker *w, struct command *command)
{
    struct carrier *c = CONTAINER_OF(command, struct carrier, save);
    struct carrier_saved *saved = &c->saved;

    if (c->state != CARRIER_CLOSING) {
        make_bytes(c, saved);
        if (saved->bytes == NULL) {
            carrier_kill(c, "stopped");
        } else {
            saved->is_open = c->state == CARRIER_OPEN;
            forget_connect(c);
            carrier_let_go(c, &saved->udp, &saved->stream);
        }
    }
    command_finish(w, command);
}

static void save_done(struct command *command)
{
    struct carrier *c = CONTAINER_OF(command, struct carrier, save);
    const struct worker_events *events = &c->worker->options.events;

    if (!c->is_forgotten)
        events->session_saved(events->context, c, &c->saved);
    free(c->saved.bytes);
    if (c->saved.udp >= 0)
        close(c->saved.udp);
    if (c->saved.stream >= 0)
        close(c->saved.stream);
    carrier_abort_done(c);
}

void carrier_save(struct carrier *c)
{
    if (c->is_abort_posted)
        return;
    c->is_abort_posted = true;
    c->saved = (struct carrier_saved){.udp = -1, .stream = -1};
    c->save = (struct command){.run = run_save, .done = save_done};
    command_post(c->worker, &c->save);
}

/* ---- Loading ---- */

static void run_resume(struct worker *w, struct command *command)
{
    struct carrier *c = CONTAINER_OF(command, struct carrier, open);

    (void)w;
    if (carrier_begin(c) < 0) {
        carrier_kill(c, "no memory");
        return;
    }
    remember_connect(c);
    carrier_read_datagrams(c); /* what came meanwhile is news before anything is sent */
    carrier_touch(c);
}

int carrier_load(struct carrier **out, const struct carrier_options *o, const void *bytes, size_t n)
{
    struct archive a;
    struct carrier *c;
    int r = archive_load(&a, &KIND, session_now_ns(), bytes, n);

    *out = NULL;
    if (r < 0)
        return r;
    c = carrier_alloc(o);
    if (c == NULL)
        return -ENOMEM;
    archive_carrier(&a, c);
    r = archive_end(&a);
    if (r < 0) {
        session_free(c->session);
        free(c);
        return r;
    }
    if (c->session != NULL)
        c->peer = *session_peer(c->session);
    c->open.run = run_resume;
    command_post(c->worker, &c->open);
    *out = c;
    return 0;
}
