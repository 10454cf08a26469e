/* SPDX-License-Identifier: MIT */
/*
 * A saved session that may be anything: it is refused, or it is a session. What must hold of one:
 * the invariants of tests/support/session_check.h, then and after each step of a life with a peer
 * that acknowledges; saving and loading it again gives the same bytes; nobody sends for ever.
 *
 * Input: what lies between the head and the checksum, which are made here.
 */
#include "proto/crc32c.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/session_check.h"

#define NOW_NS    (UINT64_C(1000000) * 1000000000)
#define HEAD      8u
#define CRC       4u
#define STEPS     40u
#define SENDS_MAX 20000u

struct world {
    struct session *s;
    uint64_t now_ns;
    struct frame last; /* data that it sent, without its body */
};

static void check(const struct session *s)
{
    const char *broken = session_check(s);

    if (broken != NULL)
        fprintf(stderr, "%s\n", broken);
    HOLDS(broken == NULL);
}

static uint8_t *save(const struct session *s, uint64_t now_ns, size_t *n)
{
    uint8_t *bytes;

    *n = session_save(s, now_ns, NULL, 0);
    HOLDS(*n > 0);
    bytes = malloc(*n);
    HOLDS(bytes != NULL && session_save(s, now_ns, bytes, *n) == *n);
    return bytes;
}

static void check_again(const struct session *s)
{
    struct session *again;
    size_t n, n_again;
    uint8_t *bytes = save(s, NOW_NS, &n), *bytes_again;

    HOLDS(session_load(&again, NOW_NS, bytes, n) == 0);
    bytes_again = save(again, NOW_NS, &n_again);
    HOLDS(n_again == n && memcmp(bytes, bytes_again, n) == 0);
    session_free(again);
    free(bytes_again);
    free(bytes);
}

static void send_all(struct world *w)
{
    static uint8_t buf[SESSION_DATAGRAM_MAX];
    struct address to;
    size_t n;

    for (unsigned count = 0; (n = session_send(w->s, w->now_ns, buf, sizeof buf, &to)) > 0;
         count++) {
        struct frame f;

        HOLDS(count < SENDS_MAX && n <= sizeof buf && frame_parse(buf, n, &f) == 0);
        if (f.type == FRAME_DATA)
            w->last = f;
    }
    HOLDS(session_deadline(w->s) > w->now_ns);
}

/* The peer has got the latest, and all before it. */
static void acknowledge(struct world *w)
{
    struct frame f = {.type = FRAME_DATA,
                      .members = FRAME_HAS_SESSION | FRAME_HAS_NUMBER | FRAME_HAS_ACK |
                                 FRAME_HAS_WINDOW | FRAME_HAS_ECHO | FRAME_HAS_DELAY,
                      .number = w->last.echo + 1,
                      .echo = w->last.number};
    struct address from = *session_peer(w->s);

    memcpy(f.session, w->last.session, sizeof f.session);
    f.ack = w->last.offset + w->last.body.n + w->last.is_fin;
    f.window = f.ack + 100000;
    session_receive(w->s, w->now_ns, &from, &f, 200);
}

static void step(struct world *w, unsigned i)
{
    uint64_t at_ns = session_deadline(w->s);
    size_t n;

    if (at_ns != SESSION_NEVER)
        w->now_ns = at_ns;
    if (i % 4 == 1)
        acknowledge(w);
    if (i % 8 == 2)
        session_write(w->s, "some more bytes", 15);
    if (i % 8 == 6 && session_peek(w->s, &n) != NULL)
        session_consume(w->s, n);
    if (i == STEPS / 2)
        session_too_large(w->s, w->now_ns, 9000);
    if (i == STEPS * 3 / 4)
        session_finish(w->s);
    send_all(w);
    check(w->s);
}

static void live(struct session *s)
{
    struct world w = {.s = s, .now_ns = NOW_NS};

    check(s);
    check_again(s);
    send_all(&w);
    for (unsigned i = 0; i < STEPS; i++)
        step(&w, i);
    session_abort(s, "enough");
    send_all(&w);
    check(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = HEAD + size + CRC;
    uint8_t *bytes = malloc(n);
    struct session *s = NULL;
    uint32_t crc;
    int r;

    HOLDS(bytes != NULL);
    memcpy(bytes, "sesn", 4);
    bytes[4] = SESSION_SAVED_VERSION;
    memset(bytes + 5, 0, 3);
    if (size > 0)
        memcpy(bytes + HEAD, data, size);
    crc = crc32c(0, bytes, HEAD + size);
    for (unsigned i = 0; i < CRC; i++)
        bytes[HEAD + size + i] = (uint8_t)(crc >> 8 * i);
    r = session_load(&s, NOW_NS, bytes, n);
    HOLDS(r == 0 || s == NULL);
    free(bytes);
    if (r == 0)
        live(s);
    session_free(s);
    return 0;
}
