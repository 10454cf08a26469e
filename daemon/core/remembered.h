/* SPDX-License-Identifier: MIT */
/* Ids of messages as the database keeps them: numbers of a source as runs, texts each by itself.
 * The machine's own byte order, as records have. */
#ifndef MSGD_DAEMON_CORE_REMEMBERED_H
#define MSGD_DAEMON_CORE_REMEMBERED_H

#include "daemon/base/error.h"
#include "proto/frame.h"

#include <stddef.h>
#include <stdint.h>

#define REMEMBERED_MAX (2 + FRAME_ID_MAX) /* bytes that one id takes at most */

/* Zeroed but for the memory: empty. */
struct remembered {
    uint8_t *bytes; /* the caller's */
    size_t capacity;
    size_t n;
    size_t run; /* offset of the last run + 1; 0: none */
};

/* False: no room. */
bool remembered_add(struct remembered *r, const struct frame_id *id) MUST_USE;
/*
 * Calls seen for each text, and for each run of `count` numbers from that of `first` on, whose text
 * is empty. 0; -EBADMSG: these are no such bytes; what came before has been seen.
 */
typedef void (*remembered_seen)(void *context, const struct frame_id *first, uint32_t count);
int remembered_each(const uint8_t *bytes, size_t n, remembered_seen seen, void *context) MUST_USE;

#endif
