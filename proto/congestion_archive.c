/* SPDX-License-Identifier: MIT */
/* Congestion control to bytes and back, each value within what the arithmetic bears. */
#include "proto/archive.h"
#include "proto/congestion.h"

#define WINDOW_MAX (UINT64_C(1) << 42)
#define BYTES_MAX  (UINT64_C(1) << 62)
#define ROUND_MAX  (UINT64_C(1) << 50)
#define RATE_MAX   1e18
#define TOKENS_MAX 1e9
#define SECONDS    1e9
#define LOST_MAX   (1 - 1e-12)
#define UNLIMITED  UINT64_MAX

/* As much as `max`, or no bound at all. */
static void archive_bound(struct archive *a, uint64_t *value, uint64_t max)
{
    archive_uint(a, value, UNLIMITED);
    archive_require(a, *value <= max || *value == UNLIMITED);
}

static void archive_rounds(struct archive *a, struct congestion *c)
{
    archive_uint(a, &c->delivered, BYTES_MAX);
    archive_past(a, &c->delivered_ns);
    archive_past(a, &c->first_sent_ns);
    archive_uint(a, &c->limited_until, BYTES_MAX);
    archive_flag(a, &c->is_filled);
    archive_uint(a, &c->round_end, BYTES_MAX);
    archive_past(a, &c->round_ns);
    archive_uint(a, &c->round_delivered, BYTES_MAX);
    archive_require(a, c->round_delivered <= c->delivered);
    archive_uint(a, &c->round_window, WINDOW_MAX);
    archive_bound(a, &c->round_least_ns, CONGESTION_RTT_MAX_NS);
    archive_bound(a, &c->last_least_ns, CONGESTION_RTT_MAX_NS);
    archive_uint32(a, &c->n_round_samples, UINT32_MAX);
    archive_uint32(a, &c->n_slow_rounds, UINT32_MAX);
}

static void archive_times(struct archive *a, struct congestion *c)
{
    archive_bound(a, &c->least_ns[0], CONGESTION_RTT_MAX_NS);
    archive_bound(a, &c->least_ns[1], CONGESTION_RTT_MAX_NS);
    archive_past(a, &c->period_ns);
    for (uint32_t i = 0; i < CONGESTION_SAMPLES; i++)
        archive_uint(a, &c->samples_ns[i], CONGESTION_RTT_MAX_NS);
    archive_uint32(a, &c->n_samples, UINT32_MAX);
    archive_uint(a, &c->smoothed_ns, CONGESTION_RTT_MAX_NS);
    archive_uint(a, &c->variation_ns, CONGESTION_RTT_MAX_NS);
}

void congestion_archive(struct archive *a, struct congestion *c)
{
    archive_uint32(a, &c->datagram_bytes, UINT16_MAX);
    archive_uint(a, &c->window, WINDOW_MAX);
    archive_bound(a, &c->threshold, WINDOW_MAX);
    archive_uint(a, &c->cut_number, BYTES_MAX);
    archive_rounds(a, c);
    archive_times(a, c);
    archive_real(a, &c->rate, 0, RATE_MAX);
    archive_real(a, &c->share_lost, 0, LOST_MAX);
    archive_uint(a, &c->round_lost, ROUND_MAX);
    archive_real(a, &c->knee_rate, 0, RATE_MAX);
    archive_uint(a, &c->knee_window, WINDOW_MAX);
    archive_past(a, &c->epoch_ns);
    archive_uint(a, &c->most, WINDOW_MAX);
    archive_real(a, &c->k_s, 0, SECONDS);
    archive_real(a, &c->reno, 0, (double)WINDOW_MAX);
    archive_uint(a, &c->undo_window, WINDOW_MAX);
    archive_bound(a, &c->undo_threshold, WINDOW_MAX);
    archive_uint(a, &c->undo_most, WINDOW_MAX);
    archive_real(a, &c->tokens, -TOKENS_MAX, TOKENS_MAX);
    archive_past(a, &c->tokens_ns);
    archive_uint(a, &c->n_cuts, BYTES_MAX);
    archive_uint(a, &c->n_random, BYTES_MAX);
}
