/* SPDX-License-Identifier: MIT */
/*
 * Two sessions, and somebody between them who does what the input says: carries, loses, doubles,
 * delays and changes datagrams, makes some up, lets time pass, and calls what applications call.
 * What must hold: the invariants of tests/support/session_check.h after each step; bytes that were
 * read are those that were written, unless datagrams were made up; nobody sends for ever; memory is
 * bounded.
 *
 * Input: steps of one byte, what, and some bytes of arguments; see step().
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/session_check.h"

#define N_HELD    16u
#define BUFFER    20000u
#define SEND_MAX  2000u
#define N_ADDRESS 4u

struct held {
    uint8_t *bytes;
    size_t n;
    unsigned from, to;
};

struct world {
    struct session *side[2];
    uint64_t now_ns;
    struct address address[2];
    struct held held[N_HELD]; /* the latest that were sent */
    unsigned n_held;
    uint64_t n_written[2], n_read[2];
    bool is_forged; /* datagrams were made up: the bytes may be anything */
};

struct input {
    const uint8_t *at;
    size_t n;
};

static uint64_t take(struct input *in, unsigned n_bytes)
{
    uint64_t value = 0;

    for (; n_bytes > 0 && in->n > 0; n_bytes--, in->n--)
        value = value << 8 | *in->at++;
    return value;
}

static struct address address_of(unsigned which)
{
    struct address a = {.family = ADDRESS_IPV4, .port = (uint16_t)(1000 + which)};

    memcpy(a.ip + 10, "\xff\xff\x7f\x00\x00\x01", 6);
    return a;
}

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8));
}

/* ---- Steps ---- */

static void check(const struct world *w)
{
    for (int i = 0; i < 2; i++) {
        const char *broken = session_check(w->side[i]);

        if (broken != NULL)
            fprintf(stderr, "side %d: %s\n", i, broken);
        HOLDS(broken == NULL);
    }
}

static void receive(struct world *w, unsigned to, const struct address *from, const uint8_t *bytes,
                    size_t n)
{
    struct frame f;

    if (n > 0 && bytes[0] == FRAME_START && frame_parse(bytes, n, &f) == 0 &&
        f.members & FRAME_HAS_SESSION)
        session_receive(w->side[to], w->now_ns, from, &f, n);
}

/* Everything that a side has to send goes to those held, the oldest of which are lost. */
static void send_all(struct world *w, unsigned from)
{
    static uint8_t buf[SESSION_DATAGRAM_MAX];
    struct address to;
    size_t n;

    for (unsigned count = 0; (n = session_send(w->side[from], w->now_ns, buf, sizeof buf, &to)) > 0;
         count++) {
        struct held *h = &w->held[w->n_held++ % N_HELD];

        HOLDS(count < SEND_MAX);
        free(h->bytes);
        *h = (struct held){malloc(n), n, from, 1 - from};
        HOLDS(h->bytes != NULL);
        memcpy(h->bytes, buf, n);
    }
    HOLDS(session_deadline(w->side[from]) > w->now_ns);
}

/* One of those held arrives, as it is or changed at one place, from the sender's address or not. */
static void arrive(struct world *w, struct input *in, bool is_changed)
{
    struct held *h = &w->held[take(in, 1) % N_HELD];
    struct address from = w->address[h->from];

    if (h->bytes == NULL)
        return;
    if (is_changed) {
        size_t at = (size_t)take(in, 2) % h->n;

        h->bytes[at] ^= (uint8_t)take(in, 1);
        if (take(in, 1) % 2)
            from = address_of((unsigned)take(in, 1) % N_ADDRESS);
    }
    receive(w, h->to, &from, h->bytes, h->n);
}

/* A frame that nobody sent, with numbers near those that could be. */
static void forge(struct world *w, struct input *in)
{
    static const enum frame_type TYPES[] = {FRAME_DATA, FRAME_DATA, FRAME_DATA,
                                            FRAME_PING, FRAME_PONG, FRAME_CLOSE};
    static const uint8_t body[1300];
    unsigned to = take(in, 1) % 2, what = (unsigned)take(in, 1);
    struct address from = address_of((unsigned)take(in, 1) % N_ADDRESS);
    struct frame f = {.type = TYPES[what % 6],
                      .members = FRAME_HAS_SESSION,
                      .reason = {(const uint8_t *)"enough", 6}};

    memcpy(f.session, "sixteen bytes...", 16);
    if (f.type == FRAME_CLOSE)
        f.members |= FRAME_HAS_REASON;
    if (f.type == FRAME_PING || f.type == FRAME_PONG) {
        f.members |= FRAME_HAS_TOKEN;
        f.token = take(in, 8);
    }
    if (f.type == FRAME_DATA) {
        f.members |= FRAME_HAS_NUMBER | FRAME_HAS_ACK | FRAME_HAS_WINDOW |
                     (what & 64 ? FRAME_HAS_OFFSET : 0) |
                     (what & 128 ? FRAME_HAS_ECHO | FRAME_HAS_DELAY : 0);
        f.number = take(in, 2);
        f.ack = take(in, 2);
        f.window = take(in, what & 32 ? 8 : 3);
        f.offset = take(in, 2);
        f.echo = take(in, 2);
        f.delay_us = take(in, 2);
        f.is_fin = what & 16 && what & 64;
        if (what & 64)
            f.body = (struct frame_slice){body, (size_t)take(in, 2) % sizeof body};
        f.n_sack = what & 8 ? (uint32_t)take(in, 1) % 5 : 0;
        for (uint32_t i = 0; i < f.n_sack; i++)
            f.sack[i] = (struct frame_range){take(in, 2), take(in, 2)};
    }
    w->is_forged = true;
    session_receive(w->side[to], w->now_ns, &from, &f, 200 + f.body.n);
}

static void read_some(struct world *w, unsigned side, size_t most)
{
    const uint8_t *piece;
    size_t n;

    while (most > 0 && (piece = session_peek(w->side[side], &n)) != NULL) {
        n = n < most ? n : most;
        for (size_t i = 0; i < n && !w->is_forged; i++)
            HOLDS(piece[i] == byte_at(w->n_read[side] + i));
        session_consume(w->side[side], n);
        w->n_read[side] += n;
        most -= n;
    }
    HOLDS(w->is_forged || w->n_read[side] <= w->n_written[1 - side]);
}

static void write_some(struct world *w, unsigned side, size_t n)
{
    uint8_t bytes[4096];

    n = n < sizeof bytes ? n : sizeof bytes;
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(w->n_written[side] + i);
    w->n_written[side] += session_write(w->side[side], bytes, n);
}

static void call(struct world *w, struct input *in)
{
    unsigned what = (unsigned)take(in, 1), side = what & 1;
    struct session *s = w->side[side];

    switch (what >> 1 & 7) {
    case 0:
    case 1:
        write_some(w, side, (size_t)take(in, 2));
        break;
    case 2:
    case 3:
        read_some(w, side, (size_t)take(in, 2));
        break;
    case 4:
        session_finish(s);
        break;
    case 5:
        w->address[0] = address_of((unsigned)take(in, 1) % N_ADDRESS);
        break;
    case 6:
        session_too_large(s, w->now_ns, (size_t)take(in, 2));
        break;
    default:
        if (what & 64)
            session_abort(s, "en\"ough");
        else if (what & 128)
            session_refused(s, w->now_ns);
        break;
    }
}

static void step(struct world *w, struct input *in)
{
    unsigned what = (unsigned)take(in, 1);

    switch (what & 7) {
    case 0:
        arrive(w, in, true);
        break;
    case 1:
    case 2:
        arrive(w, in, false);
        break;
    case 3:
        forge(w, in);
        break;
    case 4:
        w->now_ns += take(in, 2) << (what >> 4);
        break;
    case 5: {
        uint64_t at_ns = session_deadline(w->side[what >> 3 & 1]);

        if (at_ns != SESSION_NEVER && at_ns > w->now_ns)
            w->now_ns = at_ns;
        break;
    }
    default:
        call(w, in);
        break;
    }
    send_all(w, 0);
    send_all(w, 1);
    check(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct world w = {.now_ns = 1000000000};

    for (unsigned i = 0; i < 2; i++) {
        struct session_options o = {.is_server = i == 1,
                                    .peer = address_of(1 - i),
                                    .now_ns = w.now_ns,
                                    .seed = i,
                                    .peer_window = BUFFER,
                                    .send_bytes = BUFFER,
                                    .receive_bytes = BUFFER,
                                    .max_datagram = 9000};

        memcpy(o.id, "sixteen bytes...", 16);
        w.address[i] = address_of(i);
        HOLDS(session_new(&w.side[i], &o) == 0);
    }
    while (in.n > 0)
        step(&w, &in);
    for (unsigned i = 0; i < 2; i++)
        session_free(w.side[i]);
    for (unsigned i = 0; i < N_HELD; i++)
        free(w.held[i].bytes);
    return 0;
}
