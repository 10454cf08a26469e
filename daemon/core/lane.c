/* SPDX-License-Identifier: MIT */
/* One log on its way to one consumer process. */
#include "daemon/core/lane.h"

#include "daemon/core/mailbox.h"

#include <errno.h>
#include <string.h>

/* A consumer that claims all the time can win this often before its messages are left alone. */
#define LOCK_TRIES 100

void lane_mark_dirty(struct lane *lane)
{
    if (lane->is_dirty)
        return;
    lane->is_dirty = true;
    lane->next_dirty = lane->dirty->first;
    lane->dirty->first = lane;
}

struct consumer **lane_grow_slots(struct lane *lane, struct consumer **slots, uint32_t n)
{
    if (n <= lane->n_slots)
        return slots;
    if (lane->n_slots > 0)
        memcpy(slots, lane->slots, lane->n_slots * sizeof(struct consumer *));
    struct consumer **former = lane->slots;
    lane->slots = slots;
    lane->n_slots = n;
    return former;
}

bool lane_publish(struct lane *lane)
{
    if (lane->page == NULL)
        return false;
    atomic_store_explicit(&lane->log.header->head, lane->log.head, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&lane->page->waiting, memory_order_relaxed) != 0 &&
           atomic_exchange_explicit(&lane->page->waiting, 0, memory_order_relaxed) != 0;
}

static int broken(struct lane *lane, const char *why)
{
    lane->is_broken = true;
    lane->why_broken = why;
    lane_mark_dirty(lane);
    return -EPROTO;
}

/* Keeps the consumer told whether somebody waits for what it releases. */
static void want_release(struct lane *lane, bool is_wanted)
{
    if (lane->log.header != NULL)
        atomic_store_explicit(&lane->log.header->release_wanted, is_wanted, memory_order_relaxed);
}

void lane_note_filed(struct lane *lane, const struct record *r)
{
    /* Before the head moves over the record, so that who releases it has seen this. */
    if (record_is_awaited(r) && lane->n_awaited++ == 0)
        want_release(lane, true);
}

void lane_note_gone(struct lane *lane, const struct record *r)
{
    if (record_is_awaited(r) && --lane->n_awaited == 0)
        want_release(lane, false);
}

void lane_hurry(struct lane *lane, bool is_hurried)
{
    if (is_hurried && lane->n_awaited++ == 0)
        want_release(lane, true);
    if (!is_hurried && --lane->n_awaited == 0)
        want_release(lane, false);
}

/* Who releases a request that lies in memory of its own has answered it by then, or never will. */
static int release_outcome(const struct lane *lane, const struct record *r, uint64_t position)
{
    return lane->log.bits != NULL && record_is_awaited(r) &&
                   !chunk_log_is_answered(&lane->log, position)
               ? MESSAGE_UNANSWERED
               : MESSAGE_RELEASED;
}

static void release_record(struct lane *lane, struct record *r, uint64_t position,
                           struct refund *refund)
{
    struct consumer *c = r->slot < lane->n_slots ? lane->slots[r->slot] : NULL;

    record_prefetch_behind(r, record_word_of(r));
    if (c != NULL && position >= c->departed)
        consumer_released(c, r, release_outcome(lane, r, position), refund);
    lane_note_gone(lane, r);
    if (lane->kept_released != NULL) {
        *lane->kept_released = position + record_bytes_of(r);
        DURABLE_STEP();
    }
    if (lane->log.header == NULL)
        chunk_log_kill(&lane->log, position); /* a successor knows it by nothing else */
    else
        chunk_log_free(&lane->log, position);
}

/*
 * Does walking records from `from` come to exactly `to`? A position behind which nothing is left
 * in its chunk is as good as the next chunk's start.
 */
static bool is_boundary(const struct lane *lane, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t next;
        struct record *r = chunk_log_at(&lane->log, from, &next);
        if (next > to)
            return r == NULL && next % RING_CHUNK_BYTES == 0;
        from = next;
    }
    return true;
}

/* Releases record by record up to `to`. False: there is no record that ends there. */
static bool release_up_to(struct lane *lane, uint64_t to)
{
    struct refund refund = {0};
    bool is_met = true;

    while (lane->released < to) {
        uint64_t next;
        struct record *r = chunk_log_at(&lane->log, lane->released, &next);
        is_met = next <= to || r == NULL;
        if (!is_met)
            break;
        if (r != NULL)
            release_record(lane, r, lane->released, &refund);
        lane->released = next;
    }
    refund_pay(&refund);
    if (lane->taken < lane->released)
        lane->taken = lane->released;
    return is_met;
}

void lane_release_to(struct lane *lane, uint64_t position)
{
    (void)release_up_to(lane, position);
}

uint64_t lane_read_released(const struct lane *lane)
{
    return lane->page != NULL ? atomic_load_explicit(&lane->page->released, memory_order_acquire)
                              : lane->released_word;
}

/* Are there answers, perhaps to what has been released meanwhile, that have not been read yet? */
static bool has_answers(const struct lane *lane)
{
    return lane->outgoing != NULL &&
           atomic_load_explicit(&lane->outgoing->head, memory_order_acquire) !=
               lane->outgoing_taken;
}

int lane_collect(struct lane *lane)
{
    if (lane->page == NULL)
        return 0;
    if (lane->is_broken)
        return -EPROTO;

    uint64_t word = lane_read_released(lane);
    return word == lane->released_word || has_answers(lane) ? 0 : lane_collect_to(lane, word);
}

int lane_collect_to(struct lane *lane, uint64_t word)
{
    if (lane->page == NULL || word == lane->released_word)
        return 0;
    if (lane->is_broken)
        return -EPROTO;
    uint64_t taken = atomic_load_explicit(&lane->page->taken, memory_order_acquire) & ~RING_LOCK;
    if (word < lane->released_word || word > lane->log.head)
        return broken(lane, "its release position cannot be");
    if (word > taken)
        return broken(lane, "it released what it had not taken");
    lane->released_word = word;
    if (!release_up_to(lane, word))
        return broken(lane, "its release position is not at the end of a message");
    return 0;
}

/* Accepts a new value of `taken` from the consumer. */
static int accept_taken(struct lane *lane, uint64_t taken)
{
    if (taken > lane->log.head || !is_boundary(lane, lane->taken, taken))
        return broken(lane, "its take position cannot be");
    if (taken > lane->taken)
        lane->taken = taken;
    return 0;
}

int lane_lock(struct lane *lane)
{
    if (lane->page == NULL)
        return 0;
    if (lane->is_broken)
        return -EPROTO;

    uint64_t taken = atomic_load_explicit(&lane->page->taken, memory_order_acquire);
    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        if (taken & RING_LOCK)
            return broken(lane, "it set the lock bit");
        if (!atomic_compare_exchange_strong_explicit(&lane->page->taken, &taken, taken | RING_LOCK,
                                                     memory_order_seq_cst, memory_order_acquire))
            continue;
        int rc = accept_taken(lane, taken);
        if (rc != 0)
            lane_unlock(lane);
        return rc;
    }
    return broken(lane, "it fights for the take position");
}

void lane_unlock(struct lane *lane)
{
    if (lane->page != NULL)
        atomic_fetch_and_explicit(&lane->page->taken, ~RING_LOCK, memory_order_release);
}

void lane_abandon(struct lane *lane)
{
    if (lane->page == NULL)
        return;
    if (!lane->is_broken && lane_collect_to(lane, lane_read_released(lane)) == 0)
        (void)!accept_taken(lane, atomic_load_explicit(&lane->page->taken, memory_order_acquire) &
                                      ~RING_LOCK);
    if (lane->is_broken)
        lane->taken = lane->log.head;
    lane->page = NULL;
}
