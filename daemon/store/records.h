/* SPDX-License-Identifier: MIT */
/*
 * Records as they lie on disk: those of proto/ring.h one behind the other, with the CRC-32C of the
 * endpoint's number and the record in place of its slot.
 */
#ifndef MSGD_DAEMON_STORE_RECORDS_H
#define MSGD_DAEMON_STORE_RECORDS_H

#include "daemon/base/error.h"
#include "proto/ring.h"

#include <stddef.h>
#include <stdint.h>

/* What a row's columns say of its records. */
struct records_summary {
    uint32_t n;
    uint64_t first, last; /* 0 where n is 0 */
    uint64_t bytes;
    int64_t oldest_ns, newest_ns;
};

uint32_t records_summary_crc(const struct records_summary *s, uint64_t endpoint);

/* Looks at records in memory: live ones, until RECORD_END or n_bytes. 0, or -EINVAL: they cannot
 * be, or their numbers do not rise. */
int records_look(const uint8_t *bytes, size_t n_bytes, struct records_summary *out) MUST_USE;
/* Copies the live ones with seq > above, as they lie on disk, to `row`, which has room for n_bytes.
 * Of what records_look has found good. */
void records_gather(const uint8_t *bytes, size_t n_bytes, uint64_t endpoint, uint64_t above,
                    uint8_t *row, struct records_summary *out);

/* Where records go that were read. */
struct records_sink {
    uint8_t *bytes; /* 64-byte aligned */
    size_t capacity;
    uint64_t from_seq;    /* none before it */
    uint64_t first, last; /* of the row: others are somebody else's */
    size_t n_bytes;
    uint32_t n;
};

/*
 * Reads records from disk, whatever the bytes are, and copies the good ones, as long as the sink
 * has room and in rising seq. Behind a damaged one it looks for the next good one. Returns how many
 * good ones there are.
 */
size_t records_check(const uint8_t *bytes, size_t n_bytes, uint64_t endpoint,
                     struct records_sink *sink);

#endif
