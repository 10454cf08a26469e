/* SPDX-License-Identifier: MIT */
/* What the files of the spool share. */
#ifndef MSGD_DAEMON_CORE_SPOOL_INSIDE_H
#define MSGD_DAEMON_CORE_SPOOL_INSIDE_H

#include "daemon/core/spool.h"

/* What is set aside begins at `from` now: what lay before it has come back, or has been counted. */
void spool_move_from(struct mailbox *mb, uint64_t from);

#endif
