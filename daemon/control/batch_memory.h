/* SPDX-License-Identifier: MIT */
/* Memory for batches of messages, which costs nothing until it is written. */
#ifndef MSGD_DAEMON_CONTROL_BATCH_MEMORY_H
#define MSGD_DAEMON_CONTROL_BATCH_MEMORY_H

#include "daemon/base/error.h"
#include "daemon/data/worker.h"

#define BATCH_BYTES (256u * 1024u)

/* 0 or -ENOMEM. */
int batch_memory_new(struct batch *batch) MUST_USE;
/* Safe on a zeroed one. */
void batch_memory_free(struct batch *batch);

/* The record at `offset`, which is less than n_bytes; *next: the offset of the one after it. */
const struct record *batch_record(const struct batch *batch, size_t offset, size_t *next);

#endif
