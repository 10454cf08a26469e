/* SPDX-License-Identifier: MIT */
/*
 * What an endpoint holds for its consumers: each message until it is released.
 *
 *   older      what consumers that left had not released
 *   backlog    what came while nobody could take it directly
 *   lanes      what has been filed for a consumer (core/lane.h)
 *
 * With a consumer and nothing in older and backlog, an arriving message goes straight into its
 * lane. What a consumer leaves behind and what a new one finds is moved in slices (mailbox_move,
 * departure_step), so that the datagrams of other endpoints do not wait; meanwhile arrivals queue
 * in the backlog.
 */
#ifndef MSGD_DAEMON_CORE_MAILBOX_H
#define MSGD_DAEMON_CORE_MAILBOX_H

#include "daemon/base/error.h"
#include "daemon/core/chunk_log.h"
#include "daemon/core/copies.h"
#include "daemon/core/durable.h"
#include "daemon/core/filing.h"
#include "daemon/core/lane.h"
#include "daemon/core/ledger.h"
#include "daemon/core/quota.h"
#include "daemon/core/settings.h"
#include "daemon/core/shelf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Beside enum drop_reason. */
#define MESSAGE_KEPT       (-1) /* it has become a message */
#define MESSAGE_RELEASED   (-2) /* its consumer is done with it */
#define MESSAGE_UNANSWERED (-3) /* the same, and it was not answered by then: nor can it be */

/*
 * A framed message has left the mailbox: MESSAGE_RELEASED or MESSAGE_UNANSWERED (told only where
 * somebody waits to hear it), or the enum drop_reason for which it was dropped. r: the whole
 * record, valid during the call. The mailbox is not to be touched.
 */
typedef void (*message_settled)(void *context, const struct record *r, int outcome);

/*
 * Where messages go that consumers do not cope with. has_room: put would keep it. r: the whole
 * record, valid during the call. The mailbox is not to be touched.
 */
struct aside {
    bool (*has_room)(void *context, const struct record *r);
    void (*put)(void *context, const struct record *r);
};

/* MESSAGE_KEPT, or why the disk takes nothing at present. */
typedef int (*disk_refusal)(void *context);

struct mailbox {
    enum endpoint_mode mode;
    enum endpoint_mode next_mode; /* from when no consumer is left */
    enum when_full when_full;
    uint64_t bound; /* bytes of records: of all consumers together, in mode copy of each */
    uint64_t used;
    uint64_t last_seq;
    struct account *account;
    uint64_t prepaid; /* of the account's bytes: for records that are about to come */
    struct ledger *ledger;
    struct endpoint_state *state; /* that outlives the process; NULL: nothing does */
    struct end_intent *intent;    /* the worker's */
    uint32_t max_deliver;
    int64_t ttl_ns;
    message_settled settled;
    struct aside aside;
    void *context;
    struct shelf older;
    struct shelf backlog;
    struct spool *spool; /* owned; NULL: nothing goes to disk */
    disk_refusal disk_refusal;
    struct copies copies; /* mode copy */
    struct consumer *consumers;
    uint32_t n_active;
    uint32_t n_leaving;
    uint32_t n_awaited; /* nothing is handed over before so many consumers are there */
    bool is_held;       /* nor anything any more: msgd stops */
};

/* One consumer of one endpoint. */
struct consumer {
    struct mailbox *mailbox;
    struct lane *lane;
    uint32_t slot;
    bool is_leaving;
    uint64_t departed;       /* records of its slot before it are not (or no longer) its own */
    uint64_t *kept_departed; /* the same for a successor; NULL: nobody asks */
    uint64_t oldest;         /* no record of its own that waits lies before it */
    struct order {
        uint64_t first; /* no record of its own lies before it */
        uint64_t high;  /* the highest number that was filed for it */
        uint64_t low;   /* of those that came behind a higher one, the lowest */
        uint64_t until; /* and they lie before this position */
    } order;
    bool is_hurried; /* its lane is told that somebody waits for what it releases */
    uint64_t used;
    uint64_t queued;
    uint64_t delivered;
    uint64_t missed;
    struct watch {
        int64_t since_ms; /* it has held messages and released none */
        uint64_t delivered;
        bool is_holding;
        bool is_stalled;
    } watch; /* core/care.c */
    struct consumer *next;
    void *owner; /* whoever embeds it */
};

struct mailbox_options {
    const struct settings *settings;
    struct account *account;
    struct ledger *ledger;
    struct endpoint_state *state; /* whose ledger that is; may be NULL */
    message_settled settled;      /* NULL: nobody asks */
    struct aside aside;           /* NULL in it: nowhere */
    struct spool *spool;          /* taken; NULL: none */
    disk_refusal disk_refusal;
    void *context;
};

/* Allocates all that the mailbox will ever need but `copies`. 0 or -ENOMEM. */
int mailbox_init(struct mailbox *mb, const struct mailbox_options *options) MUST_USE;
/* Before the first message: whose memory the private logs are in. */
void mailbox_settle(struct mailbox *mb, struct arena *arena);
/*
 * Applies changed settings. From or to mode copy is changed when no consumer is left. tables: made
 * for chunk_log_entries(mailbox_bytes); what is to be freed comes back in them. *spool: taken where
 * there is none; NULL: it need not go to disk.
 */
void mailbox_configure(struct mailbox *mb, const struct settings *s,
                       struct chunk_log_tables tables[2], struct spool **spool);
/* No consumer may be left. */
void mailbox_deinit(struct mailbox *mb);

/*
 * Charges the account at once, if it allows it, for records of `bytes` bytes that are put next: an
 * atomic operation waits for all stores before it. What is left of it goes back by the other.
 */
void mailbox_prepay(struct mailbox *mb, uint64_t bytes);
void mailbox_refund(struct mailbox *mb);

/*
 * Files a message, which gets its number here. Returns MESSAGE_KEPT, or why not (enum
 * drop_reason); `queued` and what drop-old dropped are counted here, the rest is the caller's.
 */
int mailbox_put(struct mailbox *mb, struct filing *f) MUST_USE;

/*
 * Takes one record back from a consumer that leaves and had not released it: for another consumer
 * or for the next one. drop: MESSAGE_KEPT, or the reason to drop it for. False: not now, there is
 * no room to set it aside. Called by departures.
 */
bool mailbox_take_back(struct mailbox *mb, struct consumer *from, const struct record *r,
                       bool was_taken, int drop);

/* From now on messages go to c->lane under c->slot; the lane must have room for that slot. */
void mailbox_join(struct mailbox *mb, struct consumer *c, struct lane *lane, uint32_t slot);
/* c gets nothing more; departure_step hands on what it has. */
void mailbox_begin_leave(struct mailbox *mb, struct consumer *c);
/* It has handed everything on and is the mailbox's no more. */
void mailbox_end_leave(struct mailbox *mb, struct consumer *c);

/*
 * What waits in mode copy was for all consumers that a predecessor had: it is handed over once as
 * many have come back. True: they are awaited.
 */
bool mailbox_await(struct mailbox *mb);
/* Who has not come by now is not awaited any more. */
void mailbox_end_await(struct mailbox *mb);
/* msgd stops: consumers leave for that alone, and what any of them still holds is kept for all. */
void mailbox_hold(struct mailbox *mb);

/* Is there something to move, and somebody to move it to? */
bool mailbox_can_move(const struct mailbox *mb);
/* Moves up to budget bytes from older and backlog to the consumers. True: there is more. */
bool mailbox_move(struct mailbox *mb, uint64_t budget);

/* What a predecessor held: again in `older`, behind what is there, and charged. False: no memory.
 * `queued` counts it already. */
bool mailbox_restore(struct mailbox *mb, const struct record *r, bool was_taken) MUST_USE;
/* What was queued has ended: MESSAGE_RELEASED, MESSAGE_UNANSWERED or a drop_reason. */
void mailbox_count_end(struct mailbox *mb, const struct record *r, int outcome);
/* Instead of mailbox_deinit: what is held stays for a successor. */
void mailbox_leave(struct mailbox *mb);

/* Counts everything in older and backlog as dropped. */
void mailbox_discard(struct mailbox *mb, enum drop_reason reason);

/*
 * Drops what came before `before_ns` (CLOCK_REALTIME) and nobody has taken, from the front of each
 * consumer's lane and of what waits for one; at most max messages. True: there may be more.
 */
bool mailbox_expire(struct mailbox *mb, int64_t before_ns, uint32_t max);

/* Learns from every consumer what it has released. A lane that turns out broken says so itself. */
void mailbox_collect(struct mailbox *mb);

/* Whoever releases something for it is asked to say so at once, or no more. */
void consumer_hurry(struct consumer *c, bool is_hurried);
/* Bytes that go back to an account, of several records at once. Zeroed: none. */
struct refund {
    struct account *account;
    uint64_t bytes;
};

void refund_pay(struct refund *refund);
/*
 * The consumer has released one record: MESSAGE_RELEASED or MESSAGE_UNANSWERED. Called by its lane,
 * which pays the refund in the end.
 */
void consumer_released(struct consumer *c, const struct record *r, int outcome,
                       struct refund *refund);

/*
 * A walk over a lane that takes everything of one consumer, or of all, back to the mailboxes or
 * drops it.
 */
struct departure {
    struct lane *lane;
    struct consumer *only; /* NULL: all of the lane */
    int drop;              /* MESSAGE_KEPT: take back; else the reason to drop for */
    uint64_t position;
    uint64_t end;
};

/* Everybody concerned has begun to leave (mailbox_begin_leave). */
void departure_begin(struct departure *d, struct lane *lane, struct consumer *only, int drop);
/* Handles up to budget bytes. True: there is more. A lane that turns out broken is abandoned. */
bool departure_step(struct departure *d, uint64_t budget);

#endif
