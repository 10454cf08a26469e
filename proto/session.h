/* SPDX-License-Identifier: MIT */
/*
 * One side of a session: two byte streams, one each way, ordered and without loss, over datagrams
 * that get lost, doubled, late and out of order. No I/O and no clock: time and datagrams come in as
 * arguments, datagrams and moments go out. docs/protocol.md, section "Sessions", is normative.
 *
 * What the streams carry is a JSON text sequence (RFC 7464: RS text LF), which is no business of
 * this file: bytes in, the same bytes out. RFC 6298 (retransmission timeout), RFC 8985 (RACK-TLP),
 * RFC 8899 (finding a larger datagram size), RFC 9000 section 8.2 (proving an address).
 */
#ifndef MSGD_PROTO_SESSION_H
#define MSGD_PROTO_SESSION_H

#include "proto/address.h"
#include "proto/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_DATAGRAM_MIN 1200u /* gets through everywhere */
#define SESSION_DATAGRAM_MAX 65507u
#define SESSION_NEVER        UINT64_MAX /* no moment: nothing to do until something comes */

struct session;

struct session_options {
    uint8_t id[16];
    bool is_server;
    struct address peer;   /* proven by the handshake */
    uint64_t now_ns;       /* any monotonic clock */
    uint64_t seed;         /* for tokens and jitter */
    uint64_t peer_window;  /* the `window` of the peer's connect or accept */
    size_t send_bytes;     /* bound of what is written and not acknowledged; 0: 1 MiB */
    size_t receive_bytes;  /* bound of what has come and is not consumed; 0: 1 MiB. The `window`
                              of our own connect or accept must have been this */
    uint32_t max_datagram; /* probed for; 0: SESSION_DATAGRAM_MAX, at least SESSION_DATAGRAM_MIN */
    uint32_t idle_timeout_ms; /* nothing came for so long: dead; 0: 30,000 */
    uint32_t keep_alive_ms;   /* a ping after so long without anything; 0: 10,000 */
};

/* 0 or -ENOMEM. Memory beyond the struct grows with what is in the buffers and goes with it. */
int session_new(struct session **out, const struct session_options *o)
    __attribute__((warn_unused_result));
struct session *session_free(struct session *s);

/* ---- Over a restart ---- */

#define SESSION_SAVED_VERSION    1u
#define SESSION_SAVED_BUFFER_MAX (UINT64_C(1) << 30) /* send_bytes and receive_bytes */

/*
 * The whole session as bytes, in which its clock stands still: the pause until they are loaded
 * counts towards no timeout and no round-trip time. Returns the length, also where it did not fit
 * (out NULL: only tells it); 0: it cannot be saved, since a buffer is larger than that.
 */
size_t session_save(const struct session *s, uint64_t now_ns, void *out, size_t capacity);

/*
 * A session that goes on where the saved one was, on any clock. 0; -EPROTO: of a version that is
 * not known; -EBADMSG: they are damaged, or no session can be like that; -ENOMEM.
 */
int session_load(struct session **out, uint64_t now_ns, const void *bytes, size_t n)
    __attribute__((warn_unused_result));

/* ---- The network's side ---- */

/*
 * A datagram that came from `from`: a frame (data, close, ping, pong) whose session id is this
 * one's. n_bytes: of the whole datagram. What cannot be changes nothing but a counter.
 */
void session_receive(struct session *s, uint64_t now_ns, const struct address *from,
                     const struct frame *f, size_t n_bytes);

/*
 * The next datagram to send now: written to buf (capacity at least the largest datagram,
 * SESSION_DATAGRAM_MAX), its destination to *to. Returns its length, 0: nothing at present. Call
 * until it returns 0, after each session_receive, write, consume, finish, abort and when
 * session_deadline has come.
 */
size_t session_send(struct session *s, uint64_t now_ns, uint8_t *buf, size_t capacity,
                    struct address *to);

/* When session_send is to be called next if nothing happens before; SESSION_NEVER. */
uint64_t session_deadline(const struct session *s);

/* The kernel said that the peer's port is not there (ICMP), or that a datagram was too large. */
void session_refused(struct session *s, uint64_t now_ns);
void session_too_large(struct session *s, uint64_t now_ns, size_t n_bytes);

/* ---- The application's side ---- */

/* Takes up to n bytes; returns how many there was room for. After session_finish: 0. */
size_t session_write(struct session *s, const void *bytes, size_t n);
size_t session_writable(const struct session *s);
/* Nothing more will be written: the peer reads the end behind the last byte. */
void session_finish(struct session *s);

/* The next bytes that have come, in order, as many as lie in one piece; NULL: none at present. */
const uint8_t *session_peek(const struct session *s, size_t *n);
/* They are done with; the peer may send as many more. */
void session_consume(struct session *s, size_t n);
/* The peer has finished and everything has been consumed. */
bool session_is_finished(const struct session *s);

/* Ends at once: unsent and unread bytes are gone, and the peer is told the reason (a short token).
 */
void session_abort(struct session *s, const char *reason);

enum session_state {
    SESSION_OPEN,
    SESSION_DONE,   /* both sides have finished, and all has been acknowledged: still answers for
                       a while (session_deadline says how long), then SESSION_OVER */
    SESSION_OVER,   /* may be freed: nothing more to send or to answer */
    SESSION_FAILED, /* aborted, by either side or by time; session_reason. Once session_send has
                       returned 0 it may be freed */
};
enum session_state session_state(const struct session *s);
/* Why it failed: "idle", "closed by peer: REASON", "aborted: REASON", "unreachable"; "" otherwise.
 */
const char *session_reason(const struct session *s);

/* Where the peer is at present (changes once a new address has been proven). */
const struct address *session_peer(const struct session *s);

/* What msgls shows. */
struct session_figures {
    uint64_t bytes_in_flight; /* sent and not acknowledged */
    uint64_t bytes_queued;    /* written and not acknowledged, in flight included */
    uint64_t retransmitted;   /* datagrams */
    uint64_t sent;            /* datagrams */
    uint64_t received;        /* datagrams */
    uint64_t ignored;         /* datagrams that could not be: nonsense, or double */
    uint64_t smoothed_rtt_ns;
    uint64_t congestion_window; /* bytes */
    uint32_t datagram_bytes;    /* largest that is used at present */
};
void session_figures(const struct session *s, struct session_figures *out);

#endif
