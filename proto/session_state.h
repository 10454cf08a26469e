/* SPDX-License-Identifier: MIT */
/* What the parts of a session (session*.c) share; nobody else's. */
#ifndef MSGD_PROTO_SESSION_STATE_H
#define MSGD_PROTO_SESSION_STATE_H

#include "proto/congestion.h"
#include "proto/session.h"
#include "proto/stream_in.h"
#include "proto/stream_out.h"

#define SESSION_MS UINT64_C(1000000)

#define SESSION_ACK_DELAY_NS (5 * SESSION_MS)  /* the longest that an acknowledgement waits */
#define SESSION_DELAY_MAX_US UINT64_C(9999999) /* what is longer is told as this */
#define SESSION_N_PONGS      4u
#define SESSION_ASKS_MAX     4u /* times that anything of the path is asked for */
#define SESSION_REASON_BYTES (FRAME_REASON_MAX + 32u)

/* What the peer is owed: an acknowledgement. */
struct session_debt {
    uint64_t highest;    /* number that has come, */
    uint64_t highest_ns; /* and when */
    uint64_t due_ns;     /* SESSION_NEVER: nothing is owed */
    uint32_t n_bytes;    /* of segments that came since the last one was sent, */
    uint32_t n_segments; /* and how many */
};

/* Round-trip times, loss and timeouts (session_loss.c). */
struct session_loss {
    uint64_t smoothed_ns; /* 0: no sample yet */
    uint64_t variation_ns;
    uint64_t latest_ns;
    uint64_t number;        /* the highest of ours that is known to have come, */
    uint64_t sent_ns;       /* and when it was sent */
    uint64_t reorder_ns;    /* how much later than others a datagram may come without being lost */
    uint64_t lost_ns;       /* when the oldest in flight will count as lost; SESSION_NEVER */
    uint64_t asked_ns;      /* when something that wants an answer was sent last */
    uint64_t paused_number; /* up to this one they were sent before a pause, which times cannot tell
                               from the path */
    uint32_t n_timeouts;    /* in a row */
    uint32_t n_probes;      /* to be sent whatever the window and the pace */
    bool is_probe_bare;     /* nothing to send again: an empty segment asks for an answer */
};

/* An address that is to be proven, or a datagram size (session_path.c). */
struct session_ask {
    uint64_t token;
    uint64_t due_ns; /* when to ask (again); SESSION_NEVER: nothing is asked */
    uint32_t n_sent;
};

struct session_pong {
    struct address to;
    uint64_t token;
    bool has_token;
    size_t n_bytes; /* of the ping: the most that the answer may be */
};

struct session_path {
    struct address peer;
    uint32_t datagram_bytes; /* that gets through */
    uint32_t probe_bytes;    /* that is being asked for */
    uint32_t too_large;      /* sizes from here on were refused, or did not get through, */
    uint64_t again_ns;       /* and are not asked for before then */
    uint64_t search_ns;      /* how long to wait the next time */
    uint64_t large_number;   /* of the latest large one that has got through */
    uint32_t n_large_lost;   /* that were sent after it */
    uint32_t n_moved;
    struct session_ask size;

    struct address candidate;
    uint64_t allowance; /* bytes that came from there and were not answered */
    struct session_ask move;

    struct session_pong pongs[SESSION_N_PONGS];
    uint32_t n_pongs;
};

struct session {
    uint8_t id[16];
    bool is_server;
    enum session_state state;
    char reason[SESSION_REASON_BYTES];
    char close_reason[FRAME_REASON_MAX + 1]; /* of our own abort */
    bool is_close_due;

    struct stream_in in;
    struct stream_out out;
    struct congestion congestion;
    struct session_debt debt;
    struct session_loss loss;
    struct session_path path;

    uint64_t random;
    uint64_t last_number; /* that was sent */
    uint64_t end_number;  /* of the first datagram that acknowledged the peer's end; 0: none yet */
    uint64_t peer_window;
    uint64_t heard_ns;  /* something came last */
    uint64_t over_ns;   /* DONE until then */
    bool is_known_done; /* the peer knows that all has come */
    uint64_t retry_ns;  /* there was no memory; not before then */
    uint64_t idle_ns, keep_alive_ns;
    uint32_t max_datagram;

    struct session_figures figures;
};

uint64_t session_random(struct session *s);
void session_trim(struct session *s);
void session_fail(struct session *s, const char *what, const char *reason, size_t n_reason);

/* ---- session_loss.c ---- */

void session_loss_init(struct session_loss *l, uint64_t now_ns);
/* An acknowledgement that is possible. */
void session_loss_acknowledge(struct session *s, uint64_t now_ns, const struct frame *f);
/* Timers that have come. */
void session_loss_tick(struct session *s, uint64_t now_ns);
uint64_t session_loss_deadline(const struct session *s);
/* How long an answer may take: the timeout of RFC 6298, without back-off. */
uint64_t session_timeout_ns(const struct session *s);

/* ---- session_path.c ---- */

void session_path_init(struct session *s, const struct address *peer);
/* A datagram that is newer than all before has come from there. */
void session_path_seen(struct session *s, uint64_t now_ns, const struct address *from, size_t n);
void session_path_ping(struct session *s, const struct address *from, const struct frame *f,
                       size_t n_bytes);
/* False: nobody asked for it. */
bool session_path_pong(struct session *s, uint64_t now_ns, const struct address *from,
                       const struct frame *f);
uint64_t session_path_deadline(const struct session *s);
/* A pong, or a ping that asks. 0: none. */
size_t session_path_send(struct session *s, uint64_t now_ns, uint8_t *buf, size_t capacity,
                         struct address *to);
/* A datagram of so many bytes has come through, or was lost; after some of these:
 * session_path_check. */
void session_path_delivered(struct session *s, uint64_t now_ns, uint32_t n_largest,
                            uint64_t number);
void session_path_lost(struct session *s, uint32_t n_bytes, uint64_t number);
void session_path_check(struct session *s, uint64_t now_ns);
/* Datagrams of the size in use do not get through any more. */
void session_path_fall_back(struct session *s, uint64_t now_ns);

/* ---- session_send.c ---- */

/* The bytes of a segment that a datagram of the size in use has room for. */
uint32_t session_body_bytes(const struct session *s);
/* Can a segment of n bytes be sent in any datagram? */
bool session_fits(const struct session *s, uint32_t n_bytes);
/* When what is held back by the pace alone may go. */
uint64_t session_send_deadline(const struct session *s);

#endif
