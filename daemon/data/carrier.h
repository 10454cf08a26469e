/* SPDX-License-Identifier: MIT */
/*
 * One session on a worker: proto/session.h between a UDP socket (its own, or the endpoint's) and
 * the stream socket whose other end the server's side has. Whatever happens to it marks it; it is
 * pumped once at the end of the turn.
 */
#ifndef MSGD_DAEMON_DATA_CARRIER_H
#define MSGD_DAEMON_DATA_CARRIER_H

#include "daemon/data/sessions.h"
#include "proto/session.h"

#include <stdbool.h>

enum carrier_state {
    CARRIER_OPEN,
    CARRIER_ENDED,   /* control knows; it may linger, and the stream may not have taken all */
    CARRIER_CLOSING, /* waits for libuv to let go of its handles */
};

/* The server's side. */
struct carrier_stream {
    int fd; /* -1: closed */
    uv_poll_t poll;
    int watched;        /* events */
    bool has_finished;  /* the server will write no more */
    bool is_cancelling; /* it has begun to say why it ends the session */
    char why[CONNECT_REASON_MAX + 1];
    size_t n_why;
    uint8_t mark[CONNECT_REASON_MAX + 2]; /* the end of what msgd writes */
    size_t n_mark;
    size_t n_mark_written;
    bool has_mark;
};

struct carrier {
    struct table_link by_id;
    struct list of_endpoint;
    struct list dirty;
    struct worker *worker;
    struct endpoint *endpoint;
    void *context;
    struct cookie_claim claim;
    uint8_t id[16];
    enum carrier_state state;
    struct session *session; /* NULL: it has ended, and nothing is left to be said */
    uint64_t receive_bytes;
    uint16_t port;
    int udp; /* -1: the endpoint's */
    uv_poll_t udp_poll;
    bool is_udp_full; /* the socket took no more */
    struct carrier_stream stream;
    struct timer timer;
    bool has_timer;
    unsigned n_handles;
    char reason[CONNECT_REASON_MAX + 1];       /* why it ended */
    char abort_reason[CONNECT_REASON_MAX + 1]; /* control's, until the command runs */
    bool is_abort_posted;                      /* control's: it is being ended, or saved */
    bool is_forgotten; /* control's: to be freed when the abort has come back */
    struct task leave;
    struct command open;
    struct command abort;
    struct command save;
    struct carrier_saved saved;
    struct command ended;
    struct command gone;
    uint64_t resent; /* that has been counted */
    struct command moved;
    struct address peer; /* that control knows of; changed only while it is not being told */
    _Atomic bool is_telling;
    _Atomic uint64_t bytes_in_flight;
    _Atomic uint64_t retransmitted;
};

/* CLOCK_BOOTTIME. */
uint64_t session_now_ns(void);

/* Says to the client that it is accepted; again where it did not hear it. */
void carrier_accept(const struct carrier *c);
/* It is to be pumped at the end of this turn. */
void carrier_touch(struct carrier *c);
/* Moves what can be moved, looks whether it has ended. */
void carrier_pump(struct carrier *c);
/* A frame that names this session, from any socket. */
void carrier_take(struct carrier *c, const struct arrival *a, const struct frame *f);
/* Everything of it goes at once; the client is told if it was open. */
void carrier_kill(struct carrier *c, const char *reason);

/* A new one, which nobody knows yet; NULL: no memory. */
struct carrier *carrier_alloc(const struct carrier_options *o);
/* Among the worker's from here on, and watched. 0, or -errno: to be killed. */
int carrier_begin(struct carrier *c) MUST_USE;
/* Everything of it goes at once, but its descriptors, which are the caller's: nobody is told. -1:
 * none. */
void carrier_let_go(struct carrier *c, int *udp, int *stream);
/* Control: what was posted for its end has come back; it may be gone. */
void carrier_abort_done(struct carrier *c);

/* ---- carrier_datagrams.c ---- */

/* Reads what has come to its own socket, within a turn's bound. */
void carrier_read_datagrams(struct carrier *c);
/* Watches its own socket, where it has one. 0 or -errno. */
int carrier_watch_udp(struct carrier *c) MUST_USE;
/* Sends what the session has to send now. */
void carrier_send(struct carrier *c);

/* ---- carrier_stream.c ---- */

/* From the server to the session. */
void carrier_read_stream(struct carrier *c);
/* From the session to the server. */
void carrier_write_stream(struct carrier *c);
/* Writes the mark of the end: reason "" = finished. */
void carrier_end_stream(struct carrier *c, const char *reason);
/* Watches for what is wanted at present. */
void carrier_watch_stream(struct carrier *c);
void carrier_close_stream(struct carrier *c);
/* Watches no more; the descriptor is the caller's. -1: it was closed. */
int carrier_give_stream(struct carrier *c);

/* ---- session_clock.c ---- */

int session_clock_open(struct worker *w) MUST_USE;
void session_clock_close(struct worker *w);
/* at_ns: when to pump it next; SESSION_NEVER. */
void session_clock_set(struct carrier *c, uint64_t at_ns);
void session_clock_arm(struct worker *w);

/* For uv_close of one of its handles. */
void carrier_handle_closed(uv_handle_t *handle);

#endif
