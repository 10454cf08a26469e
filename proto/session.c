/* SPDX-License-Identifier: MIT */
/* A session's life, and what its application does. */
#include "proto/session_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES  (1024u * 1024u)
#define IDLE_MS       30000u
#define KEEP_ALIVE_MS 10000u

static uint64_t or_else(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

int session_new(struct session **out, const struct session_options *o)
{
    struct session *s = calloc(1, sizeof *s);
    uint32_t max_datagram = o->max_datagram == 0 ? SESSION_DATAGRAM_MAX : o->max_datagram;

    if (s == NULL)
        return -ENOMEM;
    memcpy(s->id, o->id, sizeof s->id);
    s->is_server = o->is_server;
    s->random = o->seed;
    s->peer_window = o->peer_window;
    s->heard_ns = o->now_ns;
    s->idle_ns = or_else(o->idle_timeout_ms, IDLE_MS) * SESSION_MS;
    s->keep_alive_ns = or_else(o->keep_alive_ms, KEEP_ALIVE_MS) * SESSION_MS;
    s->max_datagram = max_datagram < SESSION_DATAGRAM_MIN ? SESSION_DATAGRAM_MIN : max_datagram;
    s->debt.due_ns = SESSION_NEVER;
    stream_in_init(&s->in, or_else(o->receive_bytes, BUFFER_BYTES));
    stream_out_init(&s->out, or_else(o->send_bytes, BUFFER_BYTES));
    congestion_init(&s->congestion, SESSION_DATAGRAM_MIN, o->now_ns);
    session_loss_init(&s->loss, o->now_ns);
    session_path_init(s, &o->peer);
    *out = s;
    return 0;
}

struct session *session_free(struct session *s)
{
    if (s != NULL) {
        stream_in_deinit(&s->in);
        stream_out_deinit(&s->out);
        free(s);
    }
    return NULL;
}

/* splitmix64 */
uint64_t session_random(struct session *s)
{
    uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Memory that a busy session keeps for its next bytes. */
void session_trim(struct session *s)
{
    stream_in_trim(&s->in);
    stream_out_trim(&s->out);
}

/* ---- Ends ---- */

void session_fail(struct session *s, const char *what, const char *reason, size_t n_reason)
{
    if (s->state == SESSION_FAILED || s->state == SESSION_OVER)
        return;
    s->state = SESSION_FAILED;
    snprintf(s->reason, sizeof s->reason, "%s%.*s", what, (int)n_reason, reason);
}

/* A reason is printable ASCII but '"' and '\': the rest could not be told. */
static void copy_reason(char *out, size_t size, const char *reason)
{
    size_t n = 0;

    for (; n + 1 < size && reason[n] != '\0'; n++) {
        bool is_plain = reason[n] >= 0x20 && reason[n] < 0x7f;

        out[n] = is_plain && reason[n] != '"' && reason[n] != '\\' ? reason[n] : '?';
    }
    out[n] = '\0';
}

void session_abort(struct session *s, const char *reason)
{
    if (s->state != SESSION_OPEN && s->state != SESSION_DONE)
        return;
    copy_reason(s->close_reason, sizeof s->close_reason, reason);
    s->is_close_due = true;
    session_fail(s, "aborted: ", s->close_reason, strlen(s->close_reason));
}

void session_refused(struct session *s, uint64_t now_ns)
{
    (void)now_ns;
    if (s->state == SESSION_DONE)
        s->state = SESSION_OVER;
    else
        session_fail(s, "unreachable", "", 0);
}

enum session_state session_state(const struct session *s)
{
    return s->state;
}

const char *session_reason(const struct session *s)
{
    return s->reason;
}

/* ---- The application's side ---- */

size_t session_writable(const struct session *s)
{
    return s->state == SESSION_OPEN ? stream_out_writable(&s->out) : 0;
}

size_t session_write(struct session *s, const void *bytes, size_t n)
{
    return s->state == SESSION_OPEN ? stream_out_write(&s->out, bytes, n) : 0;
}

void session_finish(struct session *s)
{
    if (s->state == SESSION_OPEN)
        s->out.is_finished = true;
}

const uint8_t *session_peek(const struct session *s, size_t *n)
{
    *n = 0;
    return s->state == SESSION_FAILED ? NULL : stream_in_peek(&s->in, n);
}

void session_consume(struct session *s, size_t n)
{
    if (s->state == SESSION_FAILED)
        return;
    stream_in_consume(&s->in, n);
    if (s->state == SESSION_DONE && s->over_ns == SESSION_NEVER && session_is_finished(s))
        s->state = SESSION_OVER; /* it only waited for the reader */
    if (s->state != SESSION_OPEN || s->in.length != STREAM_UNKNOWN)
        return; /* nobody waits for a window */

    /* Where the peer was (nearly) held back it is told at once; else with what is sent anyhow. */
    uint64_t opened = stream_in_window(&s->in) - s->in.window;
    uint64_t left = s->in.window - s->in.highest;

    if (opened >= s->in.max_bytes / 4 && left < s->in.max_bytes / 2)
        s->debt.due_ns = 0;
}

bool session_is_finished(const struct session *s)
{
    return s->state != SESSION_FAILED && stream_in_has_end(&s->in) &&
           s->in.consumed == s->in.length;
}

/* ---- What it is like ---- */

const struct address *session_peer(const struct session *s)
{
    return &s->path.peer;
}

void session_figures(const struct session *s, struct session_figures *out)
{
    *out = s->figures;
    out->bytes_in_flight = s->out.n_in_flight;
    out->bytes_queued = s->out.acked < s->out.written ? s->out.written - s->out.acked : 0;
    out->smoothed_rtt_ns = s->loss.smoothed_ns;
    out->congestion_window = s->congestion.window;
    out->datagram_bytes = s->path.datagram_bytes;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t session_deadline(const struct session *s)
{
    if (s->state == SESSION_FAILED)
        return s->is_close_due ? 0 : SESSION_NEVER;
    if (s->state == SESSION_OVER)
        return SESSION_NEVER;

    uint64_t at = earlier(s->debt.due_ns, session_path_deadline(s));

    at = earlier(at, session_loss_deadline(s));
    if (s->state == SESSION_DONE)
        return earlier(at, s->loss.n_probes > 0 ? 0 : s->over_ns);
    at = earlier(at, session_send_deadline(s));
    return earlier(at, s->heard_ns + s->idle_ns);
}
