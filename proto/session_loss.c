/* SPDX-License-Identifier: MIT */
/*
 * What has come, what is lost, and when to ask. Time decides what is lost (RFC 8985): a datagram
 * is, once one sent later has come and it is overdue itself. A timeout (RFC 6298) marks nothing
 * lost: it sends two probes, whose acknowledgement tells what is (RFC 9002, section 6.2).
 */
#include "proto/session_state.h"

#define TIMEOUT_INITIAL_NS (250 * SESSION_MS)
#define TIMEOUT_MIN_NS     (10 * SESSION_MS)
#define TIMEOUT_MAX_NS     (2000 * SESSION_MS) /* by back-off */
#define BACK_OFF_MAX       8u
#define GRAIN_NS           SESSION_MS
#define REORDER_MIN_NS     UINT64_C(200000)
#define COLLAPSE_TIMEOUTS  3u
#define KEEP_ALIVE_GAP_NS  (1000 * SESSION_MS) /* between questions that are not answered */

void session_loss_init(struct session_loss *l, uint64_t now_ns)
{
    *l = (struct session_loss){.lost_ns = SESSION_NEVER, .asked_ns = now_ns};
}

/* ---- Round-trip time ---- */

static uint64_t max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* RFC 6298, section 2. */
static void take_rtt(struct session_loss *l, uint64_t rtt_ns)
{
    l->latest_ns = rtt_ns;
    if (l->smoothed_ns == 0) {
        l->smoothed_ns = rtt_ns;
        l->variation_ns = rtt_ns / 2;
        return;
    }

    uint64_t off_ns = rtt_ns > l->smoothed_ns ? rtt_ns - l->smoothed_ns : l->smoothed_ns - rtt_ns;

    l->variation_ns = (3 * l->variation_ns + off_ns) / 4;
    l->smoothed_ns = (7 * l->smoothed_ns + rtt_ns) / 8;
}

uint64_t session_timeout_ns(const struct session *s)
{
    const struct session_loss *l = &s->loss;

    if (l->smoothed_ns == 0)
        return TIMEOUT_INITIAL_NS;
    return max(TIMEOUT_MIN_NS,
               l->smoothed_ns + max(4 * l->variation_ns, GRAIN_NS) + SESSION_ACK_DELAY_NS);
}

static uint64_t backed_off_ns(const struct session *s)
{
    uint64_t base = session_timeout_ns(s);

    return min(base << min(s->loss.n_timeouts, BACK_OFF_MAX), max(TIMEOUT_MAX_NS, 2 * base));
}

/* ---- Loss ---- */

static uint64_t reorder_ns(const struct session *s)
{
    uint64_t least_ns = congestion_least_ns(&s->congestion);

    return min(max(max(least_ns / 4, REORDER_MIN_NS), s->loss.reorder_ns),
               max(s->loss.smoothed_ns, REORDER_MIN_NS));
}

static void detect(struct session *s, uint64_t now_ns)
{
    struct session_loss *l = &s->loss;
    uint64_t patience_ns = max(l->smoothed_ns, l->latest_ns) + reorder_ns(s);
    struct segment *oldest;

    l->lost_ns = SESSION_NEVER;
    while ((oldest = stream_out_oldest(&s->out)) != NULL && oldest->number < l->number) {
        if (oldest->sent_ns + patience_ns > now_ns) {
            l->lost_ns = oldest->sent_ns + patience_ns;
            break;
        }
        stream_out_lose(&s->out, oldest);
        session_path_lost(s, oldest->n_charged, oldest->number);
        congestion_lost(&s->congestion, oldest->n_charged, oldest->number, s->last_number);
    }
    session_path_check(s, now_ns);
}

/* How late others were is how long to wait for the next; it is forgotten slowly. */
static void note_order(struct session *s, const struct delivery *d)
{
    struct session_loss *l = &s->loss;

    l->reorder_ns -= l->reorder_ns / 512;
    l->reorder_ns = max(l->reorder_ns, d->late_ns + d->late_ns / 4);
    if (d->n_spurious > 0) {
        l->reorder_ns = min(2 * reorder_ns(s), l->smoothed_ns);
        congestion_spurious(&s->congestion);
    }
}

/* 0: it says nothing of the path. */
static uint64_t rtt_of(const struct session_loss *l, const struct delivery *d, uint64_t now_ns,
                       const struct frame *f)
{
    uint64_t rtt_ns = now_ns - d->sent_ns, delay_us = 0;

    if (f->members & FRAME_HAS_DELAY)
        delay_us = f->delay_us;
    if (d->number <= l->paused_number || (d->echo != 0 && d->number != d->echo))
        return 0;
    if (delay_us >= SESSION_DELAY_MAX_US)
        return 0;
    return max(delay_us * 1000 < rtt_ns ? rtt_ns - delay_us * 1000 : rtt_ns, 1);
}

void session_loss_acknowledge(struct session *s, uint64_t now_ns, const struct frame *f)
{
    struct session_loss *l = &s->loss;
    struct delivery d = {.echo = f->members & FRAME_HAS_ECHO ? f->echo : 0,
                         .latest = l->number,
                         .latest_sent_ns = l->sent_ns};
    uint64_t n_in_flight = s->out.n_in_flight;

    stream_out_acknowledge(&s->out, f, &d);
    l->number = max(l->number, max(d.echo, d.number));
    if (d.n_segments > 0) {
        uint64_t rtt_ns = rtt_of(l, &d, now_ns, f);

        if (rtt_ns > 0)
            take_rtt(l, rtt_ns);
        l->sent_ns = max(l->sent_ns, d.sent_ns);
        l->n_timeouts = 0;
        l->asked_ns = max(l->asked_ns, now_ns);
        congestion_acked(&s->congestion,
                         &(struct congestion_sample){.now_ns = now_ns,
                                                     .n_bytes = d.n_bytes,
                                                     .number = d.number,
                                                     .sent_ns = d.sent_ns,
                                                     .stamp = d.number != 0 ? &d.stamp : NULL,
                                                     .rtt_ns = rtt_ns,
                                                     .smoothed_ns = l->smoothed_ns,
                                                     .variation_ns = l->variation_ns,
                                                     .n_in_flight = n_in_flight});
        note_order(s, &d);
        session_path_delivered(s, now_ns, d.n_largest, d.number);
    }
    detect(s, now_ns);
}

/* ---- Timers ---- */

/* Nothing is under way that an answer could come to, and the peer's window lets nothing go. */
static bool is_shut(const struct session *s)
{
    return s->out.n_in_flight == 0 && stream_out_lost(&s->out) == NULL &&
           stream_out_unsent(&s->out) > 0 && s->out.sent >= s->peer_window;
}

static uint64_t timeout_at(const struct session *s)
{
    if (s->out.n_in_flight == 0 && !is_shut(s) && s->state != SESSION_DONE)
        return SESSION_NEVER;
    if (s->state == SESSION_DONE && s->is_known_done)
        return SESSION_NEVER;
    return s->loss.asked_ns + backed_off_ns(s);
}

/* Whatever is under way asks already. */
static uint64_t keep_alive_at(const struct session *s)
{
    if (s->state != SESSION_OPEN || timeout_at(s) != SESSION_NEVER)
        return SESSION_NEVER;
    return max(s->heard_ns + s->keep_alive_ns, s->loss.asked_ns + KEEP_ALIVE_GAP_NS);
}

uint64_t session_loss_deadline(const struct session *s)
{
    return min(s->loss.lost_ns, min(timeout_at(s), keep_alive_at(s)));
}

static void time_out(struct session *s, uint64_t now_ns)
{
    struct session_loss *l = &s->loss;

    l->n_timeouts++;
    l->asked_ns = now_ns;
    l->is_probe_bare = s->out.n_in_flight == 0;
    l->n_probes = l->is_probe_bare ? 1 : 2;
    if (l->is_probe_bare || l->n_timeouts < COLLAPSE_TIMEOUTS)
        return;
    if (l->n_timeouts == COLLAPSE_TIMEOUTS)
        congestion_collapse(&s->congestion, s->last_number);
    session_path_fall_back(s, now_ns);
}

void session_loss_tick(struct session *s, uint64_t now_ns)
{
    struct session_loss *l = &s->loss;

    if (now_ns >= l->lost_ns)
        detect(s, now_ns);
    if (now_ns >= timeout_at(s))
        time_out(s, now_ns);
    if (now_ns >= keep_alive_at(s)) {
        l->asked_ns = now_ns;
        l->n_probes = 1;
        l->is_probe_bare = true;
        session_trim(s);
    }
}
