/* SPDX-License-Identifier: MIT */
/* What the daemon has beside itself: passed descriptors, the stash, the database. */
#ifndef MSGD_DAEMON_KEPT_H
#define MSGD_DAEMON_KEPT_H

#include "daemon/base/error.h"
#include "daemon/base/inherited.h"

struct config;
struct stash;
struct store;

struct successor;

struct kept {
    struct inherited inherited;
    struct stash *stash;
    struct store *store;
};

enum kept_outcome {
    KEPT_IS_BUSY = 1,         /* another msgd has the database */
    KEPT_UNKNOWN_VERSION = 2, /* a later msgd made what is there; it is left as it is */
};

/*
 * Takes what was passed, or what the old msgd gave its successor, and opens the stash. 0,
 * KEPT_UNKNOWN_VERSION or -errno; all have been logged. The caller closes it in each case.
 */
int kept_open(struct kept *out, struct successor *successor) MUST_USE;
/* Opens the database, whose directory is made. 0, an outcome or -errno, logged. */
int kept_open_store(struct kept *kept, const struct config *config) MUST_USE;
/* What was posted to the database is carried out. Safe on a zeroed one. */
void kept_close(struct kept *kept);

#endif
