/* SPDX-License-Identifier: MIT */
/* Two sessions on a clock of their own; what is between them is decided datagram by datagram. */
#include "proto/session.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)

enum { CLIENT, SERVER };

struct pair {
    struct session *side[2];
    struct address address[2];
    uint64_t now_ns;
    uint64_t n_sent[2];
    bool is_cut[2]; /* what this side sends is lost, */
    size_t largest; /* and what is longer than this */
};

static struct address address_of(const char *text)
{
    struct address a;

    cr_assert_eq(address_parse(text, &a), 0);
    return a;
}

static void open_pair(struct pair *p, const struct session_options *like)
{
    *p = (struct pair){.now_ns = 1000 * MS,
                       .largest = SESSION_DATAGRAM_MAX,
                       .address = {address_of("192.0.2.1:1000"), address_of("192.0.2.2:2000")}};
    for (int i = 0; i < 2; i++) {
        struct session_options o = *like;

        memcpy(o.id, "0123456789abcdef", sizeof o.id);
        o.is_server = i == SERVER;
        o.peer = p->address[1 - i];
        o.now_ns = p->now_ns;
        o.seed = 7 + (uint64_t)i;
        o.peer_window = like->receive_bytes != 0 ? like->receive_bytes : 1 << 20;
        cr_assert_eq(session_new(&p->side[i], &o), 0);
    }
}

static void close_pair(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        p->side[i] = session_free(p->side[i]);
}

/* Everything that one side has to send reaches the other. Returns how many datagrams. */
static size_t carry(struct pair *p, int from)
{
    static uint8_t buf[SESSION_DATAGRAM_MAX];
    struct address to;
    size_t n, count = 0;

    while ((n = session_send(p->side[from], p->now_ns, buf, sizeof buf, &to)) > 0) {
        struct frame f;

        count++;
        p->n_sent[from]++;
        cr_assert_eq(frame_parse(buf, n, &f), 0);
        if (!p->is_cut[from] && n <= p->largest && address_equal(&to, &p->address[1 - from]))
            session_receive(p->side[1 - from], p->now_ns, &p->address[from], &f, n);
    }
    cr_assert_gt(session_deadline(p->side[from]), p->now_ns, "it would be called for ever");
    return count;
}

/* Until nothing moves any more at this time. */
static void settle(struct pair *p)
{
    while (carry(p, CLIENT) + carry(p, SERVER) > 0)
        ;
}

static void run(struct pair *p, uint64_t n_ns)
{
    uint64_t end_ns = p->now_ns + n_ns;

    for (;;) {
        settle(p);

        uint64_t a = session_deadline(p->side[0]), b = session_deadline(p->side[1]);
        uint64_t next = a < b ? a : b;

        if (next > end_ns)
            break;
        p->now_ns = next;
    }
    p->now_ns = end_ns;
}

static size_t read_all(struct session *s, uint8_t *out, size_t size)
{
    const uint8_t *piece;
    size_t n, total = 0;

    while ((piece = session_peek(s, &n)) != NULL && total + n <= size) {
        memcpy(out + total, piece, n);
        total += n;
        session_consume(s, n);
    }
    return total;
}

Test(session, carries_bytes_both_ways)
{
    struct pair p;
    uint8_t got[64];

    open_pair(&p, &(struct session_options){0});
    cr_assert_eq(session_write(p.side[CLIENT], "question", 8), 8);
    cr_assert_eq(session_write(p.side[SERVER], "answer", 6), 6);
    settle(&p);
    cr_assert_eq(read_all(p.side[SERVER], got, sizeof got), 8);
    cr_assert_arr_eq(got, "question", 8);
    cr_assert_eq(read_all(p.side[CLIENT], got, sizeof got), 6);
    cr_assert_arr_eq(got, "answer", 6);
    close_pair(&p);
}

Test(session, ends_when_both_have_finished)
{
    struct pair p;
    uint8_t got[8];

    open_pair(&p, &(struct session_options){0});
    session_write(p.side[CLIENT], "x", 1);
    session_finish(p.side[CLIENT]);
    cr_assert_eq(session_write(p.side[CLIENT], "y", 1), 0);
    settle(&p);
    cr_assert_eq(session_state(p.side[CLIENT]), SESSION_OPEN);
    cr_assert_eq(read_all(p.side[SERVER], got, sizeof got), 1);
    cr_assert(session_is_finished(p.side[SERVER]));
    session_finish(p.side[SERVER]);
    settle(&p);
    cr_assert(session_is_finished(p.side[CLIENT]));
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(session_state(p.side[i]), SESSION_OVER, "an answer tells that all has come");
        cr_assert_eq(session_deadline(p.side[i]), SESSION_NEVER);
        cr_assert_str_empty(session_reason(p.side[i]));
    }
    close_pair(&p);
}

Test(session, repeats_its_last_word_until_it_is_heard)
{
    struct pair p;

    open_pair(&p, &(struct session_options){0});
    session_finish(p.side[SERVER]);
    settle(&p);
    session_finish(p.side[CLIENT]);
    carry(&p, CLIENT);
    p.is_cut[SERVER] = true; /* what says that the client's end has come */
    settle(&p);
    cr_assert_eq(session_state(p.side[CLIENT]), SESSION_OPEN);
    cr_assert_eq(session_state(p.side[SERVER]), SESSION_DONE);
    run(&p, 1000 * MS);
    cr_assert_eq(session_state(p.side[SERVER]), SESSION_DONE, "it goes on answering");
    p.is_cut[SERVER] = false;
    run(&p, 2000 * MS);
    cr_assert_eq(session_state(p.side[CLIENT]), SESSION_OVER);
    cr_assert_eq(session_state(p.side[SERVER]), SESSION_OVER);
    close_pair(&p);
}

Test(session, does_not_wait_for_ever_for_a_peer_that_is_gone)
{
    struct pair p;

    open_pair(&p, &(struct session_options){0});
    session_finish(p.side[SERVER]);
    settle(&p);
    session_finish(p.side[CLIENT]);
    carry(&p, CLIENT);
    p.is_cut[SERVER] = p.is_cut[CLIENT] = true;
    run(&p, 20000 * MS);
    cr_assert_eq(session_state(p.side[SERVER]), SESSION_OVER);
    close_pair(&p);
}

Test(session, tells_the_peer_why_it_was_aborted)
{
    struct pair p;

    open_pair(&p, &(struct session_options){0});
    session_abort(p.side[SERVER], "server \"ended\"");
    settle(&p);
    cr_assert_eq(session_state(p.side[SERVER]), SESSION_FAILED);
    cr_assert_str_eq(session_reason(p.side[SERVER]), "aborted: server ?ended?");
    cr_assert_eq(session_state(p.side[CLIENT]), SESSION_FAILED);
    cr_assert_str_eq(session_reason(p.side[CLIENT]), "closed by peer: server ?ended?");
    close_pair(&p);
}

Test(session, asks_a_silent_peer_and_gives_up)
{
    struct pair p;

    open_pair(&p, &(struct session_options){0});
    run(&p, 120000 * MS);
    cr_assert_eq(session_state(p.side[CLIENT]), SESSION_OPEN, "both answer");
    cr_assert_lt(p.n_sent[CLIENT], 30);
    p.is_cut[CLIENT] = p.is_cut[SERVER] = true;
    run(&p, 31000 * MS);
    cr_assert_str_eq(session_reason(p.side[CLIENT]), "idle");
    cr_assert_str_eq(session_reason(p.side[SERVER]), "idle");
    close_pair(&p);
}

Test(session, waits_for_the_peers_window)
{
    struct pair p;
    static uint8_t bytes[300000], got[300000];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 >> 3);
    open_pair(&p, &(struct session_options){.receive_bytes = 100000});
    cr_assert_eq(session_write(p.side[CLIENT], bytes, sizeof bytes), sizeof bytes);
    run(&p, 5000 * MS);

    size_t n = read_all(p.side[SERVER], got, sizeof got);

    cr_assert_eq(n, 100000);
    p.is_cut[SERVER] = true; /* the news is lost: the client asks */
    settle(&p);
    p.is_cut[SERVER] = false;
    for (int i = 0; i < 10 && n < sizeof got; i++) {
        run(&p, 3000 * MS);
        n += read_all(p.side[SERVER], got + n, sizeof got - n);
    }
    cr_assert_eq(n, sizeof bytes);
    cr_assert_arr_eq(got, bytes, sizeof bytes);
    close_pair(&p);
}

Test(session, many_tiny_writes_cost_few_segments)
{
    struct pair p;
    struct session_figures figures;
    static uint8_t got[20000];

    open_pair(&p, &(struct session_options){.send_bytes = 20000});
    p.is_cut[SERVER] = true;
    for (int i = 0; i < 20000; i++) {
        cr_assert_eq(session_write(p.side[CLIENT], "x", 1), 1);
        carry(&p, CLIENT);
        p.now_ns += MS / 100;
    }
    p.is_cut[SERVER] = false;
    run(&p, 10000 * MS);
    session_figures(p.side[CLIENT], &figures);
    cr_assert_lt(figures.sent, 1000);
    cr_assert_eq(read_all(p.side[SERVER], got, sizeof got), sizeof got);
    close_pair(&p);
}

Test(session, finds_the_largest_datagram_and_what_no_longer_gets_through)
{
    struct pair p;
    static uint8_t bytes[1 << 20], got[1 << 20];
    struct session_figures figures;

    open_pair(&p, &(struct session_options){0});
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(session_write(p.side[CLIENT], bytes, sizeof bytes), sizeof bytes);
        run(&p, 1000 * MS);
        cr_assert_eq(read_all(p.side[SERVER], got, sizeof got), sizeof got);
    }
    session_figures(p.side[CLIENT], &figures);
    cr_assert_eq(figures.datagram_bytes, 65487);
    session_too_large(p.side[CLIENT], p.now_ns, 65487);
    session_figures(p.side[CLIENT], &figures);
    cr_assert_eq(figures.datagram_bytes, SESSION_DATAGRAM_MIN);
    cr_assert_eq(session_write(p.side[CLIENT], bytes, sizeof bytes), sizeof bytes);
    run(&p, 1000 * MS);
    cr_assert_eq(read_all(p.side[SERVER], got, sizeof got), sizeof got);
    close_pair(&p);
}

Test(session, notices_that_large_datagrams_do_not_get_through_any_more)
{
    struct pair p;
    static uint8_t bytes[1 << 20], got[1 << 20];
    struct session_figures figures;
    size_t n = 0;

    open_pair(&p, &(struct session_options){.max_datagram = 8952});
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(session_write(p.side[CLIENT], bytes, sizeof bytes), sizeof bytes);
        run(&p, 1000 * MS);
        cr_assert_eq(read_all(p.side[SERVER], got, sizeof got), sizeof got);
    }
    session_figures(p.side[CLIENT], &figures);
    cr_assert_eq(figures.datagram_bytes, 8952);
    p.largest = 1400;
    cr_assert_eq(session_write(p.side[CLIENT], bytes, sizeof bytes), sizeof bytes);
    for (int i = 0; i < 10; i++) {
        run(&p, 500 * MS);
        n += read_all(p.side[SERVER], got, sizeof got);
    }
    cr_assert_eq(n, sizeof got);
    session_figures(p.side[CLIENT], &figures);
    cr_assert_eq(figures.datagram_bytes, SESSION_DATAGRAM_MIN);
    close_pair(&p);
}

/* A frame that the server never sent, but for what changes it. */
static struct frame made_up(struct pair *p)
{
    struct frame f = {.type = FRAME_DATA,
                      .members =
                          FRAME_HAS_SESSION | FRAME_HAS_NUMBER | FRAME_HAS_ACK | FRAME_HAS_WINDOW,
                      .number = 1000,
                      .ack = 0,
                      .window = 1 << 20};

    (void)p;
    memcpy(f.session, "0123456789abcdef", sizeof f.session);
    return f;
}

Test(session, is_not_moved_by_nonsense)
{
    struct pair p;
    struct session_figures before, after;
    static const struct {
        const char *name;
        uint64_t ack, window, echo, offset;
        size_t n;
        struct frame_range sack;
    } CASES[] = {
        {"ack of what was never sent", 101, 1 << 20, 0, 0, 0, {0, 0}},
        {"sack of what was never sent", 0, 1 << 20, 0, 0, 0, {50, 101}},
        {"sack before ack", 60, 1 << 20, 0, 0, 0, {40, 50}},
        {"window beyond reason", 0, UINT64_C(1) << 60, 0, 0, 0, {0, 0}},
        {"echo of what was never sent", 0, 1 << 20, 99, 0, 0, {0, 0}},
        {"bytes behind the window", 0, 1 << 20, 0, 1 << 20, 1, {0, 0}},
        {"bytes across the window's end", 100, 1 << 20, 1, (1 << 20) - 5, 10, {0, 0}},
    };

    open_pair(&p, &(struct session_options){0});
    cr_assert_eq(session_write(p.side[CLIENT], (uint8_t[100]){0}, 100), 100);
    p.is_cut[SERVER] = true;
    settle(&p);
    session_figures(p.side[CLIENT], &before);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct frame f = made_up(&p);

        f.ack = CASES[i].ack;
        f.window = CASES[i].window;
        if (CASES[i].echo > 0)
            f.members |= FRAME_HAS_ECHO;
        f.echo = CASES[i].echo;
        if (CASES[i].n > 0)
            f.members |= FRAME_HAS_OFFSET;
        f.offset = CASES[i].offset;
        f.body = (struct frame_slice){(const uint8_t *)"0123456789", CASES[i].n};
        f.n_sack = CASES[i].sack.end > 0;
        f.sack[0] = CASES[i].sack;
        session_receive(p.side[CLIENT], p.now_ns, &p.address[SERVER], &f, 300);
        session_figures(p.side[CLIENT], &after);
        cr_expect_eq(after.ignored, before.ignored + i + 1, "%s", CASES[i].name);
        cr_expect_eq(after.bytes_queued, before.bytes_queued, "%s", CASES[i].name);
        cr_expect_eq(after.bytes_in_flight, before.bytes_in_flight, "%s", CASES[i].name);
    }
    cr_assert_eq(carry(&p, CLIENT), 0, "and nothing is answered");
    close_pair(&p);
}

Test(session, a_client_hears_its_server_alone)
{
    struct pair p;
    struct frame f;
    struct address other = address_of("203.0.113.7:53");
    size_t n;

    open_pair(&p, &(struct session_options){0});
    f = made_up(&p);
    f.members |= FRAME_HAS_OFFSET;
    f.body = (struct frame_slice){(const uint8_t *)"x", 1};
    session_receive(p.side[CLIENT], p.now_ns, &other, &f, 300);
    cr_assert_null(session_peek(p.side[CLIENT], &n));
    cr_assert_eq(carry(&p, CLIENT), 0);
    close_pair(&p);
}

Test(session, sends_no_more_to_a_new_address_than_came_from_it)
{
    struct pair p;
    static uint8_t buf[SESSION_DATAGRAM_MAX];
    struct address other = address_of("203.0.113.7:53"), to;
    struct frame f;
    size_t n, n_there = 0;

    open_pair(&p, &(struct session_options){0});
    session_write(p.side[SERVER], buf, 50000);
    f = made_up(&p);
    session_receive(p.side[SERVER], p.now_ns, &other, &f, 150);
    for (int i = 0; i < 100; i++) {
        while ((n = session_send(p.side[SERVER], p.now_ns, buf, sizeof buf, &to)) > 0)
            if (address_equal(&to, &other))
                n_there += n;
        p.now_ns += 100 * MS;
    }
    cr_assert_gt(n_there, 0, "it was asked");
    cr_assert_leq(n_there, 150);
    cr_assert(address_equal(session_peer(p.side[SERVER]), &p.address[CLIENT]));
    close_pair(&p);
}

Test(session, follows_a_client_once_its_new_address_has_answered)
{
    struct pair p;
    uint8_t got[8];

    open_pair(&p, &(struct session_options){0});
    session_write(p.side[CLIENT], "a", 1);
    settle(&p);

    struct address new = address_of("198.51.100.9:4444");

    p.address[CLIENT] = new;
    session_write(p.side[CLIENT], "b", 1);
    session_write(p.side[SERVER], "c", 1);
    run(&p, 1000 * MS);
    cr_assert(address_equal(session_peer(p.side[SERVER]), &new));
    cr_assert_eq(read_all(p.side[SERVER], got, sizeof got), 2);
    cr_assert_eq(read_all(p.side[CLIENT], got, sizeof got), 1);
    close_pair(&p);
}
