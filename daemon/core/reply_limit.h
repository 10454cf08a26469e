/* SPDX-License-Identifier: MIT */
/* How many answers per second a source prefix (IPv4 /24, IPv6 /56) gets: token buckets in a table
 * that does not grow. */
#ifndef MSGD_DAEMON_CORE_REPLY_LIMIT_H
#define MSGD_DAEMON_CORE_REPLY_LIMIT_H

#include "daemon/base/error.h"
#include "proto/address.h"

#include <stdbool.h>
#include <stdint.h>

#define REPLY_LIMIT_BUCKETS 4096

struct reply_bucket {
    uint64_t filled_ns;
    uint32_t tokens;
};

/*
 * Prefixes that fall into one bucket (a keyed hash chooses) share it: a flood of forged sources can
 * use up the answers of others for as long as it lasts, but memory stays what it is.
 */
struct reply_limit {
    uint64_t key;
    struct reply_bucket *buckets; /* REPLY_LIMIT_BUCKETS of them, owned */
};

/* key: random. 0 or -ENOMEM. */
int reply_limit_init(struct reply_limit *l, uint64_t key) MUST_USE;
void reply_limit_deinit(struct reply_limit *l);
/* May one more answer go to `to` at now_ns (any steady clock), at per_second and with a burst of
 * one second's worth? */
bool reply_limit_take(struct reply_limit *l, const struct address *to, uint32_t per_second,
                      uint64_t now_ns);

#endif
