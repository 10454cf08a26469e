/* SPDX-License-Identifier: MIT */
/* What the database keeps of a registered name. */
#ifndef MSGD_DAEMON_CORE_REGISTERED_H
#define MSGD_DAEMON_CORE_REGISTERED_H

#include "daemon/base/error.h"
#include "daemon/core/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct registered {
    uid_t uid;
    uint64_t generation;
    int64_t since_wall_ns;
    bool is_static;
    struct address address;   /* in force */
    struct settings settings; /* without what only static endpoints have (settings_archive) */
};

/* Returns how many bytes it takes, also where these are more than capacity and out is worth
 * nothing. */
size_t registered_save(const struct registered *r, void *out, size_t capacity);
/* Into an uninitialised r, whose settings are the caller's then. 0; -EBADMSG, -EPROTO: these bytes
 * are not one, or of a version that is not known; -ENOMEM. */
int registered_load(struct registered *r, const void *bytes, size_t n) MUST_USE;

#endif
