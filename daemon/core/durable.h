/* SPDX-License-Identifier: MIT */
/*
 * What of an endpoint outlives the process: docs/architecture.md, "What survives kill -9". It lies
 * in memory that somebody else keeps too; whoever is killed leaves a prefix of its stores.
 */
#ifndef MSGD_DAEMON_CORE_DURABLE_H
#define MSGD_DAEMON_CORE_DURABLE_H

#include "daemon/core/ledger.h"

#include <stdatomic.h>
#include <stdint.h>

/*
 * Which of an endpoint's messages are not in its mailbox's memory (core/spool.h): they have
 * consecutive numbers, so that counting them takes none.
 */
struct spool_place {
    uint64_t from;        /* the first of them; 0: there is none */
    uint64_t to;          /* those up to here are on disk; those behind it in the journal */
    uint64_t n_gone;      /* numbers from `from` to `to` that are no messages */
    bool is_known;        /* what was on disk at the start has been taken up */
    uint32_t n_consumers; /* of the mailbox; here because it takes no room here */
    /* Words that change together; whoever finds it begun does all of it again. */
    struct spool_change {
        bool is_begun;
        uint32_t reason; /* enum drop_reason */
        uint64_t from;
        uint64_t n_gone;
        uint64_t dropped;
    } change;
};

/* One endpoint. */
struct endpoint_state {
    _Alignas(64) uint64_t number; /* 0: the row is free */
    uint64_t last_seq;
    struct ledger ledger;
    struct spool_place spool;
    uint64_t drops[2];        /* of each socket, widened; the ledger has their sum */
    uint32_t drops_before[2]; /* what of that was before the socket was opened */
};

/* The message that a worker is about to count as ended. */
struct end_intent {
    uint64_t number; /* of its endpoint; 0: none */
    uint64_t seq;
};

/* Of a batch. */
enum batch_stage {
    BATCH_IDLE,
    BATCH_IN_HAND, /* read, or being read, and filed by one worker */
    BATCH_AWAY,    /* a shard's: read, or being read; nothing of it is filed */
    BATCH_TAKEN,   /* a shard's: being filed */
};

/* What a worker is reading, and files. */
struct batch_state {
    /* enum batch_stage; stored last before the read, first after the last message */
    uint64_t stage;
    uint64_t number;
    uint64_t received; /* what the endpoint's ledger said before */
    uint64_t datagrams;
};

/* Between two stores that a successor may find the one of, but never the other alone. */
#ifdef MSGD_CRASH_POINTS
extern void (*durable_hook)(void); /* a test's: abandons what is under way */
#define DURABLE_STEP()                             \
    do {                                           \
        atomic_signal_fence(memory_order_seq_cst); \
        if (durable_hook != NULL)                  \
            durable_hook();                        \
    } while (0)
#else
#define DURABLE_STEP() atomic_signal_fence(memory_order_seq_cst)
#endif

#endif
