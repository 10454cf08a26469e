/* SPDX-License-Identifier: MIT */
/*
 * How a session begins, seen from the client: connect, challenge, connect with the cookie, accept
 * or refuse, each again after a while until it is answered. No I/O and no clock. docs/protocol.md,
 * section "Sessions: connecting", is normative. One handshake is with one address; a host with
 * several gets one for each.
 */
#ifndef MSGD_PROTO_HANDSHAKE_H
#define MSGD_PROTO_HANDSHAKE_H

#include "proto/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HANDSHAKE_DATAGRAM 1200u /* bytes of a connect: nothing that answers it is longer */

struct handshake_options {
    uint8_t nonce[16];           /* random: whoever knows it has seen our connect */
    struct frame_slice identity; /* JSON on one line, at most FRAME_IDENTITY_MAX; n 0: none. Kept */
    uint64_t window;             /* bytes that the session may send before we say more */
    uint64_t now_ns;             /* any monotonic clock */
    uint64_t timeout_ns;
    uint64_t seed; /* for jitter */
};

enum handshake_state {
    HANDSHAKE_ASKING,
    HANDSHAKE_ACCEPTED,    /* session, port, window */
    HANDSHAKE_REFUSED,     /* reason */
    HANDSHAKE_UNREACHABLE, /* the kernel or the network says that nobody is there */
    HANDSHAKE_TIMED_OUT,   /* has_answered: somebody is there, but has not decided */
};

struct handshake {
    enum handshake_state state;
    bool has_answered; /* a challenge has come */
    uint8_t nonce[16];
    uint8_t session[16];
    uint16_t port;   /* to go on with; 0: the one that was asked */
    uint64_t window; /* stream bytes that may be sent at first */
    char reason[FRAME_REASON_MAX + 1];
    /* for itself */
    struct frame_slice identity;
    uint64_t own_window;
    uint8_t cookie[FRAME_COOKIE_MAX];
    size_t n_cookie;
    uint64_t next_ns; /* the next connect */
    uint64_t delay_ns;
    uint64_t end_ns;
    uint64_t random;
};

void handshake_init(struct handshake *h, const struct handshake_options *o);

/*
 * A frame that came from the address that was asked. Only what carries our nonce and can be is
 * looked at; see state.
 */
void handshake_receive(struct handshake *h, uint64_t now_ns, const struct frame *f);

/* The kernel said (ICMP, or a route that is missing) that nobody can be reached there. */
void handshake_unreachable(struct handshake *h);

/*
 * The datagram to send now, into buf of at least HANDSHAKE_DATAGRAM bytes. Returns its length; 0:
 * nothing at present, or nothing any more: see state. Call it after each handshake_receive, and
 * when handshake_deadline has come.
 */
size_t handshake_send(struct handshake *h, uint64_t now_ns, uint8_t *buf, size_t capacity);

/* When handshake_send is to be called next; UINT64_MAX once the handshake is over. */
uint64_t handshake_deadline(const struct handshake *h);

#endif
