/* SPDX-License-Identifier: MIT */
/*
 * The log (SQLite's file format, section 4) where it is damaged. SQLite takes the first frame with
 * a wrong checksum for the end: everything committed behind it would be gone, unseen.
 */
#ifndef MSGD_DAEMON_STORE_LOG_MEND_H
#define MSGD_DAEMON_STORE_LOG_MEND_H

#include "daemon/base/error.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct log_verdict {
    uint32_t n_mended; /* bits, one a frame at most, written back and synced */
    uint32_t n_frames; /* that are good now */
    bool breaks_off;   /* behind them frames of the same log go on to a commit */
};

/*
 * Looks at the log of a database that has been read and not written yet. Where *out says that
 * something was mended, the database must be opened again before anything else. 0 or -errno
 * (-ENOMEM, -EIO).
 */
int log_mend(sqlite3 *db, struct log_verdict *out) MUST_USE;

#endif
