/* SPDX-License-Identifier: MIT */
/*
 * The sender of messages that are to be acknowledged: which goes when, how often, and what became
 * of each. No I/O, no clock, no bytes: a message is a number here, the caller has the datagram.
 * What a number and an answer look like on the wire is proto/frame's business; docs/protocol.md,
 * section "Acknowledged messages", is normative.
 *
 * A message that is not answered goes again, after a timeout that follows the round trips
 * (RFC 6298), doubles each time and has jitter (RFC 7252, section 4.2), until its own deadline. The
 * number of messages under way follows what gets lost. A message whose release or reply is awaited
 * and which is known to be kept is only asked about from time to time.
 *
 *     put -> resend_next says when it goes -> answers come in -> resend_told says what became of it
 *
 * Each message's fate is told exactly once. Memory: what resend_new takes, nothing later.
 */
#ifndef MSGD_PROTO_RESEND_H
#define MSGD_PROTO_RESEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The highest number used less the oldest that is unanswered stays below this: the receiver
 * remembers so many, and takes what is older for a duplicate. */
#define RESEND_SPAN  4096u
#define RESEND_NEVER UINT64_MAX

#define RESEND_REASON_MAX 40u /* bytes of a reason that are kept, NUL included */

struct resend;

/* What a message waits for. */
enum resend_wish {
    RESEND_WISH_STORED,
    RESEND_WISH_RELEASED,
    RESEND_WISH_REPLY,
    RESEND_RECEIVED, /* only said by an answer: it has come, and is not stored yet */
};

enum resend_outcome {
    RESEND_STORED,      /* it is in the mailbox */
    RESEND_RELEASED,    /* its consumer is done with it; of a request: without having replied */
    RESEND_REPLIED,     /* a request got its reply */
    RESEND_REFUSED,     /* reason says why; is_temporary: until the deadline it was tried again */
    RESEND_TIMED_OUT,   /* no answer until the deadline; is_kept: but it is in the mailbox */
    RESEND_UNREACHABLE, /* nobody is there, as resend_unreachable was told */
};

struct resend_fate {
    uint64_t number;
    void *context;
    enum resend_outcome outcome;
    bool is_kept;      /* RESEND_TIMED_OUT, RESEND_UNREACHABLE: an answer said that it is stored */
    bool is_sent;      /* the same: it has left at least once, so it may have arrived */
    bool is_temporary; /* RESEND_REFUSED */
    char reason[RESEND_REASON_MAX]; /* RESEND_REFUSED; else "" */
    uint32_t n_sent;                /* how often it was sent */
    uint64_t took_ns;               /* from the first sending to now; 0: it never left */
};

/* max_unanswered: messages that are put and not told, 1 to RESEND_SPAN. seed: for the jitter.
 * 0 or -ENOMEM. */
int resend_new(struct resend **out, uint32_t max_unanswered, uint64_t seed)
    __attribute__((warn_unused_result));
/* Messages that were not told are forgotten; their contexts are the caller's. Returns NULL. */
struct resend *resend_free(struct resend *r);

/* ---- Messages ---- */

struct resend_message {
    enum resend_wish wish;
    uint64_t deadline_ns; /* on the clock of now_ns; RESEND_NEVER: for ever */
    void *context;        /* kept until its fate is told */
};

enum { RESEND_FULL = 1 };

/*
 * A message that is to be sent; *number counts up from 1.
 * 0; RESEND_FULL: max_unanswered, or the span of numbers, is reached: some fates must be told
 * first.
 */
int resend_put(struct resend *r, const struct resend_message *m, uint64_t *number)
    __attribute__((warn_unused_result));
/* May one be put? */
bool resend_has_room(const struct resend *r);

struct resend_sending {
    uint64_t number;
    void *context;
    bool is_again;
};

/*
 * A message that is to be sent now. False: none at present. Call until it is false after each put,
 * after answers, and when resend_deadline has come. Messages whose time is over become told here.
 */
bool resend_next(struct resend *r, uint64_t now_ns, struct resend_sending *out);

/* When resend_next is to be called if nothing happens before; RESEND_NEVER. */
uint64_t resend_deadline(const struct resend *r);

/* The next fate. False: none at present. The number means nothing any more. */
bool resend_told(struct resend *r, uint64_t now_ns, struct resend_fate *out);

/* Stops trying; its fate is not told. False: there is no such message, or its fate is told. */
bool resend_cancel(struct resend *r, uint64_t number);

/* ---- Answers ---- */

/*
 * `count` messages from `number` on are stored (or released, or received). Numbers that are not
 * under way, or were never sent, change nothing.
 */
void resend_ack(struct resend *r, uint64_t now_ns, uint64_t number, uint64_t count,
                enum resend_wish which);

struct resend_refusal {
    const char *reason; /* n_reason bytes */
    size_t n_reason;
    bool is_temporary;
};

/*
 * They are refused: with is_temporary each goes again after a while, until its deadline; else it is
 * told now. The reason is copied, cut at RESEND_REASON_MAX - 1.
 */
void resend_nack(struct resend *r, uint64_t now_ns, uint64_t number, uint64_t count,
                 const struct resend_refusal *refusal);

/* The reply to a request has come. True: it is the first, the caller keeps what it says. */
bool resend_reply(struct resend *r, uint64_t now_ns, uint64_t number);

/* Nobody is there (the kernel says so): every message is told so. */
void resend_unreachable(struct resend *r);

/* What is under way has gone to an address where nobody was, and goes anew to another. */
void resend_begin_again(struct resend *r);

/* ---- Figures ---- */

struct resend_figures {
    uint64_t n_sent;          /* datagrams */
    uint64_t n_resent;        /* of these, not for the first time */
    uint32_t n_unanswered;    /* put and not decided */
    uint32_t n_flying;        /* sent, and nothing known of it yet */
    uint32_t window;          /* of those, at most */
    uint64_t smoothed_rtt_ns; /* 0: nothing measured yet */
    uint64_t timeout_ns;
};
void resend_figures(const struct resend *r, struct resend_figures *out);

#endif
