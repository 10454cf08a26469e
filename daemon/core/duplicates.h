/* SPDX-License-Identifier: MIT */
/*
 * Which framed messages have been kept already, so that each is kept once however often it comes:
 * docs/protocol.md, "What msgd does". Of a source the highest number and a window behind it; of ids
 * that are texts each one. Bounded, and alive for 247 s (RFC 7252, section 4.8.2:
 * EXCHANGE_LIFETIME) after the last use.
 */
#ifndef MSGD_DAEMON_CORE_DUPLICATES_H
#define MSGD_DAEMON_CORE_DUPLICATES_H

#include "daemon/core/keyed_hash.h"
#include "daemon/core/recent.h"
#include "proto/frame.h"

#include <stdbool.h>
#include <stdint.h>

#define DUPLICATES_WINDOW  4096u
#define DUPLICATES_TEXTS   65536u
#define DUPLICATES_LIFE_MS 247000u

/* A message. The same id at another endpoint is another message. */
struct message_key {
    uint64_t endpoint; /* never 0, never that of another endpoint */
    const struct frame_id *id;
};

struct duplicates {
    struct hash_key key;
    struct recent sources;
    struct recent texts;
    struct source_window *last; /* that was looked at; may be another's by now */
};

struct duplicates_options {
    struct hash_key key;
    uint32_t max_sources;
};

/* 0 or -ENOMEM. Memory is touched as the tables fill. */
int duplicates_init(struct duplicates *d, const struct duplicates_options *o) MUST_USE;
/* Safe on a zeroed one. */
void duplicates_deinit(struct duplicates *d);

enum duplicate {
    DUPLICATE_NOT,      /* it is new, and there is room to remember it */
    DUPLICATE_PENDING,  /* it has been kept in memory, and is to be on disk before that is said */
    DUPLICATE_KEPT,     /* it has been kept */
    DUPLICATE_RELEASED, /* and released; or its number lies before the window */
    DUPLICATE_NO_ROOM,  /* it may be new, but could not be remembered */
};

/* now_ms: CLOCK_BOOTTIME. */
enum duplicate duplicates_look(struct duplicates *d, const struct message_key *k,
                               uint64_t now_ms) MUST_USE;
/* It has been kept. Right after duplicates_look said DUPLICATE_NOT. */
void duplicates_keep(struct duplicates *d, const struct message_key *k, uint64_t now_ms);
/* The same of one that is to be on disk before anybody is told that it is kept. */
void duplicates_pend(struct duplicates *d, const struct message_key *k, uint64_t now_ms);
/* It is on disk. False: it was not pending (any more). */
bool duplicates_commit(struct duplicates *d, const struct message_key *k);
/* Its consumer is done with it. */
void duplicates_release(struct duplicates *d, const struct message_key *k, uint64_t now_ms);
/* It was dropped after it had been kept: it may come again. */
void duplicates_forget(struct duplicates *d, const struct message_key *k);

#endif
