/* SPDX-License-Identifier: MIT */
/*
 * libmsgd: UDP ports that outlive your process. A program registers a name and a port with msgd and
 * reads every message sent there, in place, from memory that msgd fills.
 *
 *     struct msgd *m;
 *     struct msgd_message messages[64];
 *     int n = msgd_open(&m, NULL);
 *     if (n == 0)
 *         n = msgd_register(m, &(struct msgd_registration){.name = "thermo", .port = 7000}, NULL);
 *     while (n >= 0 && (n = msgd_receive(m, messages, 64, -1)) >= 0) {
 *         for (int i = 0; i < n; i++)
 *             printf("%.*s\n", (int)messages[i].length, (const char *)messages[i].data);
 *         if (n > 0)
 *             msgd_release(m, &messages[n - 1]);
 *     }
 *     fprintf(stderr, "%s\n", msgd_error(m));
 *     m = msgd_close(m);
 *
 * Every function that can fail returns a negative errno and leaves a sentence in msgd_error. A
 * struct msgd is for one thread at a time; a forked child may close its copy and nothing else. Link
 * with `pkg-config --cflags --libs msgd`.
 */
#ifndef MSGD_H
#define MSGD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MSGD_API      __attribute__((visibility("default")))
#define MSGD_MUST_USE __attribute__((warn_unused_result))

/* A connection to msgd. */
struct msgd;

/*
 * Connects. socket_path: the control socket, or NULL for $MSGD_SOCKET, else
 * $XDG_RUNTIME_DIR/msgd/msgd.sock (without that variable the places where an ordinary user's msgd
 * puts it: /run/user/UID/msgd and /tmp/msgd-UID) if something answers there, else
 * /run/msgd/msgd.sock. All descriptors are close-on-exec.
 * 0; -ENOMEM; -ENOENT, -ECONNREFUSED, -EACCES... as connect(2) says (*out is then NULL, and
 * msgd_error(NULL) has the sentence for this thread).
 */
MSGD_API MSGD_MUST_USE int msgd_open(struct msgd **out, const char *socket_path);

/* Closes: leases of the endpoints begin, what was not released stays for the next consumer. Returns
 * NULL. NULL is fine. */
MSGD_API struct msgd *msgd_close(struct msgd *m);

/* What the last failure on m was, in one line: what, where, what to do. Never NULL. m NULL: of this
 * thread's msgd_open. */
MSGD_API const char *msgd_error(const struct msgd *m);

/* The Varlink error of the last failed call, such as "io.msgd.NameTaken", or "" if it was none; its
 * parameters as JSON. */
MSGD_API const char *msgd_error_name(const struct msgd *m);
MSGD_API const char *msgd_error_parameters(const struct msgd *m);

/* The path of the control socket that answered. */
MSGD_API const char *msgd_socket(const struct msgd *m);

/* ---- Registering ---- */

enum msgd_mode { MSGD_EXCLUSIVE, MSGD_SHARE, MSGD_COPY };
enum msgd_on_conflict { MSGD_REJECT, MSGD_QUEUE, MSGD_REPLACE };
/* DEFAULT: SPOOL where is_durable, else DROP_NEW. SPOOL: what memory has no room for goes to disk.
 */
enum msgd_when_full { MSGD_WHEN_FULL_DEFAULT, MSGD_DROP_NEW, MSGD_DROP_OLD, MSGD_SPOOL };
/* What msgd does about a consumer that holds messages and releases none. */
enum msgd_on_stall { MSGD_STALL_SHOW, MSGD_STALL_AWAY };
enum msgd_format { MSGD_JSON, MSGD_RAW };
/* AUTO: whoever connects is accepted while somebody listens. ASK: the listener decides. */
enum msgd_sessions { MSGD_SESSIONS_OFF, MSGD_SESSIONS_AUTO, MSGD_SESSIONS_ASK };

#define MSGD_LEASE_DEFAULT 0 /* 60 s */
#define MSGD_LEASE_FOREVER (-1)
#define MSGD_LEASE_NONE    (-2) /* the port goes with the consumer */

#define MSGD_SPOOL_UNBOUNDED UINT64_MAX /* but for the bound of all that msgd has on disk */

/* What to register; everything that is zero takes msgd's default. Only the name must be set. */
struct msgd_registration {
    const char *name;    /* [a-z0-9][a-z0-9._-]{0,62} */
    const char *address; /* NULL: 127.0.0.1; "0.0.0.0", "::", "*" (both), or one of this host */
    uint16_t port;       /* 0: one from msgd's port_range */
    enum msgd_mode mode;
    enum msgd_on_conflict on_conflict;
    int is_irreplaceable; /* 1: refuse others' MSGD_REPLACE */
    int64_t lease_s;      /* seconds, or MSGD_LEASE_... */
    uint64_t mailbox_bytes;
    enum msgd_when_full when_full;
    int is_durable;          /* 1: every message goes to disk, too */
    uint64_t spool_bytes;    /* may be on disk alone; 0: 256 MiB; or MSGD_SPOOL_UNBOUNDED */
    uint64_t spool_messages; /* the same; 0: no bound */
    enum msgd_format format;
    uint32_t max_message_bytes;
    const char *const *allow;    /* networks such as "10.0.0.0/8", ended by NULL; NULL: everyone */
    enum msgd_sessions sessions; /* whether clients may connect, see msgd_listen */
    int is_single_port;          /* 1: sessions share the endpoint's port, for servers behind NAT */
    int no_gro;                  /* 1: keep kernel_dropped exact, at a cost in speed */
    uint32_t shards;             /* workers of msgd that read it, each a socket; 0: one */
    uint32_t receive_buffer_bytes;
    uint32_t max_deliver; /* what has come back so often goes to the quarantine; 0: no bound */
    uint32_t ttl_s;       /* what nobody has taken for so long is dropped; 0: nothing */
    int64_t stall_s;      /* a consumer that releases nothing for so long has stalled; -1: never */
    enum msgd_on_stall on_stall;
};

/* What it has become. The strings live until msgd_close. */
struct msgd_endpoint {
    const char *name;
    const char *address; /* without the port */
    uint16_t port;
    uint64_t generation;
    int is_resumed; /* the endpoint was there already, with its mailbox */
};

/*
 * Registers and attaches: messages come by msgd_receive. After a restart of msgd the library
 * registers again by itself. out may be NULL.
 * 0; -EINVAL (a bad name, address or field), -EEXIST (the name is taken), -EADDRINUSE (the port
 * is), -EACCES (not permitted), -EDQUOT (quota), -EADDRNOTAVAIL (not an address of this host),
 * -EBUSY, -EINTR (a signal handler ran while MSGD_QUEUE was waiting for its turn, which is lost),
 * or what the connection failed with. Source: docs/protocol.md, Register and Attach.
 */
MSGD_API MSGD_MUST_USE int msgd_register(struct msgd *m,
                                         const struct msgd_registration *registration,
                                         struct msgd_endpoint *out);

/*
 * Registers n endpoints without waiting for one before asking for the next: 10,000 take well under
 * two seconds. All are tried: 0 if all were taken, else the error of the first that was not (the
 * others are registered; msgd_registered tells which).
 */
MSGD_API MSGD_MUST_USE int msgd_register_many(struct msgd *m,
                                              const struct msgd_registration *registrations,
                                              size_t n);

/* What a name that is registered or attached by m is at present. 0; -ENOENT: m has no such name. */
MSGD_API MSGD_MUST_USE int msgd_registered(struct msgd *m, const char *name,
                                           struct msgd_endpoint *out);

/* Attaches to an endpoint that exists (a static one, or one whose consumer is away). As
 * msgd_register; -ENOENT: no such name. */
MSGD_API MSGD_MUST_USE int msgd_attach(struct msgd *m, const char *name, struct msgd_endpoint *out);

/* Ends an endpoint and closes its port. What was queued is dropped. 0, -ENOENT, -EACCES. */
MSGD_API MSGD_MUST_USE int msgd_unregister(struct msgd *m, const char *name);

/* ---- Receiving ---- */

struct msgd_address {
    uint8_t ip[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d */
    uint16_t port;  /* host byte order */
    uint32_t scope; /* interface index, 0 = none */
};

/* Bytes for msgd_address_print, NUL included. */
#define MSGD_ADDRESS_TEXT_MAX 68

/* Writes "ip:port" or "[ip6]:port". Returns buf. */
MSGD_API const char *msgd_address_print(const struct msgd_address *a,
                                        char buf[MSGD_ADDRESS_TEXT_MAX]);

/* What a message came as. docs/protocol.md, "Datagrams". */
enum msgd_type {
    MSGD_PLAIN,   /* a datagram that is the message */
    MSGD_SEND,    /* framed, with an id where its sender wants it acknowledged, or only once */
    MSGD_REQUEST, /* framed: its sender waits for msgd_reply */
    MSGD_REPLY,   /* framed: the answer to a request that went out from this endpoint */
};

/* A message, in place: what the pointers show is valid until the message is released. */
struct msgd_message {
    const char *name; /* of the endpoint; valid until msgd_close */
    const void *data; /* length bytes, not ended by NUL; the datagram's payload as it came */
    size_t length;
    uint64_t seq;    /* counts the endpoint's messages from 1; a gap is a dropped message */
    int64_t time_ns; /* when the kernel received it, CLOCK_REALTIME; see libmsgd(3) */
    struct msgd_address from;
    struct msgd_address to; /* the address that the sender used */
    int is_redelivered;     /* a consumer was given it before and did not release it */
    unsigned deliveries;    /* how often it was given to one, this time included; at most 32 */
    uint64_t generation;
    enum msgd_type type;
    const char *id;       /* id_length bytes, not ended by NUL; of a reply, that of the request */
    size_t id_length;     /* 0: it has none */
    uint64_t internal[3]; /* the library's */
};

/*
 * Takes up to max messages, waiting at most timeout_ms for the first (-1: for ever, 0: not at all).
 * Returns how many; 0 at the end of the time, or -EINTR when a signal handler ran. A message that
 * was taken is no longer dropped by drop-old; until it is released it stays in msgd's mailbox, and
 * comes again to the next consumer if this one ends.
 * When msgd goes away, this call waits for it and registers again (a return of 0 if that takes
 * longer than timeout_ms); messages held from before stay readable until they are released.
 * -EEXIST, -EADDRINUSE...: what registering again ended with. -ENOTCONN: nothing was registered.
 * -EPIPE: msgd has detached this consumer (msgd_error says why). -EPROTO: it is not the msgd that
 * this library knows. -EMFILE, -ENOMEM: no room for its memory; the next call tries again. -EBUSY:
 * a call with "more" has the connection.
 */
MSGD_API MSGD_MUST_USE int msgd_receive(struct msgd *m, struct msgd_message *messages, size_t max,
                                        int timeout_ms);

/*
 * How long msgd_receive looks for messages before it sleeps, in microseconds: 0 (never) to 1000; 50
 * from the start. It does so only where messages come faster then, from senders that wait for each
 * to be dealt with: it tries now and then, measures, and leaves off where nothing is gained.
 * 0 or -EINVAL.
 */
MSGD_API MSGD_MUST_USE int msgd_set_poll_us(struct msgd *m, unsigned us);

/*
 * Releases every message of this connection up to and including `last`: their memory is msgd's
 * again. Releasing is in the order of receiving, over all endpoints of m; a program that wants to
 * hold one endpoint's messages while it goes on with another's uses two connections.
 */
MSGD_API void msgd_release(struct msgd *m, const struct msgd_message *last);

/*
 * Answers a message that is not released yet, from the address and port that were asked. At most
 * once a message; refused answers (to another endpoint of this msgd, broadcast, multicast, port 0,
 * over the rate limit) are counted by msgd. 0; -EMSGSIZE; -EAGAIN (too many answers under way: try
 * again); -ESTALE (the message is from before a restart of msgd, or is released).
 */
MSGD_API MSGD_MUST_USE int msgd_reply(struct msgd *m, const struct msgd_message *message,
                                      const void *data, size_t length);

/*
 * A descriptor for any event loop (poll for input), valid until msgd_close: when it is readable,
 * call msgd_receive with timeout 0 until it returns 0. The first such call arms it.
 */
MSGD_API int msgd_fd(const struct msgd *m);

/* ---- Sending ---- */

/*
 * Sends a datagram from the address and port of an endpoint of the caller's. to: "ip:port".
 * 0, -ENOENT, -EACCES, -EINVAL, -EMSGSIZE, -EAGAIN.
 */
MSGD_API MSGD_MUST_USE int msgd_send_from(struct msgd *m, const char *name, const char *to,
                                          const void *data, size_t length);

/* The address and port behind a name. The wildcard is given as the loopback address. 0 or -ENOENT.
 */
MSGD_API MSGD_MUST_USE int msgd_resolve(struct msgd *m, const char *name, struct msgd_address *out);

/*
 * A feed: messages to one target that go once and that nobody acknowledges, as UDP does it. The
 * target may be anything that receives UDP. What is put gathers and leaves with few system calls:
 * many datagrams with one (sendmmsg), those of one length as a train (segmentation offload, where
 * the kernel has it). With is_batch many messages share a datagram, which only msgd takes apart.
 *
 *     struct msgd_feed *f;
 *     int rc = msgd_feed_open(&f, "127.0.0.1:7000", NULL);
 *     while (rc == 0 && next(&text)) {
 *         while ((rc = msgd_feed_put(f, text, strlen(text))) == -EAGAIN)
 *             if (msgd_feed_flush(f, -1) != 0)
 *                 fprintf(stderr, "%s\n", msgd_feed_error(f));
 *     }
 *     if (rc == 0)
 *         rc = msgd_feed_flush(f, -1);
 *
 * For one thread at a time; a forked child may close its copy, which sends nothing.
 */
struct msgd_feed;

/* Everything that is zero takes the default. */
struct msgd_feed_options {
    const char *socket_path;     /* where the target is a name: as for msgd_open */
    int is_batch;                /* 1: as many messages in a datagram as it holds (docs/protocol.md,
                                    Batches); one that is alone goes as it is */
    uint32_t max_datagram_bytes; /* of a batch; 0: what passes uncut to the target */
    int is_raw;    /* 1: bytes, which are not looked at here (msgd does); with is_batch
                      without RS (0x1E) */
    int linger_ms; /* how long the first datagram to a host of several addresses waits for a refusal
                      from afar, before the next address is tried: 100; -1: not at all */
};

/*
 * Opens a feed to "ip:port", "[ip6]:port", "host:port" (the first address that does not refuse the
 * first datagram) or the name of an endpoint of this host's msgd. options may be NULL.
 * 0; -EINVAL (no such target), -ENOENT (no such host or name), -ENOTCONN (msgd is not there),
 * -EAGAIN (the resolver or the endpoint is not ready), -ENETUNREACH and its like, -ENOMEM
 * (*out is then NULL, and msgd_feed_error(NULL) has the sentence for this thread).
 */
MSGD_API MSGD_MUST_USE int msgd_feed_open(struct msgd_feed **out, const char *target,
                                          const struct msgd_feed_options *options);

/* Sends what can go at once, and closes. Returns NULL. NULL is fine. */
MSGD_API struct msgd_feed *msgd_feed_close(struct msgd_feed *f);

/* As msgd_error. f NULL: of this thread's msgd_feed_open. */
MSGD_API const char *msgd_feed_error(const struct msgd_feed *f);

/* The address that is sent to. */
MSGD_API void msgd_feed_address(const struct msgd_feed *f, struct msgd_address *out);

/*
 * Puts a message, which is copied. It leaves with the next msgd_feed_flush, or when so much has
 * gathered that there is no room for more (128 KiB, 256 datagrams).
 * 0; it is not taken: -EAGAIN (the kernel has no room: flush, then put again), -EINVAL (not JSON),
 * -EMSGSIZE, -ESTALE (in a forked child). What became of earlier ones, msgd_feed_flush tells.
 */
MSGD_API MSGD_MUST_USE int msgd_feed_put(struct msgd_feed *f, const void *data, size_t length);

/*
 * Sends what was put, waiting at most timeout_ms for room in the kernel (-1: for ever, 0: not at
 * all). 0; -EAGAIN: not all has left in that time; -EINTR: a signal handler ran. Anything else:
 * everything has left or failed, and this is the first error since the last flush: -ECONNREFUSED
 * (nobody listens there; known of this host's ports at once, of others' when a later datagram is
 * sent), -EMSGSIZE, -EPERM (a firewall of this host), -ENETUNREACH...; -ESTALE.
 */
MSGD_API MSGD_MUST_USE int msgd_feed_flush(struct msgd_feed *f, int timeout_ms);

/* put = sent + failed + waiting, in messages. */
struct msgd_feed_figures {
    uint64_t put;
    uint64_t sent;      /* in datagrams that the kernel took: nobody knows whether they arrive */
    uint64_t failed;    /* in datagrams that it did not take */
    uint64_t waiting;   /* to be flushed */
    uint64_t datagrams; /* that it took */
    uint64_t refusals;  /* that came back for datagrams: at least so many did not arrive */
};
MSGD_API void msgd_feed_figures(const struct msgd_feed *f, struct msgd_feed_figures *out);

/* The socket: for poll(2) (output, after -EAGAIN), and for the plain datagrams that come back,
 * which a program may read. It may change until the first flush has returned. */
MSGD_API int msgd_feed_fd(const struct msgd_feed *f);

/* ---- Sessions ---- */

/*
 * A conversation between a client and a server: JSON texts of up to MSGD_TEXT_MAX bytes, both ways,
 * in order and without loss, until both sides have finished.
 *
 *     struct msgd_session *s;                              // a client
 *     struct msgd_text text;
 *     int rc = msgd_connect(&s, "example.org:7000", NULL);
 *     if (rc == 0)
 *         rc = msgd_session_write(s, "{\"question\": 1}", 15, -1);
 *     if (rc == 0)
 *         rc = msgd_session_finish(s);
 *     while (rc >= 0 && (rc = msgd_session_read(s, &text, -1)) > 0)
 *         printf("%.*s\n", (int)text.length, text.data);
 *     if (rc < 0)
 *         fprintf(stderr, "%s\n", msgd_session_error(s));
 *     msgd_session_close(s, 1000);
 *
 * The library has no thread of its own: what is sent again, acknowledged or kept alive is so inside
 * of calls, also of msgd_session_process, which whoever does not wait in one calls when the
 * descriptor of msgd_session_fd is readable. A session is for one thread at a time, and needs
 * nothing of the struct msgd or msgd_listener that it came from; a forked child may close or abort
 * its copy, which the peer does not notice, and nothing else.
 */
struct msgd_session;

#define MSGD_TEXT_MAX 16777216

struct msgd_connect_options {
    const char *identity;    /* JSON, at most 512 bytes on one line: who this is, for the server.
                                NULL: an object with user, host and program */
    const char *socket_path; /* of msgd, if the target is a name; NULL: as msgd_open */
    int timeout_ms;          /* for all of it; 0: 10,000 */
    int is_in_background;    /* 1: return once the addresses are known; MSGD_SESSION_CONNECTING */
};

/*
 * Connects as a client. target: "ip:port", "[ip6]:port", "host:port" (each of its addresses is
 * tried until one answers) or the name of an endpoint of this host's msgd, which nothing else here
 * needs. options may be NULL.
 * 0; -EINVAL (no such thing can be a target or an identity), -ENOENT (no such host or name),
 * -ECONNREFUSED (nobody takes sessions there), -EACCES (refused, see msgd_session_reason), -EAGAIN
 * (refused for now: full), -ETIMEDOUT (no answer or no decision in time), -ENETUNREACH and its
 * like, -EINTR, -ENOMEM... (*out is then NULL, and msgd_session_error(NULL) has the sentence for
 * this thread).
 */
MSGD_API MSGD_MUST_USE int msgd_connect(struct msgd_session **out, const char *target,
                                        const struct msgd_connect_options *options);

/* Bytes that belong to the session, not ended by NUL. */
struct msgd_text {
    const char *data;
    size_t length;
};

/*
 * Writes a text. It is taken whole or not at all: what does not fit at once, the library holds. CR
 * and LF in it, which can only be white space there, arrive as spaces. Waits at most timeout_ms
 * (-1: for ever, 0: not at all) until earlier texts are out of the way.
 * 0; -EAGAIN (no room in that time); -EINTR; -EBADMSG (not JSON), -EMSGSIZE (too large), -ENOMEM:
 * it was not taken; -EPIPE (this side has finished); or what the session has failed with:
 * -ECONNRESET (ended by the other side), -ETIMEDOUT (silence for 30 s), -EHOSTUNREACH,
 * -ECONNREFUSED and the like (what msgd_connect says, if it was in the background).
 */
MSGD_API MSGD_MUST_USE int msgd_session_write(struct msgd_session *s, const void *text,
                                              size_t length, int timeout_ms);

/*
 * The same with timeout 0, but nothing need be sent before the next other call on s, so that many
 * small texts share datagrams.
 */
MSGD_API MSGD_MUST_USE int msgd_session_queue(struct msgd_session *s, const void *text,
                                              size_t length);

/*
 * Reads the next text, valid until the next read or the end of the session. 1; 0: the other side
 * has finished, and this was all; -EAGAIN: none came within timeout_ms; -EINTR; -ENOMEM: try
 * again; -EBADMSG, -EMSGSIZE (what came is no JSON or too large: the session is aborted); or what
 * it has failed with.
 */
MSGD_API MSGD_MUST_USE int msgd_session_read(struct msgd_session *s, struct msgd_text *out,
                                             int timeout_ms);

/* This side will write no more: the other one reads the end behind the last text. 0, or what the
 * session has failed with. Again: 0. */
MSGD_API MSGD_MUST_USE int msgd_session_finish(struct msgd_session *s);

/*
 * A descriptor for any event loop (poll for input), valid until the end of the session. When it is
 * readable: msgd_session_process, or read and write with timeout 0 until they return -EAGAIN. From
 * then on it is readable for as long as there is what they did not find, whichever call brought it:
 * the next one takes it. A text that was left by a read which returned 1 does not make it readable.
 * Make these calls once before the first poll.
 */
MSGD_API int msgd_session_fd(const struct msgd_session *s);

enum msgd_session_state {
    MSGD_SESSION_CONNECTING,
    MSGD_SESSION_OPEN,
    MSGD_SESSION_DONE,   /* both sides have finished, and everything has been acknowledged */
    MSGD_SESSION_FAILED, /* msgd_session_error has the sentence */
};

/* Goes on as far as it can without waiting. 0, or what the session has failed with. */
MSGD_API int msgd_session_process(struct msgd_session *s);
MSGD_API enum msgd_session_state msgd_session_state(const struct msgd_session *s);

/*
 * Ends it in order: finishes, waits at most linger_ms (-1: as long as it takes) until the other
 * side has everything and has finished, too, and frees it. What was not read is gone. 0: all is
 * delivered (server: it is in msgd's hands); -ETIMEDOUT: not in that time, and the other side is
 * told that it was aborted; or what it has failed with. NULL: 0.
 */
MSGD_API int msgd_session_close(struct msgd_session *s, int linger_ms);

/* Ends it at once, and frees it: what was not sent or read is gone, and the other side is told the
 * reason, a short token; NULL: "aborted". Returns NULL. NULL is fine. */
MSGD_API struct msgd_session *msgd_session_abort(struct msgd_session *s, const char *reason);

/* What failed last on s, in one line. Never NULL. s NULL: of this thread's msgd_connect. */
MSGD_API const char *msgd_session_error(const struct msgd_session *s);
/*
 * Why it was refused or has failed, as a token: the server's own, or "no_listener", "no_sessions",
 * "full", "timeout" (the server did not decide) from msgd; "idle", "unreachable"; "" if neither
 * happened. s NULL: of this thread's msgd_connect.
 */
MSGD_API const char *msgd_session_reason(const struct msgd_session *s);

/* 32 hex digits, the same on both sides; "" while connecting. */
MSGD_API const char *msgd_session_id(const struct msgd_session *s);
/* Who is on the other side, "ip:port"; of a client: from where it connected. */
MSGD_API const char *msgd_session_peer(const struct msgd_session *s);
/* What the client said that it is, as JSON; NULL: nothing. On the client's side what it says. */
MSGD_API const char *msgd_session_identity(const struct msgd_session *s);

struct msgd_session_figures {
    uint64_t bytes_queued;                  /* written and not acknowledged */
    uint64_t bytes_in_flight;               /* of these, under way */
    uint64_t sent, received, retransmitted; /* datagrams */
    uint64_t round_trip_us;                 /* smoothed */
};

/* A client's figures; on the server's side, where msgd has them (msgls), only bytes_queued. */
MSGD_API void msgd_session_figures(const struct msgd_session *s, struct msgd_session_figures *out);

/* ---- Serving sessions ---- */

/*
 * Listens for sessions on an endpoint of the caller's that takes them (msgd_registration.sessions,
 * or the configuration): over a connection of its own, beside m's, which is used for accepting and
 * refusing and must stay until the listener is closed. After a restart of msgd it listens again.
 * 0; -ENOENT, -EACCES, -EBUSY (there is a listener already), -EINVAL (the endpoint takes no
 * sessions)...; the sentence is in msgd_error(m).
 */
struct msgd_listener;
MSGD_API MSGD_MUST_USE int msgd_listen(struct msgd_listener **out, struct msgd *m,
                                       const char *name);

/* Sessions that were accepted live on. Returns NULL. NULL is fine. */
MSGD_API struct msgd_listener *msgd_listener_close(struct msgd_listener *l);

/* A client that wants a session, or, in auto mode, has one. Valid until the next one. */
struct msgd_offer {
    const char *name;     /* of the endpoint */
    const char *session;  /* 32 hex digits */
    const char *peer;     /* "ip:port" of the client */
    const char *address;  /* "ip:port" that it asked */
    const char *identity; /* JSON; NULL: none. Anybody can say anything */
    int is_open;          /* msgd has accepted it already (auto mode) */
};

/* The next one, waiting at most timeout_ms. 1; 0: none in that time; -EINTR, or what failed: the
 * next call tries again. */
MSGD_API MSGD_MUST_USE int msgd_next_offer(struct msgd_listener *l, struct msgd_offer *out,
                                           int timeout_ms);

/* For any event loop: when it is readable, msgd_next_offer with timeout 0 until it returns 0. */
MSGD_API int msgd_listener_fd(const struct msgd_listener *l);

/*
 * Accepts (in auto mode: takes). The session then belongs to whoever has it, until it is closed or
 * aborted, also without m. 0; -ENOENT (it is gone), -EMFILE, -EAGAIN...; see msgd_error(m).
 */
MSGD_API MSGD_MUST_USE int msgd_accept(struct msgd_listener *l, const struct msgd_offer *offer,
                                       struct msgd_session **out);

/* Refuses (in auto mode: aborts) with a reason, a short token that reaches the client; NULL:
 * "refused". 0, or as msgd_accept. */
MSGD_API MSGD_MUST_USE int msgd_refuse(struct msgd_listener *l, const struct msgd_offer *offer,
                                       const char *reason);
/* ---- Acknowledged messages and requests ---- */

/*
 * A sender of messages whose fate it learns: a UDP socket of its own to one target, msgd's endpoint
 * on this host or on another. Messages go again until they are answered; each is delivered at most
 * once, and each fate is told exactly once. Many may be under way; order is kept only as far as
 * nothing is lost. No thread: what is to be done is done inside msgd_sender_results and
 * msgd_send_wait. For one thread at a time; a forked child may close its copy and nothing else.
 *
 *     struct msgd_sender *s;
 *     struct msgd_result results[64];
 *     int n = msgd_sender_open(&s, "sensor-hub.example:7000", NULL);
 *     if (n == 0)
 *         n = msgd_sender_put(s, &(struct msgd_send){.data = text, .length = strlen(text)});
 *     while (n >= 0 && msgd_sender_unanswered(s) > 0) {
 *         n = msgd_sender_results(s, results, 64, -1);
 *         for (int i = 0; i < n; i++)
 *             printf("%s\n", msgd_outcome_name(results[i].outcome));
 *     }
 */
struct msgd_sender;

/* Everything that is zero takes the default. */
struct msgd_sender_options {
    const char *socket_path; /* where the target is a name: as for msgd_open */
    uint32_t max_unanswered; /* messages under way, and results not yet fetched: 1 to 4,096; 256 */
    int timeout_ms;          /* of each message: 5,000; -1: for ever */
};

/*
 * Opens. target: "ip:port", "[ip6]:port", "host:port" or the name of an endpoint of msgd. Of
 * several addresses those that refuse are passed over until one has answered. options may be NULL.
 * 0; -EINVAL (no such target, or an address of many: broadcast, multicast), -ENOENT (no such host
 * or name), -EAGAIN, -ENOTCONN (msgd is not there, for a name), -ENOMEM, or what connect(2) says
 * (*out is then NULL, and msgd_sender_error(NULL) has the sentence for this thread).
 */
MSGD_API MSGD_MUST_USE int msgd_sender_open(struct msgd_sender **out, const char *target,
                                            const struct msgd_sender_options *options);

/* Closes. Messages whose results were not fetched may have arrived or not. Returns NULL. NULL is
 * fine. */
MSGD_API struct msgd_sender *msgd_sender_close(struct msgd_sender *s);

/* What the last failure on s was, in one line. Never NULL. s NULL: of this thread's
 * msgd_sender_open. */
MSGD_API const char *msgd_sender_error(const struct msgd_sender *s);

/* The address that is sent to. */
MSGD_API void msgd_sender_address(const struct msgd_sender *s, struct msgd_address *out);

/* What a message waits for: until it is in the mailbox (on disk, where the endpoint is durable),
 * until its consumer has released it, or for the consumer's reply. */
enum msgd_wish { MSGD_WISH_STORED, MSGD_WISH_RELEASED, MSGD_WISH_REPLY };

struct msgd_send {
    const void *data; /* one JSON text of length bytes, copied */
    size_t length;
    enum msgd_wish wish;
    const char *id; /* NULL: one of the library's own. Else 1 to 64 printable bytes without blanks,
                       '"' and '\': whoever sends it again within four minutes sends the same
                       message, which is delivered once */
    int timeout_ms; /* 0: the sender's; -1: for ever */
    void *token;    /* comes back with the result */
};

/*
 * Puts a message to be sent, which happens with the next msgd_sender_results (or here, where many
 * wait). 0; -EAGAIN (max_unanswered: fetch results first); -EINVAL (not JSON, or such an id cannot
 * be); -EMSGSIZE; -EEXIST (a message of that id is under way); -ENOMEM; -ESTALE (in a forked
 * child).
 */
MSGD_API MSGD_MUST_USE int msgd_sender_put(struct msgd_sender *s, const struct msgd_send *message);

enum msgd_outcome {
    MSGD_OUTCOME_STORED,      /* it is in the mailbox */
    MSGD_OUTCOME_RELEASED,    /* its consumer is done with it; of a request: without a reply */
    MSGD_OUTCOME_REPLIED,     /* reply has the answer */
    MSGD_OUTCOME_REFUSED,     /* reason says why */
    MSGD_OUTCOME_TIMED_OUT,   /* no answer in time: it may have arrived or not */
    MSGD_OUTCOME_UNREACHABLE, /* nobody is there */
};

/* What became of a message. What the pointers show is valid until the next msgd_sender_results,
 * msgd_send_wait or msgd_request. */
struct msgd_result {
    void *token;
    enum msgd_outcome outcome;
    int error; /* 0 for STORED, RELEASED, REPLIED; else negative: -EACCES, -EMSGSIZE, -EBADMSG
                  (not JSON), -EAGAIN (full), -ECONNABORTED (dropped later, or another reason),
                  -ETIMEDOUT, -ECONNREFUSED... */
    const char *reason; /* REFUSED: a word of docs/protocol.md, such as "not_allowed"; else "" */
    int is_temporary;   /* REFUSED: until the end of its time, it was tried again */
    int is_kept;        /* TIMED_OUT, UNREACHABLE: it is known to have been stored */
    const void *reply;  /* REPLIED: reply_length bytes, not ended by NUL */
    size_t reply_length;
    uint32_t n_sent; /* how often it went */
    int64_t took_ns; /* from its first sending; 0: it never went */
};

/* "stored", "released", "replied", "refused", "timed_out", "unreachable". */
MSGD_API const char *msgd_outcome_name(enum msgd_outcome outcome);

/*
 * Sends what is due, takes in answers, and fetches up to max results, waiting at most timeout_ms
 * for the first (-1: for as long as anything is under way, 0: not at all). Returns how many; 0 at
 * the end of the time or if nothing is under way; -EINTR when a signal handler ran; -ESTALE.
 */
MSGD_API MSGD_MUST_USE int msgd_sender_results(struct msgd_sender *s, struct msgd_result *results,
                                               size_t max, int timeout_ms);

/* Messages that were put and whose results were not fetched. */
MSGD_API size_t msgd_sender_unanswered(const struct msgd_sender *s);

/*
 * A descriptor for any event loop (poll for input), valid until msgd_sender_close: when it is
 * readable, call msgd_sender_results with timeout 0 until it returns 0. -EMFILE and the like.
 */
MSGD_API int msgd_sender_fd(struct msgd_sender *s);

/*
 * Sends one message and waits for what becomes of it; results of others stay to be fetched. result
 * may be NULL. 0: as wished; else result->error, with a sentence; or what msgd_sender_put says;
 * -EINTR: a signal handler ran, and what became of the message is not known.
 */
MSGD_API MSGD_MUST_USE int msgd_send_wait(struct msgd_sender *s, const struct msgd_send *message,
                                          struct msgd_result *result);

/*
 * Asks and waits for the answer, *reply of *reply_length bytes, valid as in a result. timeout_ms:
 * 0: the sender's. 0; -ENOMSG: it was released without a reply; else as msgd_send_wait.
 */
MSGD_API MSGD_MUST_USE int msgd_request(struct msgd_sender *s, const void *data, size_t length,
                                        int timeout_ms, const void **reply, size_t *reply_length);

struct msgd_sender_figures {
    uint64_t sent;    /* datagrams */
    uint64_t resent;  /* of these, not for the first time */
    uint64_t answers; /* datagrams */
    uint64_t ignored; /* answers that could not be: nonsense, or not to this sender */
    uint32_t window;  /* how many messages may be under way at present */
    int64_t rtt_ns;   /* smoothed round trip, 0: not measured yet */
};
MSGD_API void msgd_sender_figures(const struct msgd_sender *s, struct msgd_sender_figures *out);

/* ---- Anything else that the control socket can do ---- */

/*
 * Calls a method ("io.msgd.List") with parameters as a JSON object (NULL: {}). *reply: the reply's
 * parameters as JSON text, to be freed with free(); NULL if they do not matter. Reconnects first
 * where msgd has been restarted. 0; -EINVAL (the parameters are no JSON object); -ETIMEDOUT (no
 * answer for 30 s); -ECONNRESET (msgd went away before it answered); -ENOTCONN or what connect(2)
 * said (it is not there); -EBUSY (a call with "more" is under way); or as msgd_error_name says:
 *
 *     NameTaken EEXIST       PortTaken EADDRINUSE     NotPermitted EACCES
 *     QuotaExceeded EDQUOT   NoSuchEndpoint ENOENT    NoSuchSession ENOENT
 *     AlreadyAttached EBUSY  BadAddress EADDRNOTAVAIL TooLarge EMSGSIZE
 *     TryAgain EAGAIN        BadConfiguration EINVAL  InvalidParameter EINVAL
 *     ExpectedMore EINVAL    MethodNotFound ENOSYS    InterfaceNotFound ENOSYS
 *     any other EREMOTEIO
 */
MSGD_API MSGD_MUST_USE int msgd_call(struct msgd *m, const char *method, const char *parameters,
                                     char **reply);

/*
 * The same with "more": each reply's parameters are given to `each`, until it returns non-zero
 * (which is then returned; m can make no further call and is to be closed), the last reply has come
 * (0), or something fails (negative). Waits for a reply at most timeout_ms (-1: for ever):
 * -ETIMEDOUT. -EINTR when a signal handler ran.
 */
MSGD_API MSGD_MUST_USE int msgd_call_more(struct msgd *m, const char *method,
                                          const char *parameters, int timeout_ms,
                                          int (*each)(void *context, const char *reply),
                                          void *context);

#ifdef __cplusplus
}
#endif

#endif
