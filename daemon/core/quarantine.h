/* SPDX-License-Identifier: MIT */
/*
 * Datagrams that could not be messages, kept within a bound for each uid; the oldest of a uid goes
 * first. It knows which of them are on disk, and what is there and should not be any more; who
 * writes asks it what to do (daemon/control/rejects).
 */
#ifndef MSGD_DAEMON_CORE_QUARANTINE_H
#define MSGD_DAEMON_CORE_QUARANTINE_H

#include "daemon/base/error.h"
#include "daemon/core/ledger.h"
#include "daemon/core/settings.h"
#include "proto/address.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What there is to know about a rejected datagram. */
struct rejected {
    uint64_t id; /* counts up from 1; quarantine_add gives it */
    uid_t uid;   /* the owner of the endpoint */
    enum drop_reason reason;
    char name[NAME_BYTES_MAX + 1];
    int64_t time_ns; /* CLOCK_REALTIME */
    struct address from;
    struct address to;
    const uint8_t *bytes; /* n_bytes of them; the quarantine's once it is in there */
    size_t n_bytes;
};

struct quarantine;

/* bytes_per_uid: quarantine_bytes, all bookkeeping included. 0 or -ENOMEM. */
int quarantine_new(struct quarantine **out, uint64_t bytes_per_uid, uint64_t seed) MUST_USE;
/* Returns NULL; NULL is fine. */
struct quarantine *quarantine_free(struct quarantine *q);
/* After a reload; what no longer fits goes and counts as discarded. */
void quarantine_set_limit(struct quarantine *q, uint64_t bytes_per_uid);

/*
 * Keeps a copy; id is not looked at. What had to go for it, and what does not fit at all, counts as
 * discarded. 0 or -ENOMEM (counted too: a caller who has nobody to tell may ignore it).
 */
int quarantine_add(struct quarantine *q, const struct rejected *r);
/*
 * The same for one that is on disk, with the id that it has there; before any quarantine_add, in
 * the order of ids. 0 or -ENOMEM (it stays on disk).
 */
int quarantine_load(struct quarantine *q, const struct rejected *r);

/*
 * Oldest first, those of `name` or all (NULL); NULL at the end. An entry stays valid until it is
 * removed or the next quarantine_add.
 */
const struct rejected *quarantine_first(const struct quarantine *q, const char *name);
const struct rejected *quarantine_next(const struct quarantine *q, const struct rejected *r,
                                       const char *name);
/* The first with a greater id, so that a walk can go on after what it stood on is gone. */
const struct rejected *quarantine_after(const struct quarantine *q, uint64_t id, const char *name);
/* NULL: not there (any more). */
const struct rejected *quarantine_find(const struct quarantine *q, uint64_t id);

/* False: not there (any more). */
bool quarantine_remove(struct quarantine *q, uint64_t id);
/* Forgets those of `name`, or all (NULL). Returns how many. */
size_t quarantine_purge(struct quarantine *q, const char *name);

/* The oldest that is to be written to disk; NULL: none is. */
const struct rejected *quarantine_unwritten(const struct quarantine *q);
/* It is being written: unwritten leaves it out from here on. 0 or -ENOMEM (then it is not). */
int quarantine_begin_write(struct quarantine *q, uint64_t id) MUST_USE;
/* It was, or could not be: then it stays in memory alone. It may be gone meanwhile. */
void quarantine_end_write(struct quarantine *q, uint64_t id, bool is_on_disk);
/* An id that is on disk and no longer here: to be deleted there, told once. 0: none. */
uint64_t quarantine_take_deletion(struct quarantine *q);

/* How many were discarded to stay within the bound: of a uid's, and of all. */
uint64_t quarantine_discarded(const struct quarantine *q, uid_t uid);
uint64_t quarantine_discarded_all(const struct quarantine *q);
/* Bytes and entries at present. */
uint64_t quarantine_bytes(const struct quarantine *q);
size_t quarantine_count(const struct quarantine *q);
/* Those that are in memory alone. */
size_t quarantine_count_unwritten(const struct quarantine *q);

#endif
