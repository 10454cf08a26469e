/* SPDX-License-Identifier: MIT */
/* A ring of records from the worker to control: one writer, one reader, no lock, bounded. */
#ifndef MSGD_DAEMON_DATA_SPSC_H
#define MSGD_DAEMON_DATA_SPSC_H

#include "daemon/base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct spsc {
    uint8_t *bytes; /* n_bytes, a power of two, owned, 64-byte aligned */
    uint32_t n_bytes;
    _Alignas(64) _Atomic uint64_t head; /* the writer's */
    _Alignas(64) _Atomic uint64_t tail; /* the reader's */
};

/* n_bytes: a power of two. 0 or -ENOMEM. */
int spsc_init(struct spsc *s, uint32_t n_bytes) MUST_USE;
void spsc_deinit(struct spsc *s);

/* Room for one record in one piece, or NULL: full. Becomes readable by spsc_commit with the same
 * n_bytes. */
void *spsc_reserve(struct spsc *s, uint32_t n_bytes);
void spsc_commit(struct spsc *s, uint32_t n_bytes);

/* The next record, or NULL; valid until spsc_pop. */
const void *spsc_peek(struct spsc *s, uint32_t *n_bytes);
void spsc_pop(struct spsc *s);

#endif
