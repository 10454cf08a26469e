/* SPDX-License-Identifier: MIT */
/*
 * The part of a mailbox that is on disk, or on its way there. Without I/O: daemon/data/spooling.c
 * posts the pieces, hears of them and reads back.
 *
 *   memory   older, backlog, lanes         numbers below `from`
 *   journal  copies that wait for the disk all of a durable endpoint, what is set aside of others
 *   disk     what has been committed
 *
 * While memory has no room, and until all that was set aside has come back, what arrives is set
 * aside: it lies in the journal, later on disk, and nowhere else, so that order holds. `from` is
 * the first such number; they are consecutive, and those up to `to` are on disk (struct
 * spool_place, which outlives the process).
 */
#ifndef MSGD_DAEMON_CORE_SPOOL_H
#define MSGD_DAEMON_CORE_SPOOL_H

#include "daemon/base/error.h"
#include "daemon/core/chunk_log.h"
#include "daemon/core/durable.h"
#include "daemon/core/quota.h"
#include "daemon/core/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mailbox;
struct filing;

/* What the disk had of an endpoint when msgd started; zeroed: nothing. */
struct spool_remains {
    uint64_t released;            /* up to here all had been finished */
    uint64_t first_seq, last_seq; /* 0: nothing is left */
    uint64_t n;
    uint64_t n_missing; /* that should be there and are not */
    uint64_t bytes;
    int64_t oldest_ns;
};

struct spool {
    bool is_durable;  /* everything goes to disk */
    bool is_overflow; /* what finds no room in memory does */
    uint64_t max_bytes;
    uint64_t max_messages;
    struct account *budget; /* of all journals together */
    struct chunk_log log;   /* the journal */
    uint64_t posted;        /* position in it: what lies before it was handed to the store */
    uint64_t log_bytes;     /* of its records */
    uint64_t read;          /* position in it from which to look for what comes back */
    uint64_t last_posted;   /* number */
    uint64_t committed;     /* number: those handed over up to here are on disk */
    uint64_t bytes;         /* as records, of what is set aside */
    int64_t since_ns;       /* when the oldest of that came */
    bool has_waiters;       /* somebody waits until what was not posted yet is on disk */
    uint64_t late; /* number: of a durable endpoint, from here on all are in memory alone, for want
                      of room in the journals, or because it has just become durable; 0: none is */
    struct spool_remains remains;
};

/* For the settings, or for what is on disk. 0 or -ENOMEM. */
int spool_new(struct spool **out, const struct settings *s, const struct spool_remains *remains,
              struct account *budget) MUST_USE;
/* Gives the journal's memory back. Returns NULL; NULL is fine. */
struct spool *spool_free(struct spool *s);
/* The journal stays for a successor. Returns NULL; NULL is fine. */
struct spool *spool_leave(struct spool *s);
void spool_configure(struct spool *s, const struct settings *settings);

/* ---- Filing ---- */

/* Files a message whose number is set: in memory, in the journal, or both. As mailbox_put. */
int spool_put(struct mailbox *mb, const struct filing *f) MUST_USE;
/* MESSAGE_KEPT, or why a message of that size could not go to disk at present. */
int spool_refusal(const struct mailbox *mb, uint32_t record_bytes) MUST_USE;

/* Numbers of messages that are set aside: on disk, and still in the journal. */
uint64_t spool_on_disk(const struct endpoint_state *state);
uint64_t spool_in_journal(const struct endpoint_state *state);

/* ---- Late ---- */

/* All that is in memory is in memory alone: nothing of the mailbox has been on disk before. */
void spool_begin_late(struct mailbox *mb);
/* Is there something in memory alone that should be on disk, too, and room for it? */
bool spool_can_catch_up(const struct mailbox *mb);
/*
 * Copies to the journal what is in memory alone, up to budget bytes. found: room for n_found
 * records; each walk over memory finds as many. True: there is more, and room.
 */
bool spool_catch_up(struct mailbox *mb, const struct record **found, size_t n_found,
                    uint64_t budget);

/* ---- To disk ---- */

/* Records to append, which lie one behind the other. */
struct spool_piece {
    const uint8_t *bytes;
    size_t n_bytes;
    uint64_t position, end; /* in the journal */
    uint64_t last_seq;
};

#define SPOOL_PIECE_IDS 2048u /* records of a piece at most that have an id */

/* Takes the next piece that has to go to disk; what is finished already goes no more. False: there
 * is none. */
bool spool_next_piece(struct mailbox *mb, struct spool_piece *out);
/* What is finished before it was written need not be written at all. */
void spool_skip_finished(struct mailbox *mb);
uint64_t spool_unposted_bytes(const struct mailbox *mb);
/* Is there more than a whole chunk to post? */
bool spool_has_whole_piece(const struct mailbox *mb);
bool spool_has_unposted(const struct mailbox *mb);
/* It has been committed: it is on disk, and the journal's memory is free. Pieces in their order. */
void spool_committed(struct mailbox *mb, const struct spool_piece *p);
/* It will never be, nor will any other: what is set aside comes back from the journal. */
void spool_failed(struct mailbox *mb, const struct spool_piece *p);

/* All numbers up to this one are finished: neither in memory nor set aside. */
uint64_t spool_finished(struct mailbox *mb);

/* ---- Back ---- */

enum spool_source { SPOOL_NOTHING, SPOOL_DISK, SPOOL_JOURNAL };

/* Where the next message that comes back lies. SPOOL_NOTHING: all are in memory. */
enum spool_source spool_source(const struct mailbox *mb);
/* Bytes of records for which memory has room. */
uint64_t spool_room(const struct mailbox *mb);
/*
 * A message from the disk, in the order of numbers, comes back. False: memory has no room for it;
 * it stays where it is. One that is not next to come (it is there already) is left out.
 */
bool spool_take_back(struct mailbox *mb, const struct record *r);
/* Copies back from the journal, up to budget bytes. True: there is more, and room. */
bool spool_refill(struct mailbox *mb, uint64_t budget);
/* Numbers below `next` that are set aside are not there any more. */
void spool_pass(struct mailbox *mb, uint64_t next, enum drop_reason reason);
/* All that is set aside goes, for that reason; senders who wait are told. Returns how many. */
uint64_t spool_discard(struct mailbox *mb, enum drop_reason reason);

/* ---- After a predecessor ---- */

/* Brings the row up to what is on disk; before the ledger is settled. */
void spool_settle(struct endpoint_state *state, const struct spool_remains *remains);
/* Is a record that a journal holds a message that is nowhere else? */
bool spool_is_in_journal(const struct endpoint_state *state, uint64_t seq);
/* A message was found in memory: whatever was coming back has come. */
void spool_found(struct endpoint_state *state, uint64_t seq);
/* The row's place is right: ledger and `from`. */
void spool_recount(struct endpoint_state *state);
/* A record that only a journal held, again in the journal. False: no memory. */
bool spool_restore(struct mailbox *mb, const struct record *r) MUST_USE;
/* A message is again in memory: what of it is not on disk goes to the journal, too. */
void spool_note_restored(struct mailbox *mb, const struct record *r);
/* Everything has been restored. */
void spool_go_on(struct mailbox *mb);

#endif
