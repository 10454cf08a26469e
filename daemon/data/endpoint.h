/* SPDX-License-Identifier: MIT */
/* One registered (name, address, port): its sockets, mailbox and ledger. */
#ifndef MSGD_DAEMON_DATA_ENDPOINT_H
#define MSGD_DAEMON_DATA_ENDPOINT_H

#include "daemon/base/list.h"
#include "daemon/core/mailbox.h"
#include "daemon/core/sources.h"
#include "daemon/data/loop.h"
#include "daemon/data/unwatched.h"

struct endpoint_spooling; /* data/spooling.h */
struct store_spooled;

struct endpoint_socket {
    struct event_source source;
    struct endpoint *endpoint;
    struct shard *shard; /* that it is of; NULL: the endpoint's worker reads it */
    int family;          /* AF_INET, AF_INET6 */
    bool has_trains;     /* its last packets were of many datagrams */
    bool is_last_timed;  /* data/receive_times.h: the kernel does not tell when each one came */
    int64_t before_ns;   /* what is read next came after that, by CLOCK_REALTIME; 0: not known */
    uint64_t note;       /* udp_socket_adopt */
};

/* Within the endpoint, so that removing one needs no memory. */
struct removal {
    struct command command;
    struct task task;
    enum drop_reason reason;
    bool is_for_successor; /* what waits stays as it is */
    bool is_memory_kept;   /* and the successor has all of it */
    removed_done done;
    void *context;
};

struct endpoint {
    struct worker *worker;
    void *context;
    uint64_t number; /* no other endpoint has ever had it; never 0 */
    struct settings settings;
    struct endpoint_state *state; /* in the vault, or where that is full its own */
    struct ledger *ledger;        /* there */
    struct vault *vault;          /* NULL: the state is its own */
    bool is_past;                 /* a predecessor has left that state */
    bool is_recoverable;          /* and its memory is there too */
    struct mailbox mailbox;
    struct endpoint_spooling *spooling; /* owned; NULL: nothing goes to disk */
    struct account *journals;
    struct sources sources;
    struct endpoint_socket sockets[2];
    bool is_bound;
    unsigned n_sockets;   /* and as many of each shard */
    struct shard *shards; /* n_shards beside itself, owned */
    unsigned n_shards;
    unsigned n_reading;          /* control's: shards that have not stopped yet */
    struct command *when_unread; /* control's: posted then */
    struct event_source filled;  /* eventfd; shards ring this worker */
    _Atomic bool is_rung;        /* and it has not looked yet */
    uint32_t receive_buffer_granted;
    bool has_seen_gro;
    bool is_removed;
    uint64_t drops_read_ms;    /* loop time at which the kernel's drop counters were last read */
    struct list carriers;      /* its sessions; the worker's */
    struct tap *taps;          /* the worker's list */
    _Atomic uint32_t n_joined; /* consumers that come or are there */
    enum endpoint_mode promised_mode; /* control's: what the settings will be */
    uint64_t promised_bytes;
    struct command add;
    struct task move;
    struct list of_care; /* data/care.c */
    struct command stalled;
    _Atomic bool is_stall_told;
    struct unwatched unwatched;
    struct list awaiting; /* data/recovery.c */
    struct removal removal;
};

/* What a consumer's coming needs; control allocates it, the worker swaps it for what is to be
 * freed. */
struct join_memory {
    struct consumer **slots;
    uint32_t n_slots;
    struct copy_entry *copies;
    uint64_t n_copies;
};

/* Room for slot numbers below n_slots (0: the lane has it) and for the copies of one consumer more.
 * 0 or -ENOMEM. */
int join_memory_new(struct join_memory *m, const struct endpoint *e, uint32_t n_slots) MUST_USE;
void join_memory_free(struct join_memory *m);
/* Gives the lane and the mailbox what they need. Worker. */
void join_memory_use(struct join_memory *m, struct endpoint *e, struct lane *lane);

static inline void endpoint_joining(struct endpoint *e)
{
    atomic_fetch_add_explicit(&e->n_joined, 1, memory_order_relaxed);
}

static inline void endpoint_unjoined(struct endpoint *e)
{
    atomic_fetch_sub_explicit(&e->n_joined, 1, memory_order_relaxed);
}

/* What an endpoint needs for the disk, where its settings or what is there ask for it: else both
 * are NULL. Control. 0 or -ENOMEM. */
int endpoint_spool_new(struct endpoint *e, const struct settings *s,
                       const struct store_spooled *spooled, struct spool **spool,
                       struct endpoint_spooling **spooling) MUST_USE;

/* CLOCK_REALTIME. */
int64_t wall_clock_ns(void);

/* Reads the kernel's drop counters into the ledger. */
void endpoint_read_drops(struct endpoint *e);
/* Starts to move what waits to the consumers, if there is something and somebody. */
void endpoint_move(struct endpoint *e);
/* Frees an endpoint whose sockets are closed. Control. */
void endpoint_free(struct endpoint *e);
/* Watches the sockets, or has them read until it can. */
void endpoint_watch(struct endpoint *e);
/* Reads what is left before they are closed; nobody else reads. */
void endpoint_drain(struct endpoint *e);
/* Stops and closes them. */
void endpoint_unwatch(struct endpoint *e);

/* Reading an error of the socket clears it. */
void endpoint_socket_clear(const struct endpoint_socket *s);
/* Reads nothing more of its own accord. */
void endpoint_stop(struct endpoint *e);

/* A message that is answered. */
struct answered {
    struct address from;
    struct address to;
    enum message_type type;
    struct frame_id id;
};

/*
 * Sends a consumer's answer: a reply frame to a request, a plain datagram to the rest. 0, -EACCES
 * (a destination that gets no answers, or a message that is an answer itself), -EAGAIN, -EMSGSIZE
 * or what sendmsg said.
 */
int endpoint_reply(struct endpoint *e, const struct answered *m, const void *bytes,
                   size_t n_bytes) MUST_USE;
/* Sends a reply frame once more: its request has come again, from meta. */
void endpoint_reply_again(struct endpoint *e, const struct record *meta, const void *frame,
                          size_t n_bytes);

/*
 * Sends from the endpoint. from: family ADDRESS_NONE = the socket's own. 0, -EACCES, -EAGAIN or
 * what sendmsg said.
 */
int endpoint_send(struct endpoint *e, const struct address *from, const struct address *to,
                  const void *bytes, size_t n_bytes) MUST_USE;

#endif
