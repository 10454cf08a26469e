/* SPDX-License-Identifier: MIT */
/* What the files of the mailbox share: core/mailbox*.c, core/spool*.c. */
#ifndef MSGD_DAEMON_CORE_MAILBOX_INSIDE_H
#define MSGD_DAEMON_CORE_MAILBOX_INSIDE_H

#include "daemon/core/mailbox.h"
#include "daemon/core/spool.h"

static inline bool account_take(struct account *a, uint64_t bytes)
{
    uint64_t used = atomic_fetch_add_explicit(&a->used, bytes, memory_order_relaxed);

    if (used + bytes <= atomic_load_explicit(&a->limit, memory_order_relaxed))
        return true;
    atomic_fetch_sub_explicit(&a->used, bytes, memory_order_relaxed);
    return false;
}

static inline void account_give(struct account *a, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&a->used, bytes, memory_order_relaxed);
}

/* Tells what has become of a framed message. */
void mailbox_tell(const struct mailbox *mb, const struct record *r, int outcome);
/* Would memory take it, for everybody who is to have it, without dropping anything? */
bool mailbox_has_room(struct mailbox *mb, uint32_t record_bytes);
/* Files a message whose number is set. As mailbox_put. */
int mailbox_put_in_memory(struct mailbox *mb, const struct filing *f) MUST_USE;
/* One record less for c. How many bytes are to go back to the account. */
uint32_t consumer_forget(struct consumer *c, const struct record *r);
/* A copy less. reason: where nobody has released it. */
void mailbox_count_copy(struct mailbox *mb, const struct record *r, enum copy_outcome outcome,
                        enum drop_reason reason);
/* Drops the oldest message that no consumer has taken: of the fullest consumer, else of what waits
 * for one. False: there is none. */
bool mailbox_drop_oldest(struct mailbox *mb);
/* The same of one consumer. */
bool consumer_drop_oldest(struct consumer *c);
/* No message in memory has a lower number. UINT64_MAX: there is none. */
uint64_t mailbox_floor(struct mailbox *mb);

#endif
