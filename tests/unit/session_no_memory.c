/* SPDX-License-Identifier: MIT */
/* Sessions whose every fourth allocation fails: slower, and nothing else. */
#include "session_reading.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS      UINT64_C(1000000)
#define N_BYTES 300000u

static bool is_scarce;
static uint32_t chance_state = 1;
static unsigned n_refused;

static bool is_refused(void)
{
    chance_state = chance_state * 1664525 + 1013904223;
    if (!is_scarce || (chance_state >> 16) % 4 != 0)
        return false;
    n_refused++;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);

void *__wrap_malloc(size_t n)
{
    return is_refused() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return is_refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n)
{
    return is_refused() ? NULL : __real_realloc(old, n);
}

static void carry(struct session *from, struct session *to, const struct address *where,
                  uint64_t now_ns, unsigned *count)
{
    static uint8_t buf[SESSION_DATAGRAM_MAX];
    struct address at;
    size_t n;

    while ((n = session_send(from, now_ns, buf, sizeof buf, &at)) > 0) {
        struct frame f;

        if (++*count % 9 == 0) /* gaps need memory, too */
            continue;
        cr_assert_eq(frame_parse(buf, n, &f), 0);
        session_receive(to, now_ns, where, &f, n);
    }
}

Test(session, goes_on_when_memory_is_short)
{
    static uint8_t bytes[N_BYTES], got[N_BYTES];
    struct session *a, *b;
    struct address where[2];
    size_t n_written = 0, n_read = 0;
    unsigned count = 0;
    uint64_t now_ns = 1000 * MS;

    cr_assert_eq(address_parse("192.0.2.1:1", &where[0]), 0);
    cr_assert_eq(address_parse("192.0.2.2:2", &where[1]), 0);
    for (size_t i = 0; i < N_BYTES; i++)
        bytes[i] = (uint8_t)(i * 13 >> 3);

    struct session_options o = {.peer = where[1],
                                .now_ns = now_ns,
                                .peer_window = 100000,
                                .send_bytes = 100000,
                                .receive_bytes = 100000};

    cr_assert_eq(session_new(&a, &o), 0);
    o.peer = where[0];
    o.is_server = true;
    cr_assert_eq(session_new(&b, &o), 0);
    is_scarce = true;
    for (int i = 0; i < 100000 && n_read < N_BYTES; i++) {
        n_written += session_write(a, bytes + n_written, N_BYTES - n_written);
        carry(a, b, &where[0], now_ns, &count);
        n_read = read_some(b, got, n_read);
        carry(b, a, &where[1], now_ns, &count);
        if (i % 50 == 49) /* what is under way must be cut anew */
            session_too_large(a, now_ns, 1452);
        now_ns += 10 * MS;
    }
    is_scarce = false;
    cr_assert_eq(n_read, N_BYTES);
    cr_assert_arr_eq(got, bytes, N_BYTES);
    cr_assert_gt(n_refused, 10);
    session_free(a);
    session_free(b);
}

Test(session, is_loaded_whole_or_not_at_all_when_memory_is_short)
{
    static uint8_t bytes[50000], saved[200000];
    struct session_options o = {.now_ns = 1000 * MS, .peer_window = 100000};
    struct session *a, *b;
    unsigned count = 0, n_failed = 0;
    size_t n;
    int r;

    cr_assert_eq(address_parse("192.0.2.1:1", &o.peer), 0);
    cr_assert_eq(session_new(&a, &o), 0);
    o.is_server = true;
    cr_assert_eq(session_new(&b, &o), 0);
    cr_assert_eq(session_write(a, bytes, sizeof bytes), sizeof bytes);
    cr_assert_eq(session_write(b, bytes, sizeof bytes), sizeof bytes);
    carry(a, b, &o.peer, o.now_ns, &count);
    count = 8; /* its first one is lost: there is a gap */
    carry(b, a, &o.peer, o.now_ns, &count);
    a = session_free(a);
    n = session_save(b, o.now_ns, saved, sizeof saved);
    cr_assert(n > sizeof bytes && n < sizeof saved);
    b = session_free(b);
    is_scarce = true;
    while ((r = session_load(&b, o.now_ns, saved, n)) != 0) {
        cr_assert_eq(r, -ENOMEM);
        cr_assert_null(b);
        n_failed++;
    }
    is_scarce = false;
    cr_assert_gt(n_failed, 0);
    session_free(b);
}
