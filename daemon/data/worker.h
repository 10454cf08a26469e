/* SPDX-License-Identifier: MIT */
/*
 * A worker: a thread with a loop of its own that owns endpoints outright (sockets, mailboxes,
 * ledgers). Every function here is for the control thread. What changes a worker's state is a
 * command: it returns at once, is carried out in order, and its `done` runs later on the control
 * thread's loop. What can fail is done before the command is posted, on the control thread.
 */
#ifndef MSGD_DAEMON_DATA_WORKER_H
#define MSGD_DAEMON_DATA_WORKER_H

#include "daemon/base/error.h"
#include "daemon/core/cookie.h"
#include "daemon/core/ledger.h"
#include "daemon/core/quota.h"
#include "daemon/core/settings.h"
#include "daemon/data/placement.h"
#include "proto/address.h"
#include "proto/frame.h"
#include "proto/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct worker;
struct endpoint; /* one registered (name, address, port); its sockets, mailbox and ledger */
struct link;     /* one attached connection on one worker: arena, page, outgoing ring */
struct receiver; /* one Receive call: its messages stay private to msgd */
struct tap;      /* one Tap call */
struct vault;    /* memory that outlives the process */
struct store;    /* the database */
struct remembered_ids;
struct store_spooled;
struct carrier; /* one session: its sockets and its state machine */

/* ---- Life ---- */

/* A client that has proven its address and wants a session. */
struct session_ask {
    struct cookie_claim claim; /* what it asked, and from where; names it in the answer */
    uint64_t window;           /* how much it takes at first */
    const char *identity;      /* a JSON text, n_identity bytes; 0: none was given */
    size_t n_identity;
};

/* A session that may go on in another process. */
struct carrier_saved {
    uint8_t *bytes; /* NULL: it could not be saved, or had come to its end */
    size_t n_bytes;
    int udp;    /* -1: it had none of its own */
    int stream; /* -1: it was closed */
    bool is_open;
};

/* What a worker tells of its own accord; called on the control thread. */
struct worker_events {
    void *context;
    /* The consumer behind a link wrote what cannot be. It has been detached; close its connection.
     */
    void (*link_broken)(void *context, struct link *link, const char *why);
    /*
     * A datagram that could not be a message. bytes: valid during the call. Where they come faster
     * than control reads, some are only counted: worker_info.evidence_lost.
     */
    void (*rejected)(void *context, struct endpoint *endpoint, enum drop_reason reason,
                     int64_t time_ns, const struct address *from, const struct address *to,
                     const uint8_t *bytes, size_t n_bytes);
    /* A tap has something to read: call tap_read. */
    void (*tapped)(void *context, struct tap *tap);
    /*
     * Consumers of an endpoint whose settings say that it matters hold messages and have released
     * none for stall_s: worker_snapshot says which. Comes again while it is so.
     */
    void (*consumers_stalled)(void *context, struct endpoint *endpoint);
    /* Answer by carrier_new or worker_refuse; what ask points to is valid during the call. */
    void (*session_asked)(void *context, struct endpoint *endpoint, const struct session_ask *ask);
    /* Its client has another address now, which has been proven. */
    void (*session_moved)(void *context, struct carrier *carrier, const struct address *peer);
    /*
     * Nothing more goes either way; "" = both sides have finished and all was acknowledged. What
     * the stream socket still holds may be read.
     */
    void (*session_ended)(void *context, struct carrier *carrier, const char *reason);
    /* What carrier_save has left of it; what it points to and its descriptors are valid during the
     * call. */
    void (*session_saved)(void *context, struct carrier *carrier,
                          const struct carrier_saved *saved);
    /* The last that is heard of it: its port is free. It is freed after the call. */
    void (*session_gone)(void *context, struct carrier *carrier);
};

struct worker_options {
    uv_loop_t *control_loop;
    struct worker_events events;
    int cpu;            /* that it runs on; PLACE_ANY */
    int max_descriptor; /* the highest that this process can have; sizes libuv's tables at start */
    uint32_t replies_per_source; /* a second, on endpoints not bound to loopback */
    uint32_t answers_per_source; /* the same for what msgd itself answers */
    uint32_t max_sources;        /* of messages with ids that are remembered */
    uint32_t reply_cache_bytes;
    uint64_t poll_ns;     /* it looks so long for what comes next before it sleeps; 0: never */
    uint64_t coalesce_ns; /* it lets datagrams gather for so long at most; 0: never */
    uint32_t anticipate_percent; /* of its core, to be awake for what is due; 0: never */
    uint64_t link_arena_bytes;   /* virtual size of a consumer's arena */
    struct cookie_secret cookie_secret;
    struct vault *vault; /* outlives the worker */
    struct store *store; /* started; outlives the worker; NULL: nothing goes to disk */
};

/* Starts the thread. 0 or -errno. */
int worker_start(struct worker **out, const struct worker_options *options) MUST_USE;
/*
 * Waits until everything that was posted has been done, ends the thread and frees the worker. Every
 * endpoint must have been removed and every link, receiver and tap closed before (posted is
 * enough). Every pending `done` has run when it returns. NULL is fine.
 */
struct worker *worker_stop(struct worker *worker);

/* While it is on hold it is woken for a hundred commands, not for each: waking it takes as long as
 * posting one. */
void worker_hold(struct worker *worker);
void worker_release(struct worker *worker);

/* Waits until everything that was posted has been done, and hears it. */
void worker_settle(struct worker *worker);

/* Calls done, on the control thread, when all that was posted before has been run. 0 or -ENOMEM. */
int worker_pass(struct worker *worker, void (*done)(void *context), void *context) MUST_USE;

/* ---- Endpoints ---- */

/* Why an endpoint could not be opened, for people and for PortTaken. */
struct open_failure {
    struct address address; /* the one that could not be bound */
    const char *what;       /* "socket", "bind", "join"... */
};

/* A socket that outlives its process. */
struct kept_socket {
    int descriptor; /* -1: none */
    uint64_t note;  /* of whoever had it, for whoever gets it; 0: nothing is known */
};

#define ENDPOINT_SOCKETS_MAX (2 * SHARDS_MAX)

/* What an endpoint is made of. */
struct endpoint_options {
    const struct settings *settings; /* address.port is not 0 */
    struct account *account;         /* outlives the endpoint */
    void *context;                   /* yours, endpoint_context gives it back */
    uint64_t number; /* no other endpoint has ever had it, nor did before a restart; not 0 */
    struct vault *vault;
    struct account *journals;            /* of messages on their way to disk; outlives it */
    const struct store_spooled *spooled; /* what is on disk; NULL: nothing */
    struct remembered_ids *ids;          /* of messages on disk; taken on success */
    uint32_t n_shards;                   /* at least 1; sockets for so many workers are opened */
    const struct kept_socket *inherited; /* n_inherited of a predecessor, as they would be opened */
    unsigned n_inherited;
};

/*
 * Opens and binds the sockets (one, or two for "*") on the control thread, but for those that are
 * inherited: taken, also on failure; one that is not bound as it should be is closed. The kernel
 * keeps datagrams from here on; worker_add makes them flow. 0 or -errno: -EADDRINUSE, -EACCES,
 * -EADDRNOTAVAIL, -ENODEV, -EMFILE, -ENOMEM...; then *why is filled.
 */
int endpoint_open(struct endpoint **out, const struct endpoint_options *options,
                  struct open_failure *why) MUST_USE;
/* Its sockets, in the order of `inherited`; they stay the endpoint's. Returns how many there are.
 */
unsigned endpoint_sockets(struct endpoint *endpoint,
                          struct kept_socket sockets[ENDPOINT_SOCKETS_MAX]);
/* Those of more than one worker, its own included. */
unsigned endpoint_shards(const struct endpoint *endpoint);
void *endpoint_context(const struct endpoint *endpoint);
/* What getsockopt(SO_RCVBUF) gave, halved to the unit of the setting. */
uint32_t endpoint_receive_buffer_granted(const struct endpoint *endpoint);
/* Before worker_add only: closes an endpoint that nobody watches yet. */
void endpoint_discard(struct endpoint *endpoint);

/* Gives the endpoint to the worker. */
void worker_add(struct worker *worker, struct endpoint *endpoint);
/* Then gives the sockets of its k-th shard (from 0, beside its own) to another worker. */
void worker_add_shard(struct worker *worker, struct endpoint *endpoint, unsigned k);
/* Applies changed settings (all but name and address). 0 or -ENOMEM (nothing changed). */
int worker_configure(struct worker *worker, struct endpoint *endpoint,
                     const struct settings *settings) MUST_USE;
/*
 * Drains the socket, closes it, counts what was queued as dropped for `reason`, detaches every
 * consumer, and frees the endpoint. done gets the final ledger, before the endpoint is freed.
 */
typedef void (*removed_done)(void *context, const struct ledger *final);
void worker_remove(struct endpoint *endpoint, enum drop_reason reason, removed_done done,
                   void *context);
/* Consumers are about to leave because msgd stops: in mode copy, what any of them holds is kept for
 * all. 0 or -ENOMEM. */
int worker_keep_copies(struct worker *worker, struct endpoint *endpoint) MUST_USE;
/*
 * Lets go of the endpoint for a successor: nothing more is read, and what is queued stays as it is.
 * is_memory_kept: the successor has its sockets and its memory; else only what is on disk, which is
 * brought up to date.
 */
void worker_leave(struct endpoint *endpoint, bool is_memory_kept);

/* ---- Attached consumers ---- */

/* Indices into link_descriptors, in the order in which Attach sends them. */
enum link_descriptor {
    LINK_ARENA,
    LINK_PAGE,
    LINK_OUTGOING,
    LINK_WAKE,
    LINK_DOORBELL,
    N_LINK_DESCRIPTORS
};

/* Makes the memory and descriptors of one connection on one worker. 0, -EMFILE, -ENFILE, -ENOMEM...
 */
int link_open(struct link **out, struct worker *worker, void *context) MUST_USE;
void *link_context(const struct link *link);
/* Still msgd's: pass copies (SCM_RIGHTS copies by itself), close none. */
void link_descriptors(const struct link *link, int descriptors[N_LINK_DESCRIPTORS]);

/*
 * From now on messages of `endpoint` go to `link`, under the number `slot` (control numbers them,
 * one for each endpoint of a connection, and does not use a slot again for another endpoint while
 * the link lives). What the mailbox held comes first. 0 or -ENOMEM.
 */
int worker_attach(struct worker *worker, struct link *link, struct endpoint *endpoint,
                  uint32_t slot) MUST_USE;
/* `endpoint` leaves `link`: what was not released stays with the endpoint (exclusive, or the last
 * consumer) or goes to the others (share). */
int worker_detach(struct worker *worker, struct link *link, struct endpoint *endpoint) MUST_USE;
/* The consumer is gone: detaches all its endpoints, then frees the link. The link is not to be used
 * again. */
void worker_close_link(struct worker *worker, struct link *link);

/* ---- Receive calls ---- */

/*
 * Makes a consumer of `endpoint` whose messages stay in msgd's own memory. 0 or -errno.
 * Each consumer of an endpoint, attached or receiving, counts the same.
 */
int receiver_open(struct receiver **out, struct worker *worker, struct endpoint *endpoint) MUST_USE;

/*
 * Copies of messages, as many as fit: records as in proto/ring.h (slot is 0), one behind the other,
 * each record_bytes(length) long.
 */
struct batch {
    uint8_t *bytes;  /* `capacity` of them, 64-byte aligned; the caller's, until done */
    size_t capacity; /* at least record_bytes(RING_MAX_PAYLOAD) */
    size_t n_bytes;
    size_t n_messages;
};

/*
 * Fetches the next messages, at most `max`, when there are any. done: status 0 with at least one
 * message, or -ECANCELED when the receiver was closed or its endpoint removed. One fetch at a time.
 */
typedef void (*fetch_done)(void *context, int status, struct batch *batch);
void receiver_fetch(struct receiver *receiver, struct batch *batch, size_t max, fetch_done done,
                    void *context);
/*
 * Releases the first n messages that were ever fetched, in the order of fetching (in mode share not
 * always that of their numbers). Fewer than before: nothing; more than were fetched: all of them.
 */
void receiver_release(struct receiver *receiver, uint64_t n);
/* As for a link that closes; frees the receiver after a pending fetch was called back with
 * -ECANCELED. */
void receiver_close(struct receiver *receiver);

/* ---- Sending, looking, tapping ---- */

/*
 * Sends one datagram from the endpoint's socket. from: the source address to use (a message's
 * `to`), or NULL for the socket's own. is_reply: the limits of replies hold (design: no answer to
 * endpoints of this msgd, broadcast, multicast, port 0; rate limit by source prefix). done: 0,
 * -EACCES (not a destination for replies), -EAGAIN (rate limit, or full buffer), or what sendmsg
 * said.
 */
typedef void (*send_done)(void *context, int status);
struct send_request {
    struct endpoint *endpoint;
    struct address from; /* family ADDRESS_NONE: the socket's own */
    struct address to;
    bool is_reply;
    enum message_type type; /* is_reply: of the message that is answered */
    struct frame_id id;     /* and its id; text copied */
    const void *bytes;      /* copied */
    size_t n_bytes;
    send_done done;
    void *context;
};
int worker_send(struct worker *worker, const struct send_request *request) MUST_USE;

#define MAX_SOURCES 16

struct source_row {
    struct address address; /* port 0 */
    uint64_t messages;
    uint64_t error; /* messages may be too high by up to this */
};

enum consumer_kind { CONSUMER_ATTACHED, CONSUMER_RECEIVING };

struct consumer_row {
    enum consumer_kind kind;
    const void *key; /* the struct link or struct receiver */
    uint64_t delivered;
    uint64_t queued;
    uint64_t missed;
    bool is_stalled;
};

#define MAX_CONSUMER_ROWS 16

/* What an endpoint has on disk. */
struct spool_info {
    bool is_on;         /* its settings say so, or something is left of a time when they did */
    uint64_t messages;  /* on disk alone, and not released */
    uint64_t bytes;     /* of them, as records */
    uint64_t n_waiting; /* records on their way to the disk */
    int64_t since_ns;   /* CLOCK_REALTIME of the oldest on disk; 0: nothing is there */
    bool is_failed;     /* a write has failed: nothing more is put on disk */
};

/* What an endpoint is like at one moment. */
struct snapshot {
    struct endpoint *endpoint;
    struct ledger ledger;
    uint64_t mailbox_used;
    uint32_t n_sources;
    uint32_t n_consumers; /* may exceed MAX_CONSUMER_ROWS */
    uint32_t n_stalled;   /* of all of them */
    struct source_row sources[MAX_SOURCES];
    struct consumer_row consumers[MAX_CONSUMER_ROWS];
    struct spool_info spool;
};

/*
 * Fills snapshots[i] for each snapshots[i].endpoint (all of this worker). The array stays the
 * caller's and must live until done. 0 or -ENOMEM.
 */
typedef void (*snapshot_done)(void *context, struct snapshot *snapshots, size_t n);
int worker_snapshot(struct worker *worker, struct snapshot *snapshots, size_t n, snapshot_done done,
                    void *context) MUST_USE;

/*
 * Throws away what the endpoint has on disk alone, counted as dropped `purged`. done: how many that
 * were. 0 or -ENOMEM.
 */
typedef void (*purge_done)(void *context, uint64_t n);
int worker_purge_spool(struct worker *worker, struct endpoint *endpoint, purge_done done,
                       void *context) MUST_USE;

/* Copies of the endpoint's messages from now on, in a bounded buffer. 0 or -errno. */
int tap_open(struct tap **out, struct worker *worker, struct endpoint *endpoint,
             void *context) MUST_USE;
void *tap_context(const struct tap *tap);
/*
 * Copies what was tapped into batch (n_messages 0: nothing left; events.tapped comes again).
 * Returns how many messages did not fit the tap's buffer since it was opened.
 */
uint64_t tap_read(struct tap *tap, struct batch *batch);
/* The endpoint may be removed before; the tap then stays silent until closed. */
void tap_close(struct tap *tap);

/*
 * Gives an endpoint what a batch holds, in its order, as if it had arrived: everything is checked,
 * nothing counts in `datagrams`, and nobody is answered. Slot becomes 1 (it is a message of the
 * endpoint) or 0 (it was refused). One that finds no room ends it, so that none overtakes it. done:
 * how many came before that one. 0 or -ENOMEM.
 */
typedef void (*inject_done)(void *context, size_t n_through);
struct injection {
    struct endpoint *endpoint;
    struct batch *batch; /* JSON_TEXT_SLACK readable bytes behind it; the caller's, until done */
    bool
        is_datagrams; /* each is a datagram that comes now; else a message that came when it says */
    inject_done done;
    void *context;
};
int worker_inject(struct worker *worker, const struct injection *injection) MUST_USE;

/* ---- Sessions ---- */

/*
 * A UDP socket for one session, bound to that address and port. A descriptor, or -errno:
 * -EADDRINUSE, -EMFILE...
 */
int session_socket_open(const struct address *at) MUST_USE;

struct carrier_options {
    struct endpoint *endpoint;
    struct cookie_claim claim;
    uint8_t id[16];
    int udp;       /* session_socket_open; taken on success. -1: the endpoint's own socket */
    int stream;    /* one end of a pair of Unix stream sockets, non-blocking; taken on success */
    uint16_t port; /* of udp; 0: none */
    uint64_t window;
    uint64_t receive_bytes;
    void *context;
};

/* Accepts: the client is told, and the session begins. 0 or -ENOMEM. */
int carrier_new(struct carrier **out, const struct carrier_options *options) MUST_USE;
void *carrier_context(const struct carrier *carrier);
/* Ends it at once and tells the client why; once. Not after session_ended. */
void carrier_abort(struct carrier *carrier, const char *reason);

/* ---- Sessions over a restart ---- */

#define CARRIER_SAVED_VERSION 1u

/*
 * Saves it, in the state in which it is, and lets go of it: events.session_saved, and as ever
 * events.session_gone. Neither side is told anything. Instead of carrier_abort.
 */
void carrier_save(struct carrier *carrier);
/*
 * Goes on with one that was saved. options: udp and stream as they were, taken on success; window
 * and receive_bytes do not matter. 0; -EPROTO: of a version that is not known; -EBADMSG, -ENOMEM.
 */
int carrier_load(struct carrier **out, const struct carrier_options *options, const void *bytes,
                 size_t n) MUST_USE;

/*
 * While a worker hushes, it answers no connect, and nothing that names a session that it does not
 * know: there are some in another process, or still to be loaded. 0 or -ENOMEM.
 */
int worker_hush(struct worker *worker, bool is_hushed) MUST_USE;

/* The connects that have ended and are to be remembered. done: bytes are valid during the call;
 * NULL: no memory. 0 or -ENOMEM. */
typedef void (*connects_done)(void *context, const void *bytes, size_t n);
int worker_save_connects(struct worker *worker, connects_done done, void *context) MUST_USE;
/* Takes such bytes up, from any worker; they are copied. 0, -EPROTO, -EBADMSG, -ENOMEM. */
int worker_load_connects(struct worker *worker, const void *bytes, size_t n) MUST_USE;

/*
 * Refuses. is_final: the same connect gets the same answer; else it is decided again, and nothing
 * is kept of it. 0 or -ENOMEM.
 */
int worker_refuse(struct endpoint *endpoint, const struct cookie_claim *claim, const char *reason,
                  bool is_final) MUST_USE;

/* What a session is like at present; any time, from the control thread. */
struct carrier_info {
    uint64_t bytes_in_flight;
    uint64_t retransmitted;
};
void carrier_info(const struct carrier *carrier, struct carrier_info *out);

/* What a worker counts about its sessions. */
#define SESSION_COUNTS(X) \
    X(connects)           \
    X(challenges)         \
    X(cookies_refused)    \
    X(connects_repeated)  \
    X(connects_lost)      \
    X(sessions_opened)    \
    X(sessions_finished)  \
    X(sessions_failed)    \
    X(sessions_refused)   \
    X(sessions_unknown)   \
    X(sessions_misplaced) \
    X(datagrams_received) \
    X(datagrams_sent)     \
    X(datagrams_resent)

struct session_counts {
#define X(name) _Atomic uint64_t name;
    SESSION_COUNTS(X)
#undef X
};

/* What a worker counts about itself; any time, from the control thread. */
struct worker_info {
    uint64_t evidence_lost; /* rejected datagrams that were counted but not handed to quarantine */
    uint64_t tap_missed;
    uint64_t links_broken;
    uint64_t replies_limited;    /* refused by replies_per_source */
    uint64_t replies_refused;    /* refused for their destination */
    uint64_t answers_suppressed; /* would have been longer than what they answer */
    uint64_t answers_limited;    /* refused by answers_per_source */
    uint64_t reads_coalesced;    /* before which it let datagrams gather */
    uint64_t reads_anticipated;  /* for which it was awake */
    uint64_t anticipation_ns;    /* that this has taken, with what was in vain */
    uint64_t bytes_resident;     /* in arenas */
    struct session_info {
#define X(name) uint64_t name;
        SESSION_COUNTS(X)
#undef X
    } sessions;
};
void worker_info(const struct worker *worker, struct worker_info *out);

#endif
