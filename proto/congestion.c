/* SPDX-License-Identifier: MIT */
/* Congestion control: CUBIC that asks whether a loss has to do with it. */
#include "proto/congestion.h"

#include <string.h>

#define SECOND_NS 1e9

#define WINDOW_INITIAL_DATAGRAMS 10u /* RFC 6928 */
#define WINDOW_MIN_DATAGRAMS     2u
#define UNLIMITED                UINT64_MAX

#define CUBIC_BETA 0.7
#define CUBIC_C    0.4
/* Segments a round trip. With a queue nobody gains from more than a little above Reno's one: it
 * would only push others out of it. */
#define QUEUED_GROWTH    1.5
#define CUBIC_GROWTH_MAX 1.5 /* times the window, RFC 9438, section 4.4 */
#define RENO_GROWTH      (3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA))

#define LEAST_PERIOD_NS UINT64_C(5000000000) /* the least of the last 5 to 10 s */

/* Queueing delay that is not noise: a sixteenth of the least round-trip time, within these bounds,
 * and more than samples differ from one another. */
#define DELAY_NOISE_MIN_NS UINT64_C(500000)
#define DELAY_NOISE_MAX_NS UINT64_C(4000000)

/* RFC 9406, section 4.3. */
#define SLOW_SAMPLES      8u
#define SLOW_MIN_NS       UINT64_C(4000000)
#define SLOW_MAX_NS       UINT64_C(16000000)
#define SLOW_ROUNDS       5u
#define SLOW_GROWTH_PARTS 4u

#define RANDOM_SHARE 0.03
#define RANDOM_BETA  0.95

#define PLATEAU_GROWTH 1.5
#define RATE_RISE      1.05

#define PACE_SLOW_START 2.0
#define PACE            1.25
#define BURST_MIN       (10u * 1200u)
#define BURST_MAX       (128u * 1024u)
#define BURST_S         0.004 /* a timer's grain, and more */
#define QUANTUM_S       0.0005

static uint64_t window_min(const struct congestion *c)
{
    return (uint64_t)WINDOW_MIN_DATAGRAMS * c->datagram_bytes;
}

void congestion_init(struct congestion *c, uint32_t datagram_bytes, uint64_t now_ns)
{
    *c = (struct congestion){
        .datagram_bytes = datagram_bytes,
        .window = (uint64_t)WINDOW_INITIAL_DATAGRAMS * datagram_bytes,
        .threshold = UNLIMITED,
        .delivered_ns = now_ns,
        .first_sent_ns = now_ns,
        .round_ns = now_ns,
        .round_least_ns = UNLIMITED,
        .last_least_ns = UNLIMITED,
        .least_ns = {UNLIMITED, UNLIMITED},
        .period_ns = now_ns,
        .tokens = BURST_MAX,
        .tokens_ns = now_ns,
    };
}

void congestion_set_datagram(struct congestion *c, uint32_t datagram_bytes)
{
    c->datagram_bytes = datagram_bytes;
    if (c->window < window_min(c))
        c->window = window_min(c);
}

/* ---- Pacing ---- */

static double pace(const struct congestion *c)
{
    double gain = c->window < c->threshold ? PACE_SLOW_START : PACE;

    return gain * (double)c->window * SECOND_NS / (double)c->smoothed_ns;
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static double burst(const struct congestion *c)
{
    double most = BURST_MAX > 2 * c->datagram_bytes ? BURST_MAX : 2.0 * c->datagram_bytes;

    return clamp(pace(c) * BURST_S, BURST_MIN, most);
}

bool congestion_is_due(struct congestion *c, uint64_t now_ns)
{
    if (c->smoothed_ns == 0)
        return true;
    c->tokens += pace(c) * (double)(now_ns - c->tokens_ns) / SECOND_NS;
    c->tokens_ns = now_ns;
    if (c->tokens > burst(c))
        c->tokens = burst(c);
    return c->tokens > 0;
}

/* Some more than the next one needs, so that those who wait for timers are not woken for each. */
uint64_t congestion_due_ns(const struct congestion *c)
{
    if (c->smoothed_ns == 0 || c->tokens > 0)
        return 0;

    double quantum = clamp(pace(c) * QUANTUM_S, 1, BURST_MIN / 2.0);

    return c->tokens_ns + 1 + (uint64_t)((quantum - c->tokens) * SECOND_NS / pace(c));
}

/* ---- Sending ---- */

/* Is the window what holds back? It need not be full to the byte (Linux' tcp_is_cwnd_limited). */
static bool is_full(const struct congestion *c, uint64_t n_in_flight)
{
    if (c->window < c->threshold && 2 * n_in_flight >= c->window)
        return true;
    return n_in_flight + UINT64_C(3) * c->datagram_bytes > c->window;
}

void congestion_sent(struct congestion *c, uint64_t now_ns, uint32_t n_bytes, uint64_t n_in_flight,
                     struct congestion_stamp *stamp)
{
    if (n_in_flight == 0) {
        c->first_sent_ns = now_ns;
        c->delivered_ns = now_ns;
    }
    *stamp = (struct congestion_stamp){
        .delivered = c->delivered,
        .delivered_ns = c->delivered_ns,
        .first_sent_ns = c->first_sent_ns,
        .is_limited = c->delivered < c->limited_until,
    };
    c->tokens -= n_bytes;
    if (is_full(c, n_in_flight + n_bytes))
        c->is_filled = true;
}

void congestion_limited(struct congestion *c, uint64_t n_in_flight)
{
    c->limited_until = c->delivered + n_in_flight + 1;
}

/* ---- Round-trip times ---- */

uint64_t congestion_least_ns(const struct congestion *c)
{
    uint64_t least = c->least_ns[0] < c->least_ns[1] ? c->least_ns[0] : c->least_ns[1];

    return least == UNLIMITED ? 0 : least;
}

static void take_rtt(struct congestion *c, const struct congestion_sample *s)
{
    if (s->now_ns - c->period_ns > LEAST_PERIOD_NS) {
        c->least_ns[1] = c->least_ns[0];
        c->least_ns[0] = UNLIMITED;
        c->period_ns = s->now_ns;
    }
    if (s->rtt_ns < c->least_ns[0])
        c->least_ns[0] = s->rtt_ns;
    if (s->rtt_ns < c->round_least_ns)
        c->round_least_ns = s->rtt_ns;
    c->n_round_samples++;
    c->samples_ns[c->n_samples++ % CONGESTION_SAMPLES] = s->rtt_ns;
    c->smoothed_ns = s->smoothed_ns;
    c->variation_ns = s->variation_ns;
}

static uint64_t latest_ns(const struct congestion *c)
{
    uint64_t latest = UNLIMITED;

    for (uint32_t i = 0; i < CONGESTION_SAMPLES && i < c->n_samples; i++)
        if (c->samples_ns[i] < latest)
            latest = c->samples_ns[i];
    return latest;
}

static bool has_queue(const struct congestion *c)
{
    uint64_t least = congestion_least_ns(c), noise = least / 16;

    if (least == 0)
        return false;
    noise = noise < DELAY_NOISE_MIN_NS ? DELAY_NOISE_MIN_NS : noise;
    noise = noise > DELAY_NOISE_MAX_NS ? DELAY_NOISE_MAX_NS : noise;
    noise = noise > c->variation_ns ? noise : c->variation_ns;
    return latest_ns(c) > least + noise;
}

/* ---- Rounds ---- */

/* RFC 9406: where delay has grown, growth slows down, and ends if that was no mistake. */
static void end_slow_round(struct congestion *c)
{
    uint64_t eta = c->last_least_ns / 8;

    if (c->n_round_samples < SLOW_SAMPLES || c->last_least_ns == UNLIMITED)
        return;
    eta = eta < SLOW_MIN_NS ? SLOW_MIN_NS : eta;
    eta = eta > SLOW_MAX_NS ? SLOW_MAX_NS : eta;
    if (c->n_slow_rounds > 0) {
        if (++c->n_slow_rounds > SLOW_ROUNDS)
            c->threshold = c->window;
    } else if (c->round_least_ns >= c->last_least_ns + eta) {
        c->n_slow_rounds = 1;
    }
}

static void note_rate(struct congestion *c, double rate)
{
    c->rate = c->rate == 0 ? rate : (c->rate * 3 + rate) / 4;
    if (c->rate > c->knee_rate * RATE_RISE) {
        c->knee_rate = c->rate;
        c->knee_window = c->window;
    }
}

static void end_round(struct congestion *c, const struct congestion_sample *s)
{
    uint64_t n_ns = s->now_ns - c->round_ns, n_bytes = c->delivered - c->round_delivered;
    double share_lost = (double)c->round_lost / (double)(n_bytes + c->round_lost + 1);

    if (n_ns > 0 && !s->stamp->is_limited)
        note_rate(c, (double)n_bytes * SECOND_NS / (double)n_ns);
    if (c->window < c->threshold)
        end_slow_round(c);
    c->round_end = c->delivered;
    c->share_lost += (share_lost - c->share_lost) / 4;
    c->round_lost = 0;
    c->round_window = c->window;
    c->round_ns = s->now_ns;
    c->round_delivered = c->delivered;
    c->last_least_ns = c->round_least_ns;
    c->round_least_ns = UNLIMITED;
    c->n_round_samples = 0;
}

/* ---- Growth ---- */

static double cube_root(double value)
{
    double root = value > 1 ? value / 3 : 1;

    for (int i = 0; i < 60; i++)
        root = (2 * root + value / (root * root)) / 3;
    return root;
}

static void begin_epoch(struct congestion *c, uint64_t now_ns)
{
    double mss = c->datagram_bytes, window = (double)c->window;

    if (c->most < c->window)
        c->most = c->window;
    c->epoch_ns = now_ns;
    c->k_s = cube_root(((double)c->most - window) / mss / CUBIC_C + 1e-9);
    c->reno = window;
}

static void grow_cubic(struct congestion *c, const struct congestion_sample *s)
{
    double mss = c->datagram_bytes, window = (double)c->window, n = (double)s->n_bytes;

    if (c->epoch_ns == 0)
        begin_epoch(c, s->now_ns);

    double t = (double)(s->now_ns - c->epoch_ns + c->smoothed_ns) / SECOND_NS - c->k_s;
    double most = has_queue(c) ? window + QUEUED_GROWTH * mss : CUBIC_GROWTH_MAX * window;
    double target = clamp(CUBIC_C * t * t * t * mss + (double)c->most, window, most);

    c->reno += (c->reno < (double)c->most ? RENO_GROWTH : 1) * mss * n / window;
    window += (target - window) * n / window;
    if (window < c->reno)
        window = c->reno;
    c->window = (uint64_t)window;
}

static void grow(struct congestion *c, const struct congestion_sample *s)
{
    if (c->window >= c->threshold)
        grow_cubic(c, s);
    else if (c->n_slow_rounds > 0)
        c->window += s->n_bytes / SLOW_GROWTH_PARTS;
    else
        c->window += s->n_bytes;
}

void congestion_acked(struct congestion *c, const struct congestion_sample *s)
{
    uint64_t since_ns = s->now_ns - c->delivered_ns;
    bool was_full = is_full(c, s->n_in_flight);

    c->delivered += s->n_bytes;
    c->delivered_ns = s->now_ns;
    if (s->rtt_ns > 0)
        take_rtt(c, s);
    if (s->stamp == NULL)
        return;
    c->first_sent_ns = s->sent_ns;
    if (c->is_filled && s->number > c->cut_number)
        grow(c, s);
    else if (c->epoch_ns != 0)
        c->epoch_ns += since_ns; /* RFC 9438, section 5.8: time that was not used does not count */
    if (s->stamp->delivered >= c->round_end) {
        end_round(c, s);
        c->is_filled = was_full;
    }
}

/* ---- Loss ---- */

static bool is_congestion(const struct congestion *c)
{
    return has_queue(c) || (c->knee_window > 0 &&
                            (double)c->round_window > PLATEAU_GROWTH * (double)c->knee_window);
}

static void cut(struct congestion *c, double factor, uint64_t last_number)
{
    uint64_t before = c->window;

    c->undo_window = before;
    c->undo_threshold = c->threshold;
    c->undo_most = c->most;
    c->window = (uint64_t)(factor * (double)before);
    if (c->window < window_min(c))
        c->window = window_min(c);
    /* RFC 9438, section 4.7: who is cut before it came back leaves room to others. */
    c->most = before < c->most ? (uint64_t)((1 + CUBIC_BETA) / 2 * (double)before) : before;
    c->threshold = c->window;
    c->cut_number = last_number;
    c->epoch_ns = 0;
    c->knee_rate = 0;
    c->knee_window = c->round_window = c->window;
}

/*
 * Where more gets lost than a queue that runs over would make, most cuts are for losses that only
 * happened beside a queue: then no more is taken back than what lies in it.
 */
static double cut_factor(const struct congestion *c)
{
    double path = c->rate / (1 - c->share_lost) * (double)congestion_least_ns(c) / SECOND_NS;

    if (c->share_lost < RANDOM_SHARE)
        return CUBIC_BETA;
    return clamp(path / (double)c->window, CUBIC_BETA, RANDOM_BETA);
}

void congestion_lost(struct congestion *c, uint32_t n_bytes, uint64_t number, uint64_t last_number)
{
    c->round_lost += n_bytes;
    if (number <= c->cut_number)
        return;
    if (!is_congestion(c)) {
        c->n_random++;
        return;
    }
    c->n_cuts++;
    cut(c, cut_factor(c), last_number);
}

void congestion_spurious(struct congestion *c)
{
    if (c->undo_window <= c->window)
        return;
    c->window = c->undo_window;
    c->threshold = c->undo_threshold;
    c->most = c->undo_most;
    c->undo_window = 0;
    c->cut_number = 0;
    c->epoch_ns = 0;
}

void congestion_collapse(struct congestion *c, uint64_t last_number)
{
    uint64_t threshold = (uint64_t)(CUBIC_BETA * (double)c->window);

    cut(c, 0, last_number);
    c->threshold = threshold > c->window ? threshold : c->window;
    c->undo_window = 0;
}
