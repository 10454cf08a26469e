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
enum msgd_when_full { MSGD_DROP_NEW, MSGD_DROP_OLD };
enum msgd_format { MSGD_JSON, MSGD_RAW };

#define MSGD_LEASE_DEFAULT 0 /* 60 s */
#define MSGD_LEASE_FOREVER (-1)
#define MSGD_LEASE_NONE    (-2) /* the port goes with the consumer */

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
    enum msgd_format format;
    uint32_t max_message_bytes;
    const char *const *allow; /* networks such as "10.0.0.0/8", ended by NULL; NULL: everyone */
    int no_gro;               /* 1: keep kernel_dropped exact, at a cost in speed */
    uint32_t receive_buffer_bytes;
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
    int64_t time_ns; /* when the kernel received it, CLOCK_REALTIME */
    struct msgd_address from;
    struct msgd_address to; /* the address that the sender used */
    int is_redelivered;     /* a consumer was given it before and did not release it */
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

/* ---- Anything else that the control socket can do ---- */

/*
 * Calls a method ("io.msgd.List") with parameters as a JSON object (NULL: {}). *reply: the reply's
 * parameters as JSON text, to be freed with free(); NULL if they do not matter. Reconnects first
 * where msgd has been restarted. 0; -EINVAL (the parameters are no JSON object); -ETIMEDOUT (no
 * answer for 30 s); -ECONNRESET (msgd went away before it answered); -ENOTCONN or what connect(2)
 * said (it is not there); -EBUSY (a call with "more" is under way); or as msgd_error_name says:
 *
 *     NameTaken EEXIST       PortTaken EADDRINUSE      NotPermitted EACCES      QuotaExceeded
 * EDQUOT NoSuchEndpoint ENOENT  AlreadyAttached EBUSY     BadAddress EADDRNOTAVAIL TooLarge
 * EMSGSIZE TryAgain EAGAIN        BadConfiguration EINVAL   InvalidParameter EINVAL  ExpectedMore
 * EINVAL MethodNotFound ENOSYS  InterfaceNotFound ENOSYS  any other EREMOTEIO
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
