/* SPDX-License-Identifier: MIT */
/* Memory that other processes can be given: sealed memfds. */
#ifndef MSGD_DAEMON_DATA_MEMORY_H
#define MSGD_DAEMON_DATA_MEMORY_H

#include "daemon/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Zeroed: nothing. */
struct shared_memory {
    void *bytes;
    size_t n_bytes;
    int descriptor;      /* msgd's own, for reading and writing */
    int read_descriptor; /* what another uid can only map for reading; 0: not made */
};

/*
 * Makes n_bytes (a multiple of the page size) of sparse memory, sealed against shrinking and
 * growing, and maps it. 0, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
int shared_memory_open(struct shared_memory *m, const char *name, size_t n_bytes) MUST_USE;
/* Makes read_descriptor: opened for reading through /proc, so that no other uid can map it for
 * writing. */
int shared_memory_open_read(struct shared_memory *m) MUST_USE;
/* Maps memory of a predecessor whole; takes the descriptor in any case. 0 or -errno. */
int shared_memory_adopt(struct shared_memory *m, int descriptor) MUST_USE;
/* How many bytes from its start have been written to at some time, in whole pages. Reading those
 * behind them would make pages of them. */
size_t shared_memory_extent(const struct shared_memory *m);
void shared_memory_close(struct shared_memory *m);

/* Gives the pages of a part back to the kernel; they read as zero afterwards. */
void shared_memory_discard(uint8_t *bytes, size_t n_bytes);

#endif
