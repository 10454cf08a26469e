/* SPDX-License-Identifier: MIT */
/*
 * Where the peer is, and how large a datagram gets there. Both are asked by pings whose token only
 * their receiver can know: a new address counts once its pong has come from there (RFC 9000,
 * section 8.2), a larger datagram once its pong has come at all (RFC 8899). Until then nothing else
 * goes to the new address, and never more than came from it.
 */
#include "proto/session_state.h"

/* Datagrams of an IPv6 path with frames of 1,500 and 9,000 bytes, and of a loopback interface. */
static const uint32_t SIZES[] = {SESSION_DATAGRAM_MIN, 1452, 8952, 32768, 65487};
#define N_SIZES (sizeof SIZES / sizeof *SIZES)

#define SIZE_TRIES       3u
#define SIZE_BEGIN_BYTES 8192u /* acknowledged, before a larger datagram is worth asking for */
#define MOVE_TRIES       SESSION_ASKS_MAX
#define LARGE_LOST_MAX   16u /* and none that was sent later has come */
#define SEARCH_NS        (10000 * SESSION_MS)
#define SEARCH_MAX_NS    (600000 * SESSION_MS) /* RFC 8899, section 5.1.1 */

static const struct session_ask NOTHING = {.due_ns = SESSION_NEVER};

void session_path_init(struct session *s, const struct address *peer)
{
    s->path = (struct session_path){.peer = *peer,
                                    .datagram_bytes = SESSION_DATAGRAM_MIN,
                                    .too_large = UINT32_MAX,
                                    .search_ns = SEARCH_NS,
                                    .size = NOTHING,
                                    .move = NOTHING};
}

static void ask(struct session *s, struct session_ask *a, uint64_t now_ns)
{
    *a = (struct session_ask){.token = session_random(s), .due_ns = now_ns};
}

/* ---- How large ---- */

/* The next size to be asked for, 0: none. */
static uint32_t next_size(const struct session *s)
{
    const struct session_path *p = &s->path;

    for (size_t i = 0; i < N_SIZES; i++) {
        uint32_t size = SIZES[i] < s->max_datagram ? SIZES[i] : s->max_datagram;

        if (size > p->datagram_bytes)
            return size < p->too_large ? size : 0;
    }
    return 0;
}

/* Sizes from `size` on are out of the question for a while. */
static void give_up(struct session_path *p, uint64_t now_ns, uint32_t size)
{
    p->size = NOTHING;
    p->too_large = size;
    p->again_ns = now_ns + p->search_ns;
    p->search_ns = p->search_ns * 2 < SEARCH_MAX_NS ? p->search_ns * 2 : SEARCH_MAX_NS;
}

static void use_size(struct session *s, uint32_t size)
{
    s->path.datagram_bytes = size;
    s->path.n_large_lost = 0;
    congestion_set_datagram(&s->congestion, size);
}

void session_path_delivered(struct session *s, uint64_t now_ns, uint32_t n_largest, uint64_t number)
{
    struct session_path *p = &s->path;

    if (n_largest > SESSION_DATAGRAM_MIN && number > p->large_number) {
        p->large_number = number;
        p->n_large_lost = 0;
    }
    if (p->size.due_ns != SESSION_NEVER || s->out.acked < SIZE_BEGIN_BYTES)
        return;
    if (p->too_large != UINT32_MAX && now_ns >= p->again_ns)
        p->too_large = UINT32_MAX;
    p->probe_bytes = next_size(s);
    if (p->probe_bytes != 0)
        ask(s, &p->size, now_ns);
}

void session_path_lost(struct session *s, uint32_t n_bytes, uint64_t number)
{
    if (n_bytes > SESSION_DATAGRAM_MIN && number > s->path.large_number)
        s->path.n_large_lost++;
}

void session_path_check(struct session *s, uint64_t now_ns)
{
    if (s->path.n_large_lost >= LARGE_LOST_MAX)
        session_path_fall_back(s, now_ns);
}

void session_path_fall_back(struct session *s, uint64_t now_ns)
{
    uint32_t size = s->path.datagram_bytes;

    if (size == SESSION_DATAGRAM_MIN)
        return;
    use_size(s, SESSION_DATAGRAM_MIN);
    if (stream_out_recut(&s->out, session_body_bytes(s)) < 0)
        use_size(s, size); /* no memory: the next timeout comes here again */
    else
        give_up(&s->path, now_ns, size);
}

void session_too_large(struct session *s, uint64_t now_ns, size_t n_bytes)
{
    struct session_path *p = &s->path;

    if (s->state == SESSION_FAILED || s->state == SESSION_OVER)
        return;
    if (p->size.due_ns != SESSION_NEVER && n_bytes >= p->probe_bytes) {
        p->search_ns =
            SEARCH_MAX_NS; /* it is the interface that says so: it will not change soon */
        give_up(p, now_ns, p->probe_bytes);
    } else if (n_bytes > SESSION_DATAGRAM_MIN && n_bytes <= p->datagram_bytes) {
        session_path_fall_back(s, now_ns);
    }
}

/* ---- Where ---- */

void session_path_seen(struct session *s, uint64_t now_ns, const struct address *from,
                       size_t n_bytes)
{
    struct session_path *p = &s->path;

    if (address_equal(from, &p->peer))
        return;
    if (p->move.due_ns == SESSION_NEVER || !address_equal(from, &p->candidate)) {
        p->candidate = *from;
        p->allowance = 0;
        ask(s, &p->move, now_ns);
    }
    p->allowance += n_bytes;
}

/* What was known of the old path says nothing of the new one. */
static void move(struct session *s, uint64_t now_ns)
{
    struct session_path *p = &s->path;
    uint64_t number = s->loss.number;
    struct address peer = p->candidate;

    p->n_moved++;
    p->peer = peer;
    p->too_large = UINT32_MAX;
    p->search_ns = SEARCH_NS;
    p->size = p->move = NOTHING;
    use_size(s, SESSION_DATAGRAM_MIN);
    congestion_init(&s->congestion, SESSION_DATAGRAM_MIN, now_ns);
    session_loss_init(&s->loss, now_ns);
    s->loss.number = number;
    if (stream_out_recut(&s->out, session_body_bytes(s)) < 0)
        return; /* no memory: what is under way is found lost in time */
    s->debt.due_ns = 0;
}

/* ---- Pings and pongs ---- */

void session_path_ping(struct session *s, const struct address *from, const struct frame *f,
                       size_t n_bytes)
{
    struct session_path *p = &s->path;

    if (p->n_pongs == SESSION_N_PONGS) {
        s->figures.ignored++;
        return;
    }
    p->pongs[p->n_pongs++] = (struct session_pong){.to = *from,
                                                   .token = f->token,
                                                   .has_token = (f->members & FRAME_HAS_TOKEN) != 0,
                                                   .n_bytes = n_bytes};
}

bool session_path_pong(struct session *s, uint64_t now_ns, const struct address *from,
                       const struct frame *f)
{
    struct session_path *p = &s->path;

    if (!(f->members & FRAME_HAS_TOKEN))
        return false;
    if (p->move.n_sent > 0 && f->token == p->move.token && address_equal(from, &p->candidate)) {
        move(s, now_ns);
        return true;
    }
    if (p->size.n_sent > 0 && f->token == p->size.token && address_equal(from, &p->peer)) {
        p->size = NOTHING;
        use_size(s, p->probe_bytes);
        session_path_delivered(s, now_ns, 0, 0);
        return true;
    }
    return false;
}

static size_t write_ping(struct session *s, enum frame_type type, uint64_t token, bool has_token,
                         size_t pad_bytes, uint8_t *buf, size_t capacity)
{
    struct frame f = {.type = type,
                      .members = FRAME_HAS_SESSION | (has_token ? FRAME_HAS_TOKEN : 0),
                      .token = token,
                      .pad_bytes = pad_bytes};

    for (size_t i = 0; i < sizeof f.session; i++)
        f.session[i] = s->id[i];
    return frame_write(&f, buf, capacity);
}

static size_t send_pong(struct session *s, uint8_t *buf, size_t capacity, struct address *to)
{
    struct session_path *p = &s->path;

    while (p->n_pongs > 0) {
        struct session_pong pong = p->pongs[--p->n_pongs];
        size_t n = write_ping(s, FRAME_PONG, pong.token, pong.has_token, 0, buf, capacity);

        *to = pong.to;
        if (n <= pong.n_bytes)
            return n;
        s->figures.ignored++;
    }
    return 0;
}

static void asked(struct session *s, struct session_ask *a, uint64_t now_ns)
{
    a->due_ns = now_ns + (session_timeout_ns(s) << a->n_sent);
    a->n_sent++;
}

static size_t ask_move(struct session *s, uint64_t now_ns, uint8_t *buf, size_t capacity,
                       struct address *to)
{
    struct session_path *p = &s->path;

    if (p->move.n_sent >= MOVE_TRIES) {
        p->move = NOTHING;
        return 0;
    }

    size_t n = write_ping(s, FRAME_PING, p->move.token, true, 0, buf, capacity);

    asked(s, &p->move, now_ns);
    if (n > p->allowance)
        return 0;
    p->allowance -= n;
    *to = p->candidate;
    return n;
}

static size_t ask_size(struct session *s, uint64_t now_ns, uint8_t *buf, size_t capacity,
                       struct address *to)
{
    struct session_path *p = &s->path;

    if (p->size.n_sent >= SIZE_TRIES) {
        give_up(p, now_ns, p->probe_bytes);
        return 0;
    }
    asked(s, &p->size, now_ns);
    *to = p->peer;
    return write_ping(s, FRAME_PING, p->size.token, true, p->probe_bytes, buf, capacity);
}

size_t session_path_send(struct session *s, uint64_t now_ns, uint8_t *buf, size_t capacity,
                         struct address *to)
{
    struct session_path *p = &s->path;
    size_t n = 0;

    if (p->n_pongs > 0)
        n = send_pong(s, buf, capacity, to);
    if (n == 0 && now_ns >= p->move.due_ns)
        n = ask_move(s, now_ns, buf, capacity, to);
    if (n == 0 && s->state == SESSION_OPEN && now_ns >= p->size.due_ns)
        n = ask_size(s, now_ns, buf, capacity, to);
    return n;
}

uint64_t session_path_deadline(const struct session *s)
{
    const struct session_path *p = &s->path;

    if (p->n_pongs > 0)
        return 0;
    if (s->state != SESSION_OPEN)
        return p->move.due_ns; /* who is done still tells those who ask, wherever they are */
    return p->move.due_ns < p->size.due_ns ? p->move.due_ns : p->size.due_ns;
}
