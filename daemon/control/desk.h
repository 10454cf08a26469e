/* SPDX-License-Identifier: MIT */
/*
 * A desk is what control keeps for a registered name beside the registry's entry: its endpoint on a
 * worker, who holds it, who taps it. It outlives the entry until the worker has closed the socket.
 */
#ifndef MSGD_DAEMON_CONTROL_DESK_H
#define MSGD_DAEMON_CONTROL_DESK_H

#include "daemon/base/error.h"
#include "daemon/base/list.h"
#include "daemon/core/quota.h"
#include "daemon/core/registry.h"
#include "daemon/data/worker.h"

#include <stdbool.h>
#include <stdint.h>

struct call;
struct connection;
struct control;

struct desk {
    struct list by_change; /* control->desks, least recently changed first */
    struct list vacated;   /* control->vacated: its waiters may have a chance */
    struct control *control;
    struct entry *entry; /* NULL: the name is gone */
    char name[NAME_BYTES_MAX + 1];
    uid_t uid; /* whose quota it counts in, and whose quarantine */
    struct account *account;
    uint32_t lane;     /* index of its worker */
    uint64_t number;   /* of its endpoint, or of the next one: no other ever had it */
    struct past *past; /* of that one, until it is opened: what is on disk; owned */
    bool is_saved;     /* the database has it as it is with its endpoint at the entry's address */
    uint64_t changed;  /* control->change of its last change */
    struct list holders;
    struct list taps;
    struct list greeters; /* who hears of its sessions */
    struct list listens;  /* those of them that are Listen calls */
    struct list visits;   /* its sessions */
    uint32_t n_leaving;   /* endpoints that the worker has not closed yet */
};

/* What desk_reconfigure is to do. */
struct desk_change {
    const struct settings *settings;
    uint32_t changes;             /* FIELD_BIT of those that count */
    const struct address *where;  /* NULL: it stays where it is */
    const struct connection *but; /* who asks, and is not to be closed for it; may be NULL */
};

/* An endpoint on its way out. What needs its address waits for it. */
struct leaving {
    struct list link; /* control->leaving */
    struct desk *desk;
    uint64_t number;
    struct address address;
    struct list parked;   /* registrations */
    struct list releases; /* Release calls that want the final ledger */
};

/*
 * Makes the desk of an entry that was just inserted; its endpoint counts for `uid` in `account`
 * (quota_take_endpoint), which the desk gives back. 0 or -ENOMEM.
 */
int desk_new(struct desk **out, struct control *control, struct entry *entry, uid_t uid,
             struct account *account) MUST_USE;

static inline struct desk *desk_of(const struct entry *entry)
{
    return entry->control;
}
static inline struct endpoint *desk_endpoint(const struct desk *desk)
{
    return desk->entry->endpoint;
}
static inline bool entry_is_static(const struct entry *entry)
{
    return entry->is_static;
}
struct worker *desk_worker(const struct desk *desk);

/*
 * Opens the sockets at `where`, or for port 0 at the first free port of port_range, gives them to
 * the worker, and connects the holders that waited for it. 0 or -errno; then *why says what failed,
 * and nothing has changed (-ENOSPC: no port of the range is free).
 */
int desk_open(struct desk *desk, const struct address *where, struct open_failure *why) MUST_USE;

/* As desk_open, but one that cannot be bound is pending, which is logged. */
void desk_open_or_wait(struct desk *desk, const struct address *where);

/*
 * Applies changed fields and moves the endpoint. 0, or
 * -errno as desk_open: nothing has changed, but that where the new address overlaps with the old
 * one, the old one is being left (desk_find_leaving) and the entry is pending.
 */
int desk_reconfigure(struct desk *desk, const struct desk_change *change,
                     struct open_failure *why) MUST_USE;

/* A desk whose endpoint never was: gone as if it had not been. */
void desk_discard(struct desk *desk);
/* Without its entry, which goes with the registry. */
void desk_free(struct desk *desk);

/*
 * Has the worker drain and close the endpoint; what is queued counts as dropped for `reason`. The
 * name stays, pending. Those who receive wait for the next endpoint; attached ones are to be ended
 * by the caller. *leaving: may be NULL. 0 or -ENOMEM: nothing has changed.
 */
int desk_close(struct desk *desk, enum drop_reason reason, struct leaving **leaving) MUST_USE;

/* As desk_close, and ends who is attached (but not `but`) and who taps. */
int desk_leave(struct desk *desk, const struct connection *but) MUST_USE;
/* Drops what is queued, because the lease has ended; the endpoint is opened again at once. 0 or
 * -ENOMEM. */
int desk_empty(struct desk *desk) MUST_USE;

/*
 * Takes the name out: ends who holds and taps it (but not the connection of `call`), lets those who
 * wait for it try again, closes the endpoint. call: a Release that is answered when the ledger is
 * final, or NULL. 0 or -ENOMEM: nothing has changed.
 */
int desk_remove(struct desk *desk, enum drop_reason reason, struct call *call) MUST_USE;

/* Answers Release for a desk that stays, with the ledger as it is now. */
void desk_answer_ledger(struct desk *desk, struct call *call);

/* Something that List shows has changed. */
void desk_changed(struct desk *desk);

/* An endpoint that has not left its address yet, so that it cannot be bound; NULL: none. */
struct leaving *desk_find_leaving(struct control *control, const struct address *address);

#endif
