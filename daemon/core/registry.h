/* SPDX-License-Identifier: MIT */
/*
 * Who has which name, address and port; leases, conflicts and queues. Logic only: time comes in
 * (now_ms of CLOCK_BOOTTIME), what is to be done goes out, the caller does it.
 *
 * A registration goes: registry_decide, policy, quota, and then by verdict
 * - CLAIM_NEW: registry_insert, registry_port_candidate until a port binds, registry_bound,
 *   registry_consumer_joined; registry_remove if nothing binds
 * - CLAIM_RESUME: registry_resume, registry_configure, (registry_bound after a move),
 *   registry_consumer_joined
 * - CLAIM_REPLACE: end the consumers (registry_consumer_left for each), then as CLAIM_RESUME
 * - CLAIM_JOIN: registry_configure, registry_consumer_joined
 * - CLAIM_IS_OWN: registry_configure, (registry_bound after a move)
 * - CLAIM_QUEUE: registry_wait; when the holder leaves or the entry goes, decide again for each
 *   waiter in order
 *
 * Before CLAIM_QUEUE, CLAIM_NAME_TAKEN or CLAIM_REPLACE is acted on, the holder is probed: if it is
 * gone, registry_consumer_left and decide again.
 */
#ifndef MSGD_DAEMON_CORE_REGISTRY_H
#define MSGD_DAEMON_CORE_REGISTRY_H

#include "daemon/base/error.h"
#include "daemon/base/list.h"
#include "daemon/core/policy.h"
#include "daemon/core/principals.h"
#include "daemon/core/settings.h"
#include "daemon/core/table.h"
#include "daemon/core/timers.h"
#include "proto/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum entry_state {
    ENTRY_PENDING,  /* not bound (yet); error says why */
    ENTRY_HELD,     /* bound, no consumer yet */
    ENTRY_ATTACHED, /* bound, with at least one consumer */
    ENTRY_AWAY,     /* bound, the last consumer has gone */
};

/* uid: whose the endpoint is. pid: of the process that registered last, 0 = unknown or none. */
struct owner {
    uid_t uid;
    pid_t pid;
};

/* One registered name. Everybody reads it; only registry_* changes it, but for `control`,
 * `endpoint`. */
struct entry {
    struct settings settings; /* as asked for: port 0 stays 0 */
    struct address address;   /* in force; port 0 while none was found */
    uint64_t generation;      /* of a name, also after it was gone: only grows */
    enum entry_state state;
    struct owner owner;
    bool is_static;
    struct principals owners; /* whose a static endpoint is */
    uint32_t n_consumers;
    int64_t since_wall_ns; /* of the last registration */
    int64_t away_since_ms; /* when the last consumer went; 0 = none has gone, or one is here */
    int64_t away_since_wall_ns;
    int64_t lease_deadline_ms; /* NEVER_MS: none runs */
    int64_t retry_ms;          /* ENTRY_PENDING: when to try again; NEVER_MS: not by itself */
    int error;                 /* ENTRY_PENDING: negative errno, 0 = not tried yet */

    void *endpoint; /* the caller's */
    void *control;  /* the caller's */

    /* The registry's own. */
    uint32_t n_failures;
    uint32_t n_waiters;
    void **waiters;
    struct timer timer;
    struct table_link by_name;
    struct table_link by_place;
    struct list by_port;
    struct list in_order;
};

struct registry;

/* ports: port_range. seed: random, so that nobody chooses names that collide. 0 or -ENOMEM. */
int registry_new(struct registry **out, struct port_span ports, uint64_t seed) MUST_USE;
/* Frees every entry, touching nothing that is the caller's. Returns NULL; NULL is fine. */
struct registry *registry_free(struct registry *r);
/* After a reload. Ports that were given stay. */
void registry_set_ports(struct registry *r, struct port_span ports);

/* For policy_may_own: NULL unless static. */
static inline const struct principals *entry_owners(const struct entry *e)
{
    return e->is_static ? &e->owners : NULL;
}

const char *entry_state_key(enum entry_state s);

/* NULL: no such name. */
struct entry *registry_find(const struct registry *r, const char *name);
/* Walks in the order of insertion. Take the next before removing one. NULL at the end. */
struct entry *registry_first(const struct registry *r);
struct entry *registry_next(const struct registry *r, const struct entry *e);
size_t registry_count(const struct registry *r);
/*
 * An entry other than `but` (may be NULL) whose address and port overlap with these; NULL: none.
 * A wildcard overlaps all of its family, "*" both, port 0 nothing.
 */
struct entry *registry_overlapping(const struct registry *r, const struct address *address,
                                   const struct entry *but);

/* ---- Deciding ---- */

enum claim_mailbox { MAILBOX_UNKNOWN, MAILBOX_EMPTY, MAILBOX_IN_USE };

/* What a connection asks for. */
struct claim {
    const struct settings *settings;
    uint32_t given; /* FIELD_BIT of what was given; the rest keeps what an entry has */
    struct owner owner;
    bool is_administrator;
    bool may_own;     /* policy_may_own of the entry with this name; false if there is none */
    bool is_consumer; /* this very connection is one of that entry's consumers */
    enum claim_mailbox mailbox; /* of that entry; MAILBOX_UNKNOWN until it is asked for */
};

enum claim_verdict {
    CLAIM_NEW = 1, /* the name is free; settings.address.port 0: take one from the range */
    CLAIM_RESUME,  /* nobody is attached and it is the claimant's: endpoint, port, mailbox stay */
    CLAIM_JOIN,    /* share or copy: one more consumer, same generation */
    CLAIM_IS_OWN,  /* the connection has it already: changes are applied, same generation */
    CLAIM_REPLACE, /* the consumers are to be ended, then it is as CLAIM_RESUME */
    CLAIM_QUEUE,   /* wait for the name */
    CLAIM_ASK_MAILBOX, /* it would move: find out whether the mailbox is empty, and decide again */
    CLAIM_NAME_TAKEN,  /* entry: the holder */
    CLAIM_PORT_TAKEN,  /* entry: the own endpoint that has an overlapping address and port */
    CLAIM_NOT_OWNER,   /* a static endpoint that is not the claimant's */
    CLAIM_BAD_FIELD,   /* field: given, but does not go with what stays */
};

struct decision {
    enum claim_verdict verdict;
    struct entry *entry;    /* of that name, NULL for CLAIM_NEW; CLAIM_PORT_TAKEN: the other one */
    struct address address; /* that is to be in force; port 0: one from the range */
    uint32_t changes;       /* FIELD_BIT of what is to be applied: settings_merge with these */
    bool must_move;         /* to another address or port: that socket is to be opened first */
    enum settings_field field; /* CLAIM_BAD_FIELD */
};

/* What is to be done about a claim. Changes nothing. */
void registry_decide(const struct registry *r, const struct claim *claim, struct decision *out);

/* ---- Doing ---- */

/*
 * Makes an entry, pending and not tried yet. The name must be free. settings and owners (NULL
 * unless static) are taken, but only on success. 0 or -ENOMEM.
 */
int registry_insert(struct registry *r, struct settings *settings, struct principals *owners,
                    struct owner owner, int64_t now_wall_ns, struct entry **out) MUST_USE;
/* Takes an entry out and frees it. It must have no waiters left (registry_pop_waiter). */
void registry_remove(struct registry *r, struct entry *e);

/* Bound at this address and port: a new endpoint, one that was pending, or one that moved. */
void registry_bound(struct registry *r, struct entry *e, const struct address *address);
/* What is known of an entry from before msgd was started again. */
struct entry_past {
    uint64_t generation;
    struct address address; /* that was in force */
    int64_t since_wall_ns;
    int64_t now_ms;
    int64_t now_wall_ns;
};

/*
 * Goes on with an entry that was just inserted where a predecessor left it. Its consumers are gone:
 * the lease starts now, and lasts REGISTRY_RETURN_S at least, so that they find the way back.
 */
#define REGISTRY_RETURN_S 10
void registry_restore(struct registry *r, struct entry *e, const struct entry_past *past);

/*
 * It could not be bound: pending, to be tried again after 0.25 s, then twice
 * as long each time up to 30 s. error: negative errno.
 */
void registry_bind_failed(struct registry *r, struct entry *e, int error, int64_t now_ms);

/*
 * A registration of a name that is there (CLAIM_RESUME, CLAIM_REPLACE): generation + 1, the lease
 * stops. A static endpoint keeps its uid. registry_consumer_joined is to follow.
 */
void registry_resume(struct registry *r, struct entry *e, struct owner owner, int64_t now_wall_ns);
/* New settings; taken. The address in force is registry_bound's. A running lease keeps its start.
 */
void registry_configure(struct registry *r, struct entry *e, struct settings *settings);
/*
 * Makes an entry static (owners taken) or, with NULL, an ordinary one of that uid, whose lease
 * starts now if no consumer is there.
 */
void registry_set_static(struct registry *r, struct entry *e, struct principals *owners, uid_t uid,
                         int64_t now_ms);

void registry_consumer_joined(struct registry *r, struct entry *e);
/*
 * One consumer less. With the last one the lease starts; lease 0 ends at once, and registry_due
 * gives the entry.
 */
void registry_consumer_left(struct registry *r, struct entry *e, int64_t now_ms,
                            int64_t now_wall_ns);

/* ---- Queues ---- */

/* Adds `who` (not NULL) to the end. 0 or -ENOMEM. */
int registry_wait(struct entry *e, void *who) MUST_USE;
/* Takes `who` out wherever it stands; false: it was not there. */
bool registry_unwait(struct entry *e, const void *who);
/* The waiter at a place, 0 = first come; NULL past the end. */
void *registry_waiter(const struct entry *e, size_t place);
/* Takes the first out; NULL: none. */
void *registry_pop_waiter(struct entry *e);

/* ---- Time ---- */

enum due { DUE_NOTHING, DUE_EXPIRED, DUE_RETRY };

/* When registry_due will have something next; NEVER_MS: not by itself. */
int64_t registry_next_deadline(const struct registry *r);
/*
 * One entry at a time until DUE_NOTHING. DUE_EXPIRED: its lease has ended; remove it, or, a static
 * one, empty its mailbox and go on (its state is ENTRY_HELD again). DUE_RETRY: bind it, then
 * registry_bound or registry_bind_failed.
 */
enum due registry_due(struct registry *r, int64_t now_ms, struct entry **out);

/* ---- Ports ---- */

/* A walk through port_range. */
struct port_walk {
    uint32_t next;
    uint32_t n_left;
    bool is_begun;
};

/*
 * The next port of the range where no entry overlaps with `address` (its port is not looked at).
 * walk: zeroed before the first call. Walks start where the last one of the registry ended. 0:
 * every port of the range was tried.
 */
uint16_t registry_port_candidate(struct registry *r, const struct address *address,
                                 struct port_walk *walk);

#endif
