/* SPDX-License-Identifier: MIT */
/*
 * A lane: one log on its way to one consumer process. In a link's lane lie the messages of every
 * endpoint of a connection and the consumer writes its progress into a shared page; a receiver's
 * lane is private, has one endpoint, and is moved by calls.
 */
#ifndef MSGD_DAEMON_CORE_LANE_H
#define MSGD_DAEMON_CORE_LANE_H

#include "daemon/base/error.h"
#include "daemon/core/chunk_log.h"
#include "proto/ring.h"

#include <stdbool.h>
#include <stdint.h>

struct consumer;

struct lane {
    struct chunk_log log;
    struct ring_page *page; /* shared with the consumer; NULL: private, or the consumer is gone */
    struct ring_outgoing *outgoing; /* the consumer's answers; NULL: it has no such ring */
    uint64_t outgoing_taken;        /* how far they have been read */
    uint64_t n_awaited;             /* records whose release somebody waits for, and hurries */
    uint64_t released_word;         /* as last read from the page and found possible */
    uint64_t *kept_released;        /* `released` for a successor; NULL: nobody asks */
    uint64_t released;       /* a record's position: everything before it is released or dead */
    uint64_t taken;          /* a record's position: everything before it has been handed over */
    struct consumer **slots; /* n_slots, owned: whose a record is; NULL: nobody's any more */
    uint32_t n_slots;
    bool is_broken; /* the consumer wrote what cannot be */
    const char *why_broken;
    bool is_dirty; /* has records that are not published; in the list of that name */
    struct lane *next_dirty;
    struct dirty_lanes *dirty;
};

/* Lanes that got records since they were last published, or turned out broken. */
struct dirty_lanes {
    struct lane *first;
};

/* Puts the lane into its list, once. */
void lane_mark_dirty(struct lane *lane);

/* Makes room for slot numbers below n. The control thread allocates `slots` (zeroed); returns the
 * former for free(). */
struct consumer **lane_grow_slots(struct lane *lane, struct consumer **slots, uint32_t n) MUST_USE;

/*
 * Shows the consumer everything up to head. True: it sleeps and is to be woken.
 * Shared lanes only.
 */
bool lane_publish(struct lane *lane);

/* A record has been added to the lane's log; one is about to be removed from it. */
void lane_note_filed(struct lane *lane, const struct record *r);
void lane_note_gone(struct lane *lane, const struct record *r);

/* Somebody waits for whatever is released next, or no more; each call has its counterpart. */
void lane_hurry(struct lane *lane, bool is_hurried);

/*
 * Reads how far the consumer has released and counts what it released as delivered. A consumer
 * answers a message before it releases it: while its outgoing ring holds what has not been read,
 * nothing is collected. 0, or -EPROTO: what it wrote cannot be; is_broken is set.
 */
int lane_collect(struct lane *lane) MUST_USE;
/* The same in two steps: what the consumer has written, and, once all that it had answered by then
 * has been read, collecting up to that. */
uint64_t lane_read_released(const struct lane *lane);
int lane_collect_to(struct lane *lane, uint64_t word) MUST_USE;

/* Private lanes: releases everything before `position`, a record's position at most `taken`. */
void lane_release_to(struct lane *lane, uint64_t position);

/*
 * Brings `taken` up to date and keeps the consumer from taking more until lane_unlock. 0 or -EPROTO
 * (is_broken is set).
 */
int lane_lock(struct lane *lane) MUST_USE;
void lane_unlock(struct lane *lane);

/* The consumer has gone: reads its words a last time, then never again. What cannot be counts as
 * taken. */
void lane_abandon(struct lane *lane);

#endif
