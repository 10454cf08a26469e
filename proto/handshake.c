/* SPDX-License-Identifier: MIT */
/* The client's side of connecting. */
#include "proto/handshake.h"

#include <string.h>

#define NS_PER_MS      UINT64_C(1000000)
#define FIRST_DELAY_NS (250 * NS_PER_MS)
/* A server that comes back is found within this time, however long one waits; and where a fifth is
 * lost each way, ten seconds hold enough of them. */
#define LAST_DELAY_NS (1000 * NS_PER_MS)

void handshake_init(struct handshake *h, const struct handshake_options *o)
{
    *h = (struct handshake){
        .state = HANDSHAKE_ASKING,
        .identity = o->identity,
        .own_window = o->window,
        .next_ns = o->now_ns,
        .delay_ns = FIRST_DELAY_NS,
        .end_ns = o->timeout_ns < UINT64_MAX - o->now_ns ? o->now_ns + o->timeout_ns : UINT64_MAX,
        .random = o->seed | 1,
    };
    memcpy(h->nonce, o->nonce, sizeof h->nonce);
}

/* xorshift64; any spread will do. */
static uint64_t spread(struct handshake *h, uint64_t below)
{
    h->random ^= h->random << 13;
    h->random ^= h->random >> 7;
    h->random ^= h->random << 17;
    return h->random % below;
}

/* RFC 7252, section 4.2: a delay that doubles, of 1 to 1.5 times its length. */
static void plan_next(struct handshake *h, uint64_t now_ns)
{
    h->next_ns = now_ns + h->delay_ns + spread(h, h->delay_ns / 2);
    h->delay_ns = h->delay_ns * 2 < LAST_DELAY_NS ? h->delay_ns * 2 : LAST_DELAY_NS;
}

/*
 * The first challenge is answered at once. A later one (its secret is new: msgd was restarted) only
 * replaces the cookie, so that no server can make us send as fast as it does.
 */
static void take_challenge(struct handshake *h, uint64_t now_ns, const struct frame *f)
{
    if (f->cookie.n == 0 || f->cookie.n > sizeof h->cookie)
        return;
    memcpy(h->cookie, f->cookie.bytes, f->cookie.n);
    h->n_cookie = f->cookie.n;
    if (h->has_answered)
        return;
    h->has_answered = true;
    h->delay_ns = FIRST_DELAY_NS;
    h->next_ns = now_ns;
}

static void take_accept(struct handshake *h, const struct frame *f)
{
    memcpy(h->session, f->session, sizeof h->session);
    h->port = (f->members & FRAME_HAS_PORT) != 0 ? f->port : 0;
    h->window = f->window;
    h->state = HANDSHAKE_ACCEPTED;
}

static void take_refusal(struct handshake *h, const struct frame *f)
{
    size_t n = f->reason.n < FRAME_REASON_MAX ? f->reason.n : FRAME_REASON_MAX;

    memcpy(h->reason, f->reason.bytes, n);
    h->reason[n] = '\0';
    h->state = HANDSHAKE_REFUSED;
}

void handshake_receive(struct handshake *h, uint64_t now_ns, const struct frame *f)
{
    if (h->state != HANDSHAKE_ASKING)
        return;
    if (f->type != FRAME_CHALLENGE && f->type != FRAME_ACCEPT && f->type != FRAME_REFUSE)
        return;
    if (memcmp(f->nonce, h->nonce, sizeof h->nonce) != 0)
        return;
    if (f->type == FRAME_CHALLENGE)
        take_challenge(h, now_ns, f);
    else if (f->type == FRAME_REFUSE)
        take_refusal(h, f);
    else if (h->n_cookie > 0) /* nobody accepts an address that is not proven */
        take_accept(h, f);
}

void handshake_unreachable(struct handshake *h)
{
    if (h->state == HANDSHAKE_ASKING)
        h->state = HANDSHAKE_UNREACHABLE;
}

static size_t write_connect(const struct handshake *h, uint8_t *buf, size_t capacity)
{
    struct frame f = {
        .type = FRAME_CONNECT,
        .members = FRAME_HAS_NONCE | FRAME_HAS_WINDOW,
        .window = h->own_window,
        .pad_bytes = HANDSHAKE_DATAGRAM,
    };

    memcpy(f.nonce, h->nonce, sizeof f.nonce);
    if (h->identity.n > 0) {
        f.members |= FRAME_HAS_IDENTITY;
        f.identity = h->identity;
    }
    if (h->n_cookie > 0) {
        f.members |= FRAME_HAS_COOKIE;
        f.cookie = (struct frame_slice){h->cookie, h->n_cookie};
    }
    return frame_write(&f, buf, capacity);
}

size_t handshake_send(struct handshake *h, uint64_t now_ns, uint8_t *buf, size_t capacity)
{
    if (h->state == HANDSHAKE_ASKING && now_ns >= h->end_ns)
        h->state = HANDSHAKE_TIMED_OUT;
    if (h->state != HANDSHAKE_ASKING || now_ns < h->next_ns)
        return 0;
    plan_next(h, now_ns);
    return write_connect(h, buf, capacity);
}

uint64_t handshake_deadline(const struct handshake *h)
{
    if (h->state != HANDSHAKE_ASKING)
        return UINT64_MAX;
    return h->next_ns < h->end_ns ? h->next_ns : h->end_ns;
}
