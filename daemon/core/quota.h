/* SPDX-License-Identifier: MIT */
/* What each uid has in use, and how much it may. For the control thread, but for the accounts. */
#ifndef MSGD_DAEMON_CORE_QUOTA_H
#define MSGD_DAEMON_CORE_QUOTA_H

#include "daemon/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Memory in use by one uid over all its endpoints; shared by all workers, counted atomically. */
struct account {
    _Atomic uint64_t used;
    _Atomic uint64_t limit; /* mailbox_bytes_per_uid; control may change it */
};

struct quota_limits {
    uint64_t endpoints_per_uid;
    uint64_t connections_per_uid;
    uint64_t mailbox_bytes_per_uid;
    uint64_t sessions_per_uid;
};

enum quota_outcome { QUOTA_EXCEEDED = 1 };

/* What QuotaExceeded says. quota: the key in the configuration's `limits`. */
struct quota_refusal {
    const char *quota;
    uint64_t limit;
    uint64_t used;
};

struct quota;

/* seed: random, so that nobody chooses uids that collide. 0 or -ENOMEM. */
int quota_new(struct quota **out, const struct quota_limits *limits, uint64_t seed) MUST_USE;
/* Every account has to be out of use. Returns NULL; NULL is fine. */
struct quota *quota_free(struct quota *q);
/* After a reload. What is above a new limit stays. */
void quota_set_limits(struct quota *q, const struct quota_limits *limits);

/* One more connection of uid. 0, QUOTA_EXCEEDED (refusal is filled), -ENOMEM. */
int quota_take_connection(struct quota *q, uid_t uid, struct quota_refusal *refusal) MUST_USE;
void quota_give_connection(struct quota *q, uid_t uid);

/*
 * One more endpoint of uid. *account: where its memory is counted, valid until the endpoint is
 * given back. 0, QUOTA_EXCEEDED (refusal is filled; also when the memory is used up), -ENOMEM.
 */
int quota_take_endpoint(struct quota *q, uid_t uid, struct account **account,
                        struct quota_refusal *refusal) MUST_USE;
/* Only when the worker has let go of it (removed_done). */
void quota_give_endpoint(struct quota *q, uid_t uid);

/* One more session with an endpoint of uid. 0, QUOTA_EXCEEDED, -ENOMEM. */
int quota_take_session(struct quota *q, uid_t uid) MUST_USE;
void quota_give_session(struct quota *q, uid_t uid);

/* What a uid has in use; zero for one that has nothing. */
struct quota_usage {
    uint64_t endpoints;
    uint64_t connections;
    uint64_t mailbox_bytes;
    uint64_t sessions;
};
void quota_usage(const struct quota *q, uid_t uid, struct quota_usage *out);
/* How many uids are known at present. */
size_t quota_count(const struct quota *q);

#endif
