/* SPDX-License-Identifier: MIT */
/* A client's handshake against a scripted server. */
#include "proto/handshake.h"

#include <criterion/criterion.h>
#include <string.h>

#define MS UINT64_C(1000000)

static const uint8_t nonce[16] = {1, 2, 3};
static const char identity[] = "{\"user\":\"ann\"}";

static struct handshake begin(void)
{
    struct handshake h;
    struct handshake_options o = {
        .identity = {(const uint8_t *)identity, sizeof identity - 1},
        .window = 4096,
        .now_ns = 1000 * MS,
        .timeout_ns = 10000 * MS,
        .seed = 7,
    };

    memcpy(o.nonce, nonce, sizeof nonce);
    handshake_init(&h, &o);
    return h;
}

/* Sends what is due and reads it back; its slices lie in buf. */
static bool send_one(struct handshake *h, uint64_t now, struct frame *f, uint8_t buf[2048])
{
    size_t n = handshake_send(h, now, buf, 2048);

    if (n == 0)
        return false;
    cr_assert_eq(n, HANDSHAKE_DATAGRAM);
    cr_assert_eq(frame_parse(buf, n, f), 0);
    cr_assert_eq(f->type, FRAME_CONNECT);
    cr_assert_eq(memcmp(f->nonce, nonce, sizeof nonce), 0);
    cr_assert_eq(f->window, 4096);
    cr_assert_eq(f->identity.n, sizeof identity - 1);
    cr_assert_eq(memcmp(f->identity.bytes, identity, f->identity.n), 0);
    return true;
}

static struct frame answer(enum frame_type type)
{
    struct frame f = {
        .type = type,
        .members = FRAME_HAS_NONCE | FRAME_HAS_COOKIE | FRAME_HAS_PORT,
        .cookie = {(const uint8_t *)"cookie", 6},
        .reason = {(const uint8_t *)"full", 4},
        .session = {9},
        .port = 25000,
        .window = 65536,
    };

    memcpy(f.nonce, nonce, sizeof nonce);
    return f;
}

static void receive(struct handshake *h, uint64_t now, enum frame_type type)
{
    struct frame f = answer(type);

    handshake_receive(h, now, &f);
}

Test(handshake, goes_from_connect_to_accept)
{
    struct handshake h = begin();
    struct frame f;
    uint8_t buf[2048];

    cr_assert(send_one(&h, 1000 * MS, &f, buf));
    cr_expect_eq(f.members & FRAME_HAS_COOKIE, 0);
    cr_expect(!send_one(&h, 1010 * MS, &f, buf));
    receive(&h, 1020 * MS, FRAME_CHALLENGE);
    cr_expect_eq(handshake_deadline(&h), 1020 * MS);
    cr_assert(send_one(&h, 1020 * MS, &f, buf));
    cr_assert_eq(f.cookie.n, 6);
    cr_expect_eq(memcmp(f.cookie.bytes, "cookie", 6), 0);
    receive(&h, 1030 * MS, FRAME_ACCEPT);
    cr_expect_eq(h.state, HANDSHAKE_ACCEPTED);
    cr_expect_eq(h.port, 25000);
    cr_expect_eq(h.window, 65536);
    cr_expect_eq(h.session[0], 9);
    cr_expect_eq(handshake_deadline(&h), UINT64_MAX);
    receive(&h, 1040 * MS, FRAME_REFUSE);
    cr_expect_eq(h.state, HANDSHAKE_ACCEPTED);
    cr_expect(!send_one(&h, 60000 * MS, &f, buf));
}

Test(handshake, asks_again_ever_more_seldom_until_its_time_is_over)
{
    struct handshake h = begin();
    struct frame f;
    uint8_t buf[2048];
    uint64_t before = 0, gap = 0;
    int n = 0;

    while (handshake_deadline(&h) != UINT64_MAX) {
        uint64_t now = handshake_deadline(&h);
        if (!send_one(&h, now, &f, buf))
            break;
        if (n++ > 0) {
            cr_expect_geq(now - before, 250 * MS);
            cr_expect_leq(now - before, 1500 * MS);
            cr_expect_gt(now - before + 1500 * MS, gap);
            gap = now - before;
        }
        before = now;
    }
    cr_expect_eq(h.state, HANDSHAKE_TIMED_OUT);
    cr_expect(!h.has_answered);
    cr_expect_geq(n, 8);
    cr_expect_leq(n, 13);
}

Test(handshake, a_second_challenge_changes_the_cookie_and_nothing_else)
{
    struct handshake h = begin();
    struct frame f, again = answer(FRAME_CHALLENGE);
    uint8_t buf[2048];

    cr_assert(send_one(&h, 1000 * MS, &f, buf));
    receive(&h, 1001 * MS, FRAME_CHALLENGE);
    cr_assert(send_one(&h, 1001 * MS, &f, buf));
    again.cookie = (struct frame_slice){(const uint8_t *)"other", 5};
    handshake_receive(&h, 1002 * MS, &again);
    cr_expect(!send_one(&h, 1002 * MS, &f, buf));
    cr_assert(send_one(&h, handshake_deadline(&h), &f, buf));
    cr_assert_eq(f.cookie.n, 5);
    cr_expect_eq(memcmp(f.cookie.bytes, "other", 5), 0);
}

Test(handshake, is_refused_with_a_reason_at_any_time)
{
    struct handshake h = begin();
    struct frame f;
    uint8_t buf[2048];

    cr_assert(send_one(&h, 1000 * MS, &f, buf));
    receive(&h, 1001 * MS, FRAME_REFUSE);
    cr_expect_eq(h.state, HANDSHAKE_REFUSED);
    cr_expect_str_eq(h.reason, "full");
}

Test(handshake, looks_at_nothing_that_cannot_be_an_answer)
{
    struct handshake h = begin();
    struct frame f, forged;
    uint8_t buf[2048], long_cookie[FRAME_COOKIE_MAX + 1] = {0};

    cr_assert(send_one(&h, 1000 * MS, &f, buf));
    for (int type = FRAME_SEND; type <= FRAME_OTHER; type++) {
        forged = answer((enum frame_type)type);
        forged.nonce[15] ^= 1;
        handshake_receive(&h, 1001 * MS, &forged);
        cr_expect_eq(h.state, HANDSHAKE_ASKING);
    }
    receive(&h, 1001 * MS, FRAME_ACCEPT); /* before there was a cookie */
    receive(&h, 1001 * MS, FRAME_DATA);
    forged = answer(FRAME_CHALLENGE);
    forged.cookie = (struct frame_slice){long_cookie, sizeof long_cookie};
    handshake_receive(&h, 1001 * MS, &forged);
    cr_expect_eq(h.state, HANDSHAKE_ASKING);
    cr_expect(!h.has_answered);
    cr_expect(!send_one(&h, 1001 * MS, &f, buf));
}

Test(handshake, ends_where_nobody_can_be_reached)
{
    struct handshake h = begin();
    struct frame f;
    uint8_t buf[2048];

    cr_assert(send_one(&h, 1000 * MS, &f, buf));
    handshake_unreachable(&h);
    cr_expect_eq(h.state, HANDSHAKE_UNREACHABLE);
    receive(&h, 1001 * MS, FRAME_CHALLENGE);
    cr_expect_eq(h.state, HANDSHAKE_UNREACHABLE);
    cr_expect(!send_one(&h, 1001 * MS, &f, buf));
}

Test(handshake, a_server_without_a_port_of_its_own_keeps_the_one_that_was_asked)
{
    struct handshake h = begin();
    struct frame f, accept = answer(FRAME_ACCEPT);
    uint8_t buf[2048];

    accept.members = FRAME_HAS_NONCE | FRAME_HAS_SESSION | FRAME_HAS_WINDOW;
    cr_assert(send_one(&h, 1000 * MS, &f, buf));
    receive(&h, 1001 * MS, FRAME_CHALLENGE);
    handshake_receive(&h, 1002 * MS, &accept);
    cr_expect_eq(h.state, HANDSHAKE_ACCEPTED);
    cr_expect_eq(h.port, 0);
}
