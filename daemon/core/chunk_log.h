/* SPDX-License-Identifier: MIT */
/*
 * A log of records in chunks of an arena: added at the head, freed in any order. A chunk goes back
 * to the arena as soon as nothing in it is live. The layout is that of proto/ring.h; a log that a
 * consumer reads has its table, tail and epoch in the shared header.
 */
#ifndef MSGD_DAEMON_CORE_CHUNK_LOG_H
#define MSGD_DAEMON_CORE_CHUNK_LOG_H

#include "daemon/core/arena.h"
#include "proto/ring.h"

#include <stdbool.h>
#include <stdint.h>

/* Of one chunk of the arena, a bit for each place where a record can begin. msgd's own memory. */
#define RECORDS_PER_CHUNK (RING_CHUNK_BYTES / RING_RECORD_ALIGN)

struct record_bits {
    uint64_t begins[RECORDS_PER_CHUNK / 64];   /* a record begins here */
    uint64_t answered[RECORDS_PER_CHUNK / 64]; /* and has been answered */
};

struct chunk_log {
    struct arena *arena;
    struct ring_header *header; /* of the consumer who reads along; NULL: private */
    _Atomic uint32_t
        *table;     /* chunk number % n_entries -> chunk of the arena; the header's, or owned */
    uint32_t *live; /* records that are live in that chunk; owned */
    uint32_t n_entries;
    uint64_t owner;           /* of its chunks, in the arena's directory */
    _Atomic uint32_t *filled; /* of the head chunk, there */
    uint64_t head;            /* position of the next record */
    uint64_t tail;            /* multiple of RING_CHUNK_BYTES: nothing before it is left */
    uint64_t n_live;          /* in all chunks */
    struct record_bits
        *bits;           /* of each chunk of the arena, where a reader may name records; owned */
    bool has_head_chunk; /* the chunk that head lies in, or begins, has been taken from the arena */
};

/* Entries for a private log that is to hold `bytes` bytes of records. */
uint32_t chunk_log_entries(uint64_t bytes);

/* A private log, or one with a reader (n_entries is then the header's). 0 or -ENOMEM. */
int chunk_log_init(struct chunk_log *log, struct arena *arena, struct ring_header *header,
                   uint32_t n_entries) __attribute__((warn_unused_result));
/* Gives all chunks back. */
void chunk_log_deinit(struct chunk_log *log);

/* Lets go of its own memory alone: the chunks are for a successor. */
void chunk_log_leave(struct chunk_log *log);

/* Tables for chunk_log_grow; owned. */
struct chunk_log_tables {
    _Atomic uint32_t *table;
    uint32_t *live;
    uint32_t n_entries;
};

/* 0 or -ENOMEM. */
int chunk_log_tables_new(struct chunk_log_tables *t, uint32_t n_entries)
    __attribute__((warn_unused_result));
void chunk_log_tables_free(struct chunk_log_tables *t);
/* Puts larger tables into a private log; *t then holds the former ones. Smaller ones change
 * nothing. */
void chunk_log_grow(struct chunk_log *log, struct chunk_log_tables *t);

/*
 * Room for one record of `bytes` (record_bytes of its content) at the head, not part of the log
 * until chunk_log_commit. NULL: the arena or the table is full.
 */
struct record *chunk_log_reserve(struct chunk_log *log, uint32_t bytes);
/* Adds what was reserved last, as a live record. Returns its position. */
uint64_t chunk_log_commit(struct chunk_log *log, uint32_t bytes);

/*
 * The record at a position, which must be a record's or where nothing is left. NULL: nothing
 * here. *next: where to look after it. position < head.
 */
struct record *chunk_log_at(const struct chunk_log *log, uint64_t position, uint64_t *next);

/*
 * The record that a reader names by its position, whatever it names: NULL if no record begins
 * there. Logs with a reader only.
 */
struct record *chunk_log_find(const struct chunk_log *log, uint64_t position);
/* Notes that the record there has been answered. False: it was already. */
bool chunk_log_answer(struct chunk_log *log, uint64_t position);
bool chunk_log_is_answered(const struct chunk_log *log, uint64_t position);

/* The record at `position` is no longer needed; its memory may be used again. */
void chunk_log_free(struct chunk_log *log, uint64_t position);
/* The same for a record that nobody may see any more: marks it dead first. */
void chunk_log_kill(struct chunk_log *log, uint64_t position);

/* Moves all records of `from` behind those of `log`, both private and of one arena, without
 * copying. `from` is empty then. False: the table has no room; nothing changed. */
bool chunk_log_append_all(struct chunk_log *log, struct chunk_log *from);

static inline bool chunk_log_is_empty(const struct chunk_log *log)
{
    return log->n_live == 0;
}

#endif
