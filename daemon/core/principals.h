/* SPDX-License-Identifier: MIT */
/* Who asks, and whom something is for: user and group ids, resolved. */
#ifndef MSGD_DAEMON_CORE_PRINCIPALS_H
#define MSGD_DAEMON_CORE_PRINCIPALS_H

#include "daemon/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Who asks. groups: n_groups supplementary ones, the caller's. */
struct credentials {
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t n_groups;
};

/* Users and groups that something is for. Both arrays are owned. */
struct principals {
    uid_t *uids;
    size_t n_uids;
    gid_t *gids;
    size_t n_gids;
};

/* Is gid the primary group or one of the supplementary ones? */
bool credentials_has_group(const struct credentials *c, gid_t gid);

/* Frees what p owns; safe on a zeroed one. */
void principals_deinit(struct principals *p);
/* Deep copy into an uninitialised out. 0 or -ENOMEM. */
int principals_copy(const struct principals *p, struct principals *out) MUST_USE;
/* Neither users nor groups are named. */
bool principals_is_empty(const struct principals *p);
/* Is the uid named, or one of the groups? */
bool principals_contains(const struct principals *p, const struct credentials *c);
bool principals_equal(const struct principals *a, const struct principals *b);

#endif
