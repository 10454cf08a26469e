/* SPDX-License-Identifier: MIT */
/* The next datagram to send: what is asked of the path, segments, acknowledgements, in this order.
 */
#include "proto/session_state.h"

#include <string.h>

/* `{"type":"data","session":"..","n":,"offset":,"ack":,"echo":,"delay":,"window":,"crc":".."}`, RS
 * and LF: all but the digits. */
#define HEADER_BYTES 121u
#define HEADER_END   11u /* ,"fin":true */
#define HEADER_SACK  10u /* ,"sack":[] */
#define DELAY_DIGITS 7u

#define RANGES_ALONE  32u /* of an acknowledgement without a segment */
#define RANGES_BESIDE 8u  /* for which a segment leaves room */
#define RETRY_NS      (10 * SESSION_MS)

/* ---- How long ---- */

static uint32_t n_digits(uint64_t value)
{
    uint32_t n = 1;

    for (; value >= 10; value /= 10)
        n++;
    return n;
}

/* Of a range of sack and its commas. */
static uint32_t range_bytes(const struct session *s)
{
    return 2 * (n_digits(s->in.window) + 1);
}

/* The longest that a header without ranges can be now; numbers may grow by a digit before the
 * segment is sent again. */
static uint32_t header_bytes(const struct session *s)
{
    return HEADER_BYTES + HEADER_END + DELAY_DIGITS + n_digits(s->out.written) + 4 +
           n_digits(s->last_number) + n_digits(s->debt.highest) + n_digits(s->in.next) +
           n_digits(stream_in_window(&s->in));
}

uint32_t session_body_bytes(const struct session *s)
{
    uint32_t ranges = s->in.n_ranges < RANGES_BESIDE ? s->in.n_ranges : RANGES_BESIDE;
    uint32_t beside = ranges == 0 ? 0 : HEADER_SACK + ranges * range_bytes(s);

    return s->path.datagram_bytes - header_bytes(s) - beside;
}

bool session_fits(const struct session *s, uint32_t n_bytes)
{
    return header_bytes(s) + n_bytes <= SESSION_DATAGRAM_MAX;
}

/* ---- One datagram ---- */

static struct frame frame_of(const struct session *s, uint64_t now_ns)
{
    const struct session_debt *d = &s->debt;
    struct frame f = {.type = FRAME_DATA,
                      .members =
                          FRAME_HAS_SESSION | FRAME_HAS_NUMBER | FRAME_HAS_ACK | FRAME_HAS_WINDOW,
                      .number = s->last_number + 1,
                      .ack = s->in.next,
                      .window = stream_in_window(&s->in)};

    memcpy(f.session, s->id, sizeof f.session);
    if (d->highest > 0) {
        uint64_t delay_us = (now_ns - d->highest_ns) / 1000;

        f.members |= FRAME_HAS_ECHO | FRAME_HAS_DELAY;
        f.echo = d->highest;
        f.delay_us = delay_us < SESSION_DELAY_MAX_US ? delay_us : SESSION_DELAY_MAX_US;
    }
    return f;
}

/* As many ranges as fit beside n_bytes of all else. */
static void add_ranges(const struct session *s, struct frame *f, size_t n_bytes, uint32_t most)
{
    size_t size = s->path.datagram_bytes, room;

    if (s->in.n_ranges == 0 || n_bytes + HEADER_SACK >= size)
        return;
    room = (size - n_bytes - HEADER_SACK) / range_bytes(s);
    f->n_sack = stream_in_report(&s->in, f->sack, room < most ? (uint32_t)room : most);
}

/* What every datagram with an acknowledgement settles. */
static void settle(struct session *s)
{
    s->last_number++;
    s->figures.sent++;
    s->debt.due_ns = SESSION_NEVER;
    s->debt.n_bytes = s->debt.n_segments = 0;
    s->in.window = stream_in_window(&s->in);
    if (s->end_number == 0 && stream_in_has_end(&s->in))
        s->end_number = s->last_number;
}

/* Numbers that have grown by more digits than there was room for leave these out. */
static size_t write_within(struct frame *f, uint8_t *buf, size_t capacity, size_t size)
{
    size_t n = frame_write(f, buf, capacity);

    if (n > size) {
        f->members &= ~(uint32_t)(FRAME_HAS_ECHO | FRAME_HAS_DELAY);
        f->n_sack = 0;
        n = frame_write(f, buf, capacity);
    }
    return n;
}

static size_t send_segment(struct session *s, uint64_t now_ns, struct segment *g, uint8_t *buf,
                           size_t capacity)
{
    struct frame f = frame_of(s, now_ns);
    uint8_t gathered[SESSION_DATAGRAM_MAX];
    size_t n_piece = 0, n;

    f.members |= FRAME_HAS_OFFSET;
    f.offset = g->offset;
    f.is_fin = g->is_end;
    f.body = (struct frame_slice){gathered, g->n_bytes};
    if (g->n_bytes > 0)
        f.body.bytes = blocks_at(&s->out.blocks, g->offset, &n_piece);
    if (n_piece < g->n_bytes) {
        blocks_get(&s->out.blocks, g->offset, gathered, g->n_bytes);
        f.body.bytes = gathered;
    }
    add_ranges(s, &f, header_bytes(s) + g->n_bytes, RANGES_BESIDE);
    n = write_within(&f, buf, capacity, s->path.datagram_bytes);
    settle(s);
    s->figures.retransmitted += g->number != 0;
    congestion_sent(&s->congestion, now_ns, (uint32_t)n, s->out.n_in_flight, &g->stamp);
    stream_out_sent(&s->out, g, s->last_number, now_ns, (uint32_t)n);
    s->loss.asked_ns = now_ns;
    return n;
}

/* An acknowledgement alone, or (is_question) one that wants an answer at once. */
static size_t send_bare(struct session *s, uint64_t now_ns, bool is_question, uint8_t *buf,
                        size_t capacity)
{
    struct frame f = frame_of(s, now_ns);

    if (is_question) {
        f.members |= FRAME_HAS_OFFSET;
        f.offset = s->out.sent < s->out.written ? s->out.sent : s->out.written;
        s->loss.asked_ns = now_ns;
    }
    add_ranges(s, &f, header_bytes(s), RANGES_ALONE);
    settle(s);
    return frame_write(&f, buf, capacity);
}

/* ---- Which ---- */

static bool has_room(const struct session *s)
{
    uint64_t n_in_flight = s->out.n_in_flight;

    return n_in_flight == 0 || n_in_flight + s->path.datagram_bytes <= s->congestion.window;
}

/* How much may be sent for the first time in one datagram; a small piece only if nothing comes that
 * could make it larger. False: nothing. */
static bool next_bytes(const struct session *s, size_t *n)
{
    uint64_t unsent = stream_out_unsent(&s->out);
    uint64_t room = s->peer_window > s->out.sent ? s->peer_window - s->out.sent : 0;
    uint32_t body = session_body_bytes(s);

    *n = unsent < body ? (size_t)unsent : body;
    if (stream_out_is_crowded(&s->out))
        return false;
    if (room >= *n)
        return *n > 0 || stream_out_has_unsent(&s->out);
    *n = (size_t)room;
    return room > 0 && s->out.n_in_flight == 0;
}

static bool has_segment(const struct session *s)
{
    size_t n;

    return stream_out_lost(&s->out) != NULL || next_bytes(s, &n);
}

static struct segment *next_segment(struct session *s)
{
    struct segment *g = stream_out_lost(&s->out);
    size_t n;

    if (g == NULL && next_bytes(s, &n))
        g = stream_out_cut(&s->out, n);
    return g;
}

static size_t send_probe(struct session *s, uint64_t now_ns, uint8_t *buf, size_t capacity)
{
    struct segment *g = s->loss.is_probe_bare ? NULL : stream_out_lost(&s->out);

    s->loss.n_probes--;
    if (g == NULL && !s->loss.is_probe_bare)
        g = stream_out_oldest(&s->out);
    if (g == NULL)
        return send_bare(s, now_ns, true, buf, capacity);
    return send_segment(s, now_ns, g, buf, capacity);
}

static size_t send_data(struct session *s, uint64_t now_ns, uint8_t *buf, size_t capacity)
{
    struct segment *g;

    if (s->loss.n_probes > 0)
        return send_probe(s, now_ns, buf, capacity);
    if (!has_room(s) || now_ns < s->retry_ns)
        return 0;
    if (!has_segment(s)) {
        congestion_limited(&s->congestion, s->out.n_in_flight);
        return 0;
    }
    if (!congestion_is_due(&s->congestion, now_ns))
        return 0;
    g = next_segment(s);
    if (g != NULL)
        return send_segment(s, now_ns, g, buf, capacity);
    s->retry_ns = now_ns + RETRY_NS; /* no memory for now */
    return 0;
}

uint64_t session_send_deadline(const struct session *s)
{
    uint64_t due_ns = congestion_due_ns(&s->congestion);

    if (s->loss.n_probes > 0)
        return 0;
    if (!has_room(s) || !has_segment(s))
        return SESSION_NEVER;
    return due_ns > s->retry_ns ? due_ns : s->retry_ns;
}

/* ---- The session's turn ---- */

static void tick(struct session *s, uint64_t now_ns)
{
    if (s->state == SESSION_DONE && now_ns >= s->over_ns && now_ns < s->debt.due_ns) {
        s->over_ns = SESSION_NEVER;
        s->is_known_done = true; /* or never will be */
        if (session_is_finished(s))
            s->state = SESSION_OVER;
        return;
    }
    if (s->state == SESSION_OPEN && now_ns >= s->heard_ns + s->idle_ns) {
        session_fail(s, "idle", "", 0);
        return;
    }
    session_loss_tick(s, now_ns);
}

static size_t send_close(struct session *s, uint8_t *buf, size_t capacity, struct address *to)
{
    struct frame f = {.type = FRAME_CLOSE,
                      .members = FRAME_HAS_SESSION | FRAME_HAS_REASON,
                      .reason = {(const uint8_t *)s->close_reason, strlen(s->close_reason)}};

    if (!s->is_close_due)
        return 0;
    memcpy(f.session, s->id, sizeof f.session);
    s->is_close_due = false;
    *to = s->path.peer;
    return frame_write(&f, buf, capacity);
}

size_t session_send(struct session *s, uint64_t now_ns, uint8_t *buf, size_t capacity,
                    struct address *to)
{
    size_t n;

    if (s->state == SESSION_OPEN || s->state == SESSION_DONE)
        tick(s, now_ns);
    if (s->state == SESSION_FAILED)
        return send_close(s, buf, capacity, to);
    if (s->state == SESSION_OVER)
        return 0;
    n = session_path_send(s, now_ns, buf, capacity, to);
    if (n > 0)
        return n;
    *to = s->path.peer;
    if (s->state == SESSION_OPEN || s->loss.n_probes > 0)
        n = send_data(s, now_ns, buf, capacity);
    if (n == 0 && now_ns >= s->debt.due_ns)
        n = send_bare(s, now_ns, false, buf, capacity);
    return n;
}
