/* SPDX-License-Identifier: MIT */
/* Records that a process left in memory, found again by its successor. Nothing found is believed
 * before it has been checked. */
#ifndef MSGD_DAEMON_CORE_SURVIVORS_H
#define MSGD_DAEMON_CORE_SURVIVORS_H

#include "daemon/base/error.h"
#include "daemon/core/arena.h"
#include "daemon/core/durable.h"
#include "daemon/core/mailbox.h"
#include "daemon/core/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct survivor {
    uint64_t number; /* of the endpoint; first (core/numbered) */
    uint64_t seq;
    struct record *record;
    bool is_journal;  /* a journal's copy */
    bool was_taken;   /* a consumer had it */
    bool is_released; /* and said that it was done with it */
};

/* Zeroed: none. A message that was being moved is there twice. */
struct survivors {
    struct survivor *all; /* owned; n of them, sorted by number and seq once survivors_sort ran */
    size_t n;
    size_t capacity;
};

/* An arena and what is known of its chunks. */
struct arena_memory {
    uint8_t *chunks;
    const struct chunk_entry *directory;
    uint32_t n_chunks;
};

/* Which endpoint a slot of a link is. */
struct link_slot {
    uint64_t number;
    uint64_t departed; /* the endpoint's records before it have been handed on */
};

struct link_memory {
    struct arena_memory arena;
    const struct ring_header *header;
    struct ring_page *page;
    uint64_t released; /* everything before it has been counted, or handed on */
    const struct link_slot *slots;
    uint32_t n_slots;
};

/* Private logs. 0 or -ENOMEM. */
int survivors_add_arena(struct survivors *s, const struct arena_memory *m) MUST_USE;
/* A consumer's log; from here on it takes nothing more from it. 0 or -ENOMEM. */
int survivors_add_link(struct survivors *s, const struct link_memory *m) MUST_USE;
void survivors_sort(struct survivors *s);
void survivors_deinit(struct survivors *s);

/* What is left of one endpoint. */
struct remainder {
    struct survivor *all; /* n, sorted */
    size_t n;
    struct end_intent **intents; /* n_intents, of all who may have counted it */
    size_t n_intents;
    struct batch_state *batch; /* in hand; NULL: none */
};

/* Those of one endpoint: sets all and n. */
void survivors_of(const struct survivors *s, uint64_t number, struct remainder *out);

/* Makes the ledger right. Returns how many messages of the batch in hand need nothing more. */
uint64_t remainder_settle(struct remainder *r, struct endpoint_state *state,
                          const struct spool_remains *on_disk);
/* Files what is left, in its order, into an empty mailbox. */
void remainder_file(const struct remainder *r, struct mailbox *mb);
/* Counts what had been released, and what there was no memory for. Once no batch is in hand. */
void remainder_end(const struct remainder *r, struct mailbox *mb);

#endif
