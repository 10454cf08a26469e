/* SPDX-License-Identifier: MIT */
/* Sessions that are saved and go on. */
#include "session_reading.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS      UINT64_C(1000000)
#define N_BYTES 300000u

enum { CLIENT, SERVER };

struct pair {
    struct session *side[2];
    struct address address[2];
    uint64_t now_ns[2]; /* each has a clock of its own */
    unsigned count;
    unsigned lost; /* every so many-th */
};

static void open_pair(struct pair *p, unsigned lost)
{
    *p = (struct pair){.now_ns = {5000 * MS, 70000 * MS}, .lost = lost};
    cr_assert_eq(address_parse("192.0.2.1:1000", &p->address[CLIENT]), 0);
    cr_assert_eq(address_parse("[2001:db8::2]:2000", &p->address[SERVER]), 0);
    for (int i = 0; i < 2; i++) {
        struct session_options o = {.is_server = i == SERVER,
                                    .peer = p->address[1 - i],
                                    .now_ns = p->now_ns[i],
                                    .seed = 7 + (uint64_t)i,
                                    .peer_window = 100000,
                                    .send_bytes = 100000,
                                    .receive_bytes = 100000};

        memcpy(o.id, "0123456789abcdef", sizeof o.id);
        cr_assert_eq(session_new(&p->side[i], &o), 0);
    }
}

static void close_pair(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        p->side[i] = session_free(p->side[i]);
}

static void carry(struct pair *p, int from)
{
    static uint8_t buf[SESSION_DATAGRAM_MAX];
    struct address to;
    size_t n;

    while ((n = session_send(p->side[from], p->now_ns[from], buf, sizeof buf, &to)) > 0) {
        struct frame f;

        cr_assert_eq(frame_parse(buf, n, &f), 0);
        if (p->lost == 0 || ++p->count % p->lost != 0)
            session_receive(p->side[1 - from], p->now_ns[1 - from], &p->address[from], &f, n);
    }
}

static uint8_t *save(const struct session *s, uint64_t now_ns, size_t *n)
{
    uint8_t *bytes;

    *n = session_save(s, now_ns, NULL, 0);
    cr_assert_gt(*n, 0);
    bytes = malloc(*n);
    cr_assert_eq(session_save(s, now_ns, bytes, *n), *n);
    return bytes;
}

/* It goes on in another process, so much later, on a clock that began elsewhere. */
static void restart(struct pair *p, int side, uint64_t pause_ns)
{
    size_t n;
    uint8_t *bytes = save(p->side[side], p->now_ns[side], &n);

    session_free(p->side[side]);
    p->now_ns[side] = p->now_ns[side] + pause_ns + 12345;
    cr_assert_eq(session_load(&p->side[side], p->now_ns[side], bytes, n), 0);
    free(bytes);
}

static void pass(struct pair *p, uint64_t ns)
{
    p->now_ns[0] += ns;
    p->now_ns[1] += ns;
}

Test(session_saved, goes_on_in_the_middle_of_both_streams)
{
    static uint8_t bytes[N_BYTES], got[2][N_BYTES];
    struct pair p;
    size_t n_written[2] = {0}, n_read[2] = {0};

    for (size_t i = 0; i < N_BYTES; i++)
        bytes[i] = (uint8_t)(i * 13 >> 3);
    open_pair(&p, 7);
    for (int i = 0; i < 100000 && n_read[0] + n_read[1] < 2 * N_BYTES; i++) {
        for (int side = 0; side < 2; side++) {
            n_written[side] +=
                session_write(p.side[side], bytes + n_written[side], N_BYTES - n_written[side]);
            carry(&p, side);
            if (i % 3 == 0) /* what it has not read is saved, too */
                n_read[side] = read_some(p.side[side], got[side], n_read[side]);
            restart(&p, side, (uint64_t)i % 5 * MS);
        }
        pass(&p, 10 * MS);
    }
    for (int side = 0; side < 2; side++) {
        cr_assert_eq(n_read[side], N_BYTES);
        cr_assert_arr_eq(got[side], bytes, N_BYTES);
        session_finish(p.side[side]);
    }
    for (int i = 0; i < 1000 && session_state(p.side[0]) != SESSION_OVER; i++) {
        carry(&p, i % 2);
        restart(&p, i % 2, MS);
        pass(&p, 10 * MS);
    }
    cr_assert_eq(session_state(p.side[0]), SESSION_OVER);
    close_pair(&p);
}

Test(session_saved, a_pause_counts_towards_no_timeout_and_no_round_trip_time)
{
    struct pair p;
    struct session_figures before, after;

    open_pair(&p, 0);
    cr_assert_eq(session_write(p.side[CLIENT], "one", 3), 3);
    carry(&p, CLIENT);
    carry(&p, SERVER);
    pass(&p, 10 * MS);
    carry(&p, SERVER); /* an acknowledgement may wait */
    session_figures(p.side[CLIENT], &before);
    cr_assert_gt(before.smoothed_rtt_ns, 0);
    cr_assert_lt(before.smoothed_rtt_ns, 20 * MS);

    cr_assert_eq(session_write(p.side[CLIENT], "two", 3), 3);
    carry(&p, CLIENT);
    restart(&p, CLIENT, 3600000 * MS);
    p.now_ns[SERVER] += 20 * MS; /* for the other side it was short */
    carry(&p, SERVER);
    carry(&p, CLIENT);
    cr_assert_eq(session_state(p.side[CLIENT]), SESSION_OPEN);
    session_figures(p.side[CLIENT], &after);
    cr_assert_eq(after.bytes_queued, 0);
    cr_assert_eq(after.retransmitted, 0);
    cr_assert_eq(after.smoothed_rtt_ns, before.smoothed_rtt_ns);

    cr_assert_eq(session_write(p.side[CLIENT], "three", 5), 5);
    carry(&p, CLIENT);
    pass(&p, 17 * MS);
    carry(&p, SERVER);
    session_figures(p.side[CLIENT], &after);
    cr_assert_neq(after.smoothed_rtt_ns, before.smoothed_rtt_ns, "what follows counts again");
    close_pair(&p);
}

Test(session_saved, says_after_the_pause_why_it_was_aborted)
{
    struct pair p;

    open_pair(&p, 0);
    session_abort(p.side[SERVER], "enough");
    restart(&p, SERVER, MS);
    cr_assert_eq(session_state(p.side[SERVER]), SESSION_FAILED);
    cr_assert_str_eq(session_reason(p.side[SERVER]), "aborted: enough");
    carry(&p, SERVER);
    cr_assert_str_eq(session_reason(p.side[CLIENT]), "closed by peer: enough");
    close_pair(&p);
}

static void fill(struct pair *p)
{
    static uint8_t bytes[20000];

    open_pair(p, 3);
    cr_assert_eq(session_write(p->side[CLIENT], bytes, sizeof bytes), sizeof bytes);
    for (int i = 0; i < 4; i++) {
        carry(p, i % 2);
        pass(p, 10 * MS);
    }
}

Test(session_saved, is_refused_if_a_bit_of_it_has_changed_or_a_byte_is_missing)
{
    struct pair p;
    struct session *s = NULL;
    size_t n;
    uint8_t *bytes;

    fill(&p);
    bytes = save(p.side[SERVER], p.now_ns[SERVER], &n);
    for (size_t i = 0; i < n; i++) {
        int expected = i >= 4 && i < 8 ? -EPROTO : -EBADMSG;

        bytes[i] ^= (uint8_t)(1 << i % 8);
        cr_assert_eq(session_load(&s, p.now_ns[SERVER], bytes, n), expected, "byte %zu", i);
        bytes[i] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t i = 0; i < n; i++)
        cr_assert_lt(session_load(&s, p.now_ns[SERVER], bytes, i), 0, "%zu bytes", i);
    cr_assert_null(s);
    cr_assert_eq(session_load(&s, p.now_ns[SERVER], bytes, n), 0);
    session_free(s);
    free(bytes);
    close_pair(&p);
}

Test(session_saved, tells_how_long_it_is_where_it_does_not_fit)
{
    struct pair p;
    uint8_t few[100];
    size_t n;

    fill(&p);
    n = session_save(p.side[CLIENT], p.now_ns[CLIENT], NULL, 0);
    cr_assert_gt(n, sizeof few);
    memset(few, 0xa5, sizeof few);
    cr_assert_eq(session_save(p.side[CLIENT], p.now_ns[CLIENT], few, sizeof few - 1), n);
    cr_assert_eq(few[sizeof few - 1], 0xa5, "nothing is written behind the end");
    close_pair(&p);
}

Test(session_saved, cannot_be_saved_with_a_buffer_beyond_reason)
{
    struct session *s;
    struct session_options o = {.now_ns = MS, .send_bytes = SESSION_SAVED_BUFFER_MAX + 1};

    cr_assert_eq(address_parse("192.0.2.1:1", &o.peer), 0);
    cr_assert_eq(session_new(&s, &o), 0);
    cr_assert_eq(session_save(s, MS, NULL, 0), 0);
    session_free(s);
}
