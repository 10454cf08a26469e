/* SPDX-License-Identifier: MIT */
/* Everything counted, as Prometheus text (exposition format 0.0.4). Writes only; knows no I/O. */
#ifndef MSGD_DAEMON_CONTROL_METRICS_H
#define MSGD_DAEMON_CONTROL_METRICS_H

#include "daemon/core/ledger.h"
#include "daemon/core/registry.h"
#include "daemon/core/settings.h"
#include "daemon/data/worker.h"
#include "daemon/store/store.h"
#include "proto/address.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What is told of one endpoint. */
struct metrics_row {
    char name[NAME_BYTES_MAX + 1];
    struct address address;
    enum entry_state state;
    uint32_t n_consumers;
    uint32_t n_stalled;
    uint64_t mailbox_bytes;
    uint64_t mailbox_used;
    struct ledger ledger;
    struct spool_info spool;
};

struct metrics {
    const struct metrics_row *rows;
    size_t n_rows;
    const struct worker_info *workers;
    size_t n_workers;
    uint32_t connections;
    uint64_t sessions; /* open at present */
    uint64_t quarantine_entries;
    uint64_t quarantine_bytes;
    uint64_t quarantine_discarded;
    uint64_t quarantine_unwritten;
    struct store_info store;
    int64_t since_ns; /* CLOCK_REALTIME */
};

/* Writes the text. What goes wrong with `out` is for the caller to see (ferror). */
void metrics_write(FILE *out, const struct metrics *metrics);

#endif
