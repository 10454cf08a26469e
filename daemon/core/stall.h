/* SPDX-License-Identifier: MIT */
/* Consumers that hold messages and release none. */
#ifndef MSGD_DAEMON_CORE_STALL_H
#define MSGD_DAEMON_CORE_STALL_H

#include "daemon/core/mailbox.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Looks at every consumer of the mailbox, what each has released having been collected before; to
 * be called again and again. One has stalled when looks that lie at least stall_ms apart (0: never)
 * found it holding messages and nothing released in between. now_ms: of a clock that is never set.
 * Returns whether any has stalled.
 */
bool stall_watch(struct mailbox *mb, int64_t now_ms, int64_t stall_ms);

#endif
