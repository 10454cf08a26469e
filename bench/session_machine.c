/* SPDX-License-Identifier: MIT */
/*
 * What the session machine itself costs, without sockets: two of them in one process hand each
 * other their datagrams. Prints nanoseconds a datagram and a message, both sides, frames and
 * checksums included.
 */
#include "proto/session.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RTT_NS UINT64_C(1000000)

struct course {
    const char *name;
    size_t message_bytes;
    uint32_t max_datagram;
    size_t buffer_bytes;
    double loss;
    uint64_t n_bytes;
};

static const struct course COURSES[] = {
    {"256 B, datagrams of 1200", 256, 1200, 1 << 20, 0, 256 << 20},
    {"64 KiB, datagrams of 1200", 65536, 1200, 1 << 20, 0, 256 << 20},
    {"64 KiB, datagrams of 8952", 65536, 8952, 1 << 20, 0, 1 << 30},
    {"64 KiB, datagrams of 65487", 65536, 65487, 1 << 20, 0, 1 << 30},
    {"64 KiB, 1200, 20 % lost", 65536, 1200, 1 << 20, 0.2, 64 << 20},
    {"64 KiB, 1200, 50 % lost, 16 MiB", 65536, 1200, 16 << 20, 0.5, 64 << 20},
};

static uint64_t random_state = 1;

static double chance(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(random_state >> 11) / (double)(UINT64_C(1) << 53);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void carry(struct session *from, struct session *to, const struct address *where,
                  double loss, uint64_t now_ns)
{
    static uint8_t buf[SESSION_DATAGRAM_MAX];
    struct address at;
    size_t n;

    while ((n = session_send(from, now_ns, buf, sizeof buf, &at)) > 0) {
        struct frame f;

        if (chance() >= loss && frame_parse(buf, n, &f) == 0)
            session_receive(to, now_ns, where, &f, n);
    }
}

static uint64_t drain(struct session *s)
{
    const uint8_t *piece;
    uint64_t total = 0;
    size_t n;

    while ((piece = session_peek(s, &n)) != NULL) {
        total += n;
        session_consume(s, n);
    }
    return total;
}

static struct session *open_side(const struct course *c, bool is_server, const struct address *peer)
{
    struct session *s;
    struct session_options o = {.is_server = is_server,
                                .peer = *peer,
                                .now_ns = RTT_NS,
                                .peer_window = c->buffer_bytes,
                                .send_bytes = c->buffer_bytes,
                                .receive_bytes = c->buffer_bytes,
                                .max_datagram = c->max_datagram};

    if (session_new(&s, &o) < 0)
        abort();
    return s;
}

static void run(const struct course *c, const struct address where[2])
{
    static char message[65536];
    struct session *a = open_side(c, false, &where[1]), *b = open_side(c, true, &where[0]);
    struct session_figures f;
    uint64_t now_ns = RTT_NS, n_read = 0;
    double begin = seconds(), spent;

    while (n_read < c->n_bytes) {
        while (session_writable(a) >= c->message_bytes)
            session_write(a, message, c->message_bytes);
        carry(a, b, &where[0], c->loss, now_ns);
        now_ns += RTT_NS / 2;
        n_read += drain(b);
        carry(b, a, &where[1], c->loss, now_ns);
        now_ns += RTT_NS / 2;
    }
    spent = seconds() - begin;
    session_figures(a, &f);
    printf("%-32s %7.0f MB/s  %7.1f ns a datagram (%llu)  %6.1f ns a message  %4.1f %% again\n",
           c->name, (double)n_read / spent / 1e6, spent * 1e9 / (double)f.sent,
           (unsigned long long)f.sent, spent * 1e9 / ((double)n_read / (double)c->message_bytes),
           100.0 * (double)f.retransmitted / (double)f.sent);
    session_free(a);
    session_free(b);
}

/* Memory of sessions that were used and then rest. */
static void rest(const struct address where[2])
{
    enum { N = 1000 };
    static struct session *sides[2 * N];
    struct course c = {.max_datagram = 65487, .buffer_bytes = 1 << 20};
    size_t before = mallinfo2().uordblks, after;

    for (int i = 0; i < 2 * N; i++)
        sides[i] = open_side(&c, i % 2, &where[1 - i % 2]);
    for (int step = 0; step < 100; step++)
        for (int i = 0; i < N; i++) {
            uint64_t now_ns = RTT_NS + (uint64_t)step * UINT64_C(200000000);

            if (step < 10)
                session_write(sides[2 * i], "hello", 5);
            carry(sides[2 * i], sides[2 * i + 1], &where[0], 0, now_ns);
            drain(sides[2 * i + 1]);
            carry(sides[2 * i + 1], sides[2 * i], &where[1], 0, now_ns);
        }
    after = mallinfo2().uordblks;
    printf("%d sides that rest: %zu bytes each\n", 2 * N, (after - before) / (2 * N));
    for (int i = 0; i < 2 * N; i++)
        session_free(sides[i]);
}

int main(void)
{
    struct address where[2];

    if (address_parse("192.0.2.1:1", &where[0]) < 0 || address_parse("192.0.2.2:2", &where[1]) < 0)
        return 1;
    for (size_t i = 0; i < sizeof COURSES / sizeof *COURSES; i++)
        run(&COURSES[i], where);
    rest(where);
    return 0;
}
