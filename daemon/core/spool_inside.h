/* SPDX-License-Identifier: MIT */
/* What the files of the spool share. */
#ifndef MSGD_DAEMON_CORE_SPOOL_INSIDE_H
#define MSGD_DAEMON_CORE_SPOOL_INSIDE_H

#include "daemon/core/filing.h"
#include "daemon/core/spool.h"

/* What is set aside begins at `from` now: what lay before it has come back, or has been counted. */
void spool_move_from(struct mailbox *mb, uint64_t from);

/* MESSAGE_KEPT, DROP_SPOOL_FULL (the budget of all journals is used up), DROP_NO_MEMORY. */
int spool_put_in_journal(struct mailbox *mb, const struct filing *f) MUST_USE;

#endif
