/* SPDX-License-Identifier: MIT */
/* A datagram comes in: what it says is checked as a whole before any of it counts. */
#include "proto/session_state.h"

#define WINDOW_REASON   (UINT64_C(1) << 40) /* no peer has so much memory */
#define NUMBER_REASON   (UINT64_C(1) << 40)
#define ACK_SEGMENTS    2u                  /* an acknowledgement for every so many, */
#define ACK_BYTES       2048u               /* or so much */
#define LINGER_MIN_NS   (3000 * SESSION_MS) /* of a session that is done */
#define LINGER_MAX_NS   (60000 * SESSION_MS)
#define LINGER_TIMEOUTS 8u
#define LINGER_LOSS     16u /* so much longer if all were lost */

static bool is_possible(const struct session *s, const struct frame *f)
{
    if (f->members & FRAME_HAS_ECHO && f->echo > s->last_number)
        return false;
    if (f->window > f->ack + WINDOW_REASON || f->number > s->debt.highest + NUMBER_REASON)
        return false;
    return stream_out_is_possible(&s->out, f);
}

static void owe(struct session *s, uint64_t due_ns)
{
    if (due_ns < s->debt.due_ns)
        s->debt.due_ns = due_ns;
}

/* When what came is to be acknowledged: in order now and then, all else at once. */
static void note_segment(struct session *s, uint64_t now_ns, const struct frame *f,
                         enum stream_in_outcome outcome)
{
    struct session_debt *d = &s->debt;

    d->n_segments++;
    d->n_bytes += (uint32_t)f->body.n;
    if (outcome != STREAM_IN_NEXT || f->is_fin || d->n_segments >= ACK_SEGMENTS ||
        d->n_bytes >= ACK_BYTES)
        owe(s, 0);
    else
        owe(s, now_ns + SESSION_ACK_DELAY_NS);
}

/* False: it cannot be, and nothing has changed. */
static bool take_segment(struct session *s, uint64_t now_ns, const struct frame *f)
{
    enum stream_in_outcome outcome;

    if (!(f->members & FRAME_HAS_OFFSET))
        return true;
    if (f->body.n == 0 && !f->is_fin) { /* a question alone: nothing goes on */
        session_trim(s);
        owe(s, 0);
        return true;
    }
    outcome = stream_in_put(&s->in, f->offset, f->body.bytes, f->body.n, f->is_fin);
    if (outcome == STREAM_IN_NONSENSE)
        return false;
    if (outcome == STREAM_IN_DUPLICATE || outcome == STREAM_IN_NO_ROOM)
        s->figures.ignored++;
    if (outcome != STREAM_IN_NO_ROOM)
        note_segment(s, now_ns, f, outcome);
    return true;
}

/* How long to go on answering: the more gets lost, the more often the last word must be said. */
static uint64_t linger_ns(const struct session *s)
{
    const struct session_figures *f = &s->figures;
    uint64_t ns = LINGER_TIMEOUTS * session_timeout_ns(s);

    ns = ns > LINGER_MIN_NS ? ns : LINGER_MIN_NS;
    ns += ns * LINGER_LOSS * (f->retransmitted + f->ignored) / (f->sent + f->received);
    return ns < LINGER_MAX_NS ? ns : LINGER_MAX_NS;
}

/* Who knows that the peer has got the acknowledgement of its end need not wait to repeat it. An
 * echo tells; so the last acknowledgement asks for an answer, and session_loss_tick asks again. */
static void check_done(struct session *s, uint64_t now_ns, const struct frame *f)
{
    bool was_open = s->state == SESSION_OPEN;

    if (was_open && stream_out_is_done(&s->out) && stream_in_has_end(&s->in))
        s->state = SESSION_DONE;
    if (s->state != SESSION_DONE)
        return;
    s->is_known_done = s->is_known_done || (s->end_number != 0 && f->members & FRAME_HAS_ECHO &&
                                            f->echo >= s->end_number);
    if (was_open && !s->is_known_done) {
        s->loss.n_probes = 1;
        s->loss.is_probe_bare = true;
    }
    s->over_ns = s->is_known_done ? now_ns : now_ns + linger_ns(s);
}

static void receive_data(struct session *s, uint64_t now_ns, const struct address *from,
                         const struct frame *f, size_t n_bytes)
{
    if (!is_possible(s, f) || !take_segment(s, now_ns, f)) {
        s->figures.ignored++;
        return;
    }
    s->heard_ns = now_ns;
    if (f->number > s->debt.highest) {
        s->debt.highest = f->number;
        s->debt.highest_ns = now_ns;
        if (s->is_server)
            session_path_seen(s, now_ns, from, n_bytes);
    }
    if (f->window > s->peer_window)
        s->peer_window = f->window;
    session_loss_acknowledge(s, now_ns, f);
    check_done(s, now_ns, f);
}

static void receive_close(struct session *s, const struct frame *f)
{
    if (s->state == SESSION_DONE)
        s->over_ns = 0;
    else
        session_fail(s, "closed by peer: ", (const char *)f->reason.bytes, f->reason.n);
}

void session_receive(struct session *s, uint64_t now_ns, const struct address *from,
                     const struct frame *f, size_t n_bytes)
{
    s->figures.received++;
    if (s->state == SESSION_FAILED || s->state == SESSION_OVER ||
        (!s->is_server && !address_equal(from, &s->path.peer))) {
        if (s->close_reason[0] != '\0' && f->type == FRAME_DATA)
            s->is_close_due = true; /* it has not heard of the end yet */
        s->figures.ignored++;
        return;
    }
    switch (f->type) {
    case FRAME_DATA:
        receive_data(s, now_ns, from, f, n_bytes);
        break;
    case FRAME_CLOSE:
        receive_close(s, f);
        break;
    case FRAME_PING:
        s->heard_ns = now_ns;
        session_path_ping(s, from, f, n_bytes);
        break;
    case FRAME_PONG:
        if (session_path_pong(s, now_ns, from, f))
            s->heard_ns = now_ns;
        else
            s->figures.ignored++;
        break;
    default:
        s->figures.ignored++;
        break;
    }
}
