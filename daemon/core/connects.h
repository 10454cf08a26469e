/* SPDX-License-Identifier: MIT */
/*
 * The connects that a worker knows: those whose cookie has proven their address. The same nonce
 * from the same address makes one session, however often the datagram comes, so one that has ended
 * is remembered until no cookie for it is good any more. Bounded; time passed in.
 */
#ifndef MSGD_DAEMON_CORE_CONNECTS_H
#define MSGD_DAEMON_CORE_CONNECTS_H

#include "daemon/base/list.h"
#include "daemon/core/cookie.h"
#include "daemon/core/table.h"

#include <stdint.h>

struct archive;

#define CONNECT_REASON_MAX 128 /* bytes, as FRAME_REASON_MAX */

enum connect_state {
    CONNECT_PENDING, /* nobody has decided yet */
    CONNECT_OPEN,
    CONNECT_ENDED, /* refused, or over: reason */
};

struct connect {
    struct table_link by_claim;
    struct list in_order; /* of its state: all that are pending or open, or the ended by time */
    struct cookie_claim claim;
    enum connect_state state;
    void *owner;   /* the caller's: its endpoint */
    void *carrier; /* the caller's: CONNECT_OPEN */
    uint32_t forget_s;
    char reason[CONNECT_REASON_MAX + 1];
};

struct connects {
    struct table by_claim;
    struct list live;  /* pending and open */
    struct list ended; /* the first to be forgotten first */
    struct list spare;
    struct connect *pool; /* `max` of them, touched when first used */
    size_t max;
    size_t n_touched;
    size_t n_live;
    uint64_t seed;
};

/* seed: random. 0 or -ENOMEM. */
int connects_init(struct connects *c, size_t max, uint64_t seed) MUST_USE;
void connects_deinit(struct connects *c);

struct connect *connects_find(const struct connects *c, const struct cookie_claim *claim);
/* Adds one that is pending; NULL: there is no room. It must not be there. */
struct connect *connects_add(struct connects *c, const struct cookie_claim *claim, void *owner);
/* It is refused, or its session is over. The reason is cut where it is too long. */
void connects_end(struct connects *c, struct connect *one, const char *reason, uint32_t now_s);
/* As if it had never been. */
void connects_forget(struct connects *c, struct connect *one);
/* Everything of that owner is over. */
void connects_end_owner(struct connects *c, const void *owner, const char *reason, uint32_t now_s);
/* Those that have ended, to bytes and back (proto/archive.h); its clock is the one of now_s. */
void connects_archive(struct archive *a, struct connects *c);
/* Forgets what no cookie can ask for any more. */
void connects_expire(struct connects *c, uint32_t now_s);

#endif
