/* SPDX-License-Identifier: MIT */
/* Frames of SQLite's log (its file format, section 4), for those who look for damage in it. */
#ifndef MSGD_DAEMON_STORE_LOG_FRAMES_H
#define MSGD_DAEMON_STORE_LOG_FRAMES_H

#include "daemon/base/error.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_HEADER_BYTES 32u
#define FRAME_HEADER_BYTES                                                \
    24u /* page, size of the database after a commit (else 0), salts, sum \
         */

/* Fibonacci-weighted, of pairs of words: it goes on from frame to frame. */
struct sum {
    uint32_t a, b;
};

struct log {
    sqlite3_file *file, *database;
    sqlite3_int64 n_bytes;
    uint32_t page_bytes;
    bool is_big_endian; /* the words that are summed up */
    uint8_t salts[8];
    uint8_t *frame; /* header and page, */
    uint8_t *page;  /* and the same page of the database */
    struct sum sum; /* of all before it */
};

uint32_t big_endian_at(const uint8_t *at);
struct sum log_add(const struct log *log, struct sum s, const uint8_t *bytes, uint32_t n);
struct sum sum_at(const uint8_t *at);
static inline bool sum_is(struct sum x, struct sum y)
{
    return x.a == y.a && x.b == y.b;
}
unsigned n_bits_between(const uint8_t *x, const uint8_t *y, unsigned n);

/* 1; 0: there is no such frame; -EIO. */
int frame_read(const struct log *log, uint32_t i, uint8_t *frame) MUST_USE;
/* Where it is in the file. */
int64_t frame_at(const struct log *log, uint32_t i);
/* 0 or -EIO. */
int log_put(const struct log *log, const uint8_t *bytes, int n, int64_t at) MUST_USE;
/* Of this log, but for a bit? */
bool frame_is_ours(const struct log *log, const uint8_t *frame);
/* Would SQLite take it behind one with this sum? */
bool frame_is_good(const struct log *log, struct sum before, const uint8_t *frame);

/*
 * From frame i on, which is not good: do frames of this log lead to a commit (*breaks_off)? And is
 * all of it but that frame in the database already (*is_moved): then the log is not needed. 0,
 * -ENOMEM, -EIO.
 */
int log_look_behind(struct log *log, uint32_t i, bool *breaks_off, bool *is_moved) MUST_USE;

#endif
