/* SPDX-License-Identifier: MIT */
/* systemd's descriptor store, or whatever else listens at NOTIFY_SOCKET and keeps descriptors. */
#ifndef MSGD_DAEMON_STORE_STASH_KEEPER_H
#define MSGD_DAEMON_STORE_STASH_KEEPER_H

#include "daemon/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether there is somebody who keeps what is sent. Waits until it has looked, 5 s at most. */
bool keeper_is_there(void);

/* Has a segment's end kept, which stays the caller's, or given back. 0 or -errno. */
int keeper_store(uint64_t number, int end) MUST_USE;
void keeper_drop(uint64_t number);

#endif
