/* SPDX-License-Identifier: MIT */
/* A session to bytes and back, and what is between. */
#include "proto/archive.h"
#include "proto/session_state.h"

#include <errno.h>
#include <stdlib.h>

static const struct archive_kind KIND = {{'s', 'e', 's', 'n'}, SESSION_SAVED_VERSION};

#define NUMBER_MAX   (UINT64_C(1) << 62)
#define DURATION_MAX (UINT64_C(1) << 53) /* a hundred days, in ns */
#define FIGURE_MAX   (UINT64_C(1) << 48)
#define PROBES_MAX   2u
#define UNTOLD_NS    (SESSION_DELAY_MAX_US * 1000 + SESSION_MS)

/* ---- Fields ---- */

static void archive_life(struct archive *a, struct session *s)
{
    uint32_t state = s->state;

    archive_bytes(a, s->id, sizeof s->id);
    archive_flag(a, &s->is_server);
    archive_uint32(a, &state, SESSION_FAILED);
    s->state = (enum session_state)state;
    archive_text(a, s->reason, sizeof s->reason);
    archive_text(a, s->close_reason, sizeof s->close_reason);
    archive_flag(a, &s->is_close_due);
    archive_uint(a, &s->random, UINT64_MAX);
    archive_uint(a, &s->last_number, NUMBER_MAX);
    archive_uint(a, &s->end_number, NUMBER_MAX);
    archive_uint(a, &s->peer_window, NUMBER_MAX);
    archive_past(a, &s->heard_ns);
    archive_due(a, &s->over_ns);
    archive_flag(a, &s->is_known_done);
    archive_due(a, &s->retry_ns);
    archive_uint(a, &s->idle_ns, DURATION_MAX);
    archive_uint(a, &s->keep_alive_ns, DURATION_MAX);
    archive_uint32(a, &s->max_datagram, UINT32_MAX);
}

static void archive_debt(struct archive *a, struct session_debt *d)
{
    archive_uint(a, &d->highest, NUMBER_MAX);
    archive_past(a, &d->highest_ns);
    archive_due(a, &d->due_ns);
    archive_uint32(a, &d->n_bytes, UINT32_MAX);
    archive_uint32(a, &d->n_segments, UINT32_MAX);
}

static void archive_loss(struct archive *a, struct session_loss *l)
{
    archive_uint(a, &l->smoothed_ns, CONGESTION_RTT_MAX_NS);
    archive_uint(a, &l->variation_ns, CONGESTION_RTT_MAX_NS);
    archive_uint(a, &l->latest_ns, CONGESTION_RTT_MAX_NS);
    archive_uint(a, &l->number, NUMBER_MAX);
    archive_past(a, &l->sent_ns);
    archive_uint(a, &l->reorder_ns, DURATION_MAX);
    archive_due(a, &l->lost_ns);
    archive_past(a, &l->asked_ns);
    archive_uint32(a, &l->n_timeouts, UINT32_MAX);
    archive_uint32(a, &l->n_probes, PROBES_MAX);
    archive_flag(a, &l->is_probe_bare);
}

static void archive_ask(struct archive *a, struct session_ask *ask)
{
    archive_uint(a, &ask->token, UINT64_MAX);
    archive_due(a, &ask->due_ns);
    archive_uint32(a, &ask->n_sent, SESSION_ASKS_MAX);
}

static void archive_pong(struct archive *a, struct session_pong *p)
{
    uint64_t n_bytes = p->n_bytes;

    archive_address(a, &p->to);
    archive_uint(a, &p->token, UINT64_MAX);
    archive_flag(a, &p->has_token);
    archive_uint(a, &n_bytes, UINT32_MAX);
    p->n_bytes = (size_t)n_bytes;
}

static void archive_path(struct archive *a, struct session_path *p)
{
    archive_address(a, &p->peer);
    archive_uint32(a, &p->datagram_bytes, SESSION_DATAGRAM_MAX);
    archive_uint32(a, &p->probe_bytes, SESSION_DATAGRAM_MAX);
    archive_uint32(a, &p->too_large, UINT32_MAX);
    archive_due(a, &p->again_ns);
    archive_uint(a, &p->search_ns, DURATION_MAX);
    archive_uint(a, &p->large_number, NUMBER_MAX);
    archive_uint32(a, &p->n_large_lost, UINT32_MAX);
    archive_uint32(a, &p->n_moved, UINT32_MAX);
    archive_ask(a, &p->size);
    archive_any_address(a, &p->candidate);
    archive_uint(a, &p->allowance, NUMBER_MAX);
    archive_ask(a, &p->move);
    archive_uint32(a, &p->n_pongs, SESSION_N_PONGS);
    for (uint32_t i = 0; i < p->n_pongs; i++)
        archive_pong(a, &p->pongs[i]);
}

static void archive_figures(struct archive *a, struct session_figures *f)
{
    archive_uint(a, &f->retransmitted, FIGURE_MAX);
    archive_uint(a, &f->sent, FIGURE_MAX);
    archive_uint(a, &f->received, FIGURE_MAX);
    archive_uint(a, &f->ignored, FIGURE_MAX);
}

/* ---- What must hold between them ---- */

static bool is_asking(const struct session_ask *ask)
{
    return ask->due_ns != SESSION_NEVER || ask->n_sent > 0;
}

static void check_path(struct archive *a, const struct session *s)
{
    const struct session_path *p = &s->path;
    uint32_t size = p->datagram_bytes;

    archive_require(a, s->max_datagram >= SESSION_DATAGRAM_MIN);
    archive_require(a, size >= SESSION_DATAGRAM_MIN && size <= s->max_datagram);
    archive_require(a, s->congestion.datagram_bytes == size);
    archive_require(a, s->congestion.window >= 2u * (uint64_t)size);
    if (is_asking(&p->size))
        archive_require(a, p->probe_bytes > size && p->probe_bytes <= s->max_datagram);
    if (is_asking(&p->move))
        archive_require(a, p->candidate.family != ADDRESS_NONE);
    for (uint64_t at = s->out.first; at < s->out.end; at++) {
        const struct segment *g = &s->out.slots[at & s->out.mask];

        archive_require(a, session_fits(s, g->n_bytes));
    }
}

static void check_life(struct archive *a, const struct session *s)
{
    bool is_done = stream_out_is_done(&s->out) && stream_in_has_end(&s->in);

    archive_require(a, s->heard_ns > 0 && s->loss.asked_ns > 0);
    archive_require(a, s->idle_ns > 0 && s->keep_alive_ns > 0 && s->path.search_ns > 0);
    archive_require(a, s->loss.number <= s->last_number && s->end_number <= s->last_number);
    archive_require(a, s->state != SESSION_FAILED || s->reason[0] != '\0');
    if (s->close_reason[0] != '\0')
        archive_require(a, s->state == SESSION_FAILED);
    else
        archive_require(a, !s->is_close_due);
    if (s->state != SESSION_DONE)
        return;
    archive_require(a, is_done);
    /* Who waits for its reader alone, must have one to wait for. */
    if (s->over_ns == SESSION_NEVER)
        archive_require(a, s->is_known_done && !session_is_finished(s));
}

/* ---- Both ways ---- */

static void archive_session(struct archive *a, struct session *s)
{
    archive_life(a, s);
    archive_debt(a, &s->debt);
    archive_loss(a, &s->loss);
    archive_path(a, &s->path);
    archive_figures(a, &s->figures);
    congestion_archive(a, &s->congestion);
    stream_in_archive(a, &s->in);
    stream_out_archive(a, &s->out, s->last_number);
}

size_t session_save(const struct session *s, uint64_t now_ns, void *out, size_t capacity)
{
    struct session copy = *s; /* what is saved is only read */
    struct archive a;

    archive_save(&a, &KIND, now_ns, out, capacity);
    archive_session(&a, &copy);
    return archive_finish(&a);
}

/* Times that a pause has made meaningless tell nobody anything: neither the peer, nor us. */
static void forget_times(struct session *s, uint64_t now_ns)
{
    s->loss.paused_number = s->last_number;
    if (s->debt.highest > 0)
        s->debt.highest_ns = now_ns > UNTOLD_NS ? now_ns - UNTOLD_NS : 1;
    for (uint64_t at = s->out.first; at < s->out.end; at++)
        s->out.slots[at & s->out.mask].stamp.is_limited = true;
}

int session_load(struct session **out, uint64_t now_ns, const void *bytes, size_t n)
{
    struct archive a;
    struct session *s;
    int r = archive_load(&a, &KIND, now_ns, bytes, n);

    if (r < 0)
        return r;
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    archive_session(&a, s);
    if (a.error == 0) {
        check_path(&a, s);
        check_life(&a, s);
    }
    r = archive_end(&a);
    if (r < 0) {
        session_free(s);
        return r;
    }
    forget_times(s, now_ns);
    *out = s;
    return 0;
}
