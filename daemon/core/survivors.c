/* SPDX-License-Identifier: MIT */
/* Records that a process left in memory, found again by its successor. */
#include "daemon/core/survivors.h"

#include "daemon/core/numbered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef MSGD_CRASH_POINTS
void (*durable_hook)(void);
#endif

/* ---- Finding ---- */

static int add(struct survivors *s, const struct survivor *found)
{
    if (s->n == s->capacity) {
        size_t capacity = s->capacity > 0 ? s->capacity * 2 : 256;
        struct survivor *all = realloc(s->all, capacity * sizeof(*all));
        if (all == NULL)
            return -ENOMEM;
        s->all = all;
        s->capacity = capacity;
    }
    s->all[s->n++] = *found;
    return 0;
}

static bool is_live(const struct record *r)
{
    enum record_kind kind = record_kind_of(record_word_of(r));

    return kind == RECORD_MESSAGE || kind == RECORD_REDELIVERED;
}

/* The record at an offset of a chunk, or NULL where none can be; *next: where to look after it. */
static struct record *record_in(const struct arena_memory *m, uint32_t chunk, uint32_t offset,
                                uint32_t *next)
{
    uint32_t filled = atomic_load_explicit(&m->directory[chunk].filled, memory_order_relaxed);

    if (filled > RING_CHUNK_BYTES || offset + sizeof(struct record) > filled)
        return NULL;
    struct record *r =
        (struct record *)(void *)(m->chunks + (size_t)chunk * RING_CHUNK_BYTES + offset);
    uint32_t word = record_word_of(r);
    enum record_kind kind = record_kind_of(word);
    if (kind < RECORD_MESSAGE || kind > RECORD_DEAD || record_length_of(word) > RING_MAX_PAYLOAD ||
        record_trailer_length_of(word) > RECORD_TRAILER_MAX)
        return NULL;
    *next = offset + record_bytes(record_content_of(word));
    return *next <= filled ? r : NULL;
}

int survivors_add_arena(struct survivors *s, const struct arena_memory *m)
{
    for (uint32_t chunk = 0; chunk < m->n_chunks; chunk++) {
        uint64_t owner = atomic_load_explicit(&m->directory[chunk].owner, memory_order_relaxed);
        struct record *r;

        if (owner == 0)
            continue;
        for (uint32_t at = 0, next; (r = record_in(m, chunk, at, &next)) != NULL; at = next) {
            uint32_t word = record_word_of(r);
            struct survivor found = {.number = owner & ~CHUNK_OF_JOURNAL,
                                     .seq = r->seq,
                                     .record = r,
                                     .is_journal = (owner & CHUNK_OF_JOURNAL) != 0};
            found.was_taken =
                record_kind_of(word) == RECORD_REDELIVERED && record_returns_of(word) == 0;
            int rc = is_live(r) ? add(s, &found) : 0;
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

/* The records of one chunk of a link. */
static int add_chunk(struct survivors *s, const struct link_memory *m, uint32_t chunk,
                     uint64_t start, const struct ring_page *words)
{
    uint64_t taken = atomic_load_explicit(&words->taken, memory_order_relaxed) & ~RING_LOCK;
    uint64_t released = atomic_load_explicit(&words->released, memory_order_relaxed);
    struct record *r;

    for (uint32_t at = 0, next; (r = record_in(&m->arena, chunk, at, &next)) != NULL; at = next) {
        const struct link_slot *slot = r->slot < m->n_slots ? &m->slots[r->slot] : NULL;
        uint64_t position = start + at;

        if (!is_live(r) || position < m->released || slot == NULL || slot->number == 0 ||
            position < slot->departed)
            continue;
        struct survivor found = {.number = slot->number,
                                 .seq = r->seq,
                                 .record = r,
                                 .was_taken = position < taken,
                                 .is_released = start + next <= released && released <= taken};
        int rc = add(s, &found);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int survivors_add_link(struct survivors *s, const struct link_memory *m)
{
    struct ring_page words = {0};
    uint64_t first = m->released / RING_CHUNK_BYTES;

    /* Its consumer may still be at work: what it takes from now on would come twice. */
    atomic_init(&words.taken, atomic_fetch_or(&m->page->taken, RING_LOCK));
    atomic_init(&words.released, atomic_load(&m->page->released));
    for (uint64_t number = first; number < first + RING_TABLE_ENTRIES; number++) {
        uint32_t chunk = atomic_load_explicit(&m->header->table[number % RING_TABLE_ENTRIES],
                                              memory_order_relaxed);
        int rc = chunk < m->arena.n_chunks
                     ? add_chunk(s, m, chunk, number * RING_CHUNK_BYTES, &words)
                     : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct survivor *x = a, *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void survivors_sort(struct survivors *s)
{
    size_t n_sorted = 1;

    /* Mostly they are in order already. */
    while (n_sorted < s->n && compare(&s->all[n_sorted - 1], &s->all[n_sorted]) <= 0)
        n_sorted++;
    if (n_sorted < s->n)
        qsort(s->all, s->n, sizeof(*s->all), compare);
}

void survivors_deinit(struct survivors *s)
{
    free(s->all);
    *s = (struct survivors){0};
}

void survivors_of(const struct survivors *s, uint64_t number, struct remainder *out)
{
    size_t first = numbered_find(s->all, s->n, sizeof(*s->all), number);

    out->all = s->n > 0 ? s->all + first : NULL;
    out->n = 0;
    while (first + out->n < s->n && s->all[first + out->n].number == number)
        out->n++;
}

/* ---- Settling ---- */

static void bury(struct record *r)
{
    atomic_store_explicit(&r->word, record_word_as(RECORD_DEAD, record_word_of(r)),
                          memory_order_relaxed);
    DURABLE_STEP();
}

/* Places of the message at i, which lie side by side. */
static size_t copies_of(const struct remainder *r, size_t i)
{
    size_t n = 1;

    while (i + n < r->n && r->all[i + n].seq == r->all[i].seq)
        n++;
    return n;
}

static void kill_all(const struct remainder *r, size_t i)
{
    for (size_t k = copies_of(r, i); k-- > 0;)
        bury(r->all[i + k].record);
}

/* Messages, each once. What a journal should have and has not is missed when it is to come back. */
static uint64_t count_live(const struct remainder *r, const struct endpoint_state *state)
{
    uint64_t n = spool_in_journal(state);

    for (size_t i = 0; i < r->n; i += copies_of(r, i)) {
        bool is_any_live = false;
        for (size_t k = 0; k < copies_of(r, i); k++)
            is_any_live =
                is_any_live || (!r->all[i + k].is_journal && is_live(r->all[i + k].record));
        n += is_any_live;
    }
    return n;
}

/* How many messages were received and are neither counted nor there; negative: both. */
static int64_t missing(const struct remainder *r, const struct endpoint_state *state)
{
    const struct ledger *l = &state->ledger;

    return (int64_t)(l->received - l->delivered - l->spooled - l->protocol - ledger_dropped(l) -
                     count_live(r, state));
}

static struct survivor *find(const struct remainder *r, uint64_t seq)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->all[i].seq == seq && is_live(r->all[i].record))
            return &r->all[i];
    return NULL;
}

/* A message that was about to be counted as ended: has it been? Then it goes. */
static void settle_end(const struct remainder *r, const struct endpoint_state *state,
                       struct end_intent *intent)
{
    struct survivor *s = intent->number == state->number ? find(r, intent->seq) : NULL;
    int64_t is_pending = r->batch != NULL;

    if (s == NULL)
        return;
    if (is_pending - missing(r, state) > 0) {
        while (s > r->all && s[-1].seq == s->seq)
            s--;
        kill_all(r, (size_t)(s - r->all));
    }
    intent->number = 0;
    DURABLE_STEP();
}

/* What came back has come, and of what a journal holds only that remains which is nowhere else. */
static void settle_spool(struct remainder *r, struct endpoint_state *state,
                         const struct spool_remains *on_disk)
{
    size_t n = 0;

    spool_settle(state, on_disk);
    for (size_t i = 0; i < r->n; i++)
        if (!r->all[i].is_journal && is_live(r->all[i].record))
            spool_found(state, r->all[i].seq);
    for (size_t i = 0; i < r->n; i++)
        if (!r->all[i].is_journal || spool_is_in_journal(state, r->all[i].seq))
            r->all[n++] = r->all[i];
    r->n = n;
    if (n > 0 && r->all[n - 1].seq > state->last_seq)
        state->last_seq = r->all[n - 1].seq;
    spool_recount(state);
}

uint64_t remainder_settle(struct remainder *r, struct endpoint_state *state,
                          const struct spool_remains *on_disk)
{
    struct ledger *l = &state->ledger;
    uint64_t n_done = 0;

    settle_spool(r, state, on_disk);

    for (size_t i = 0; i < r->n_intents; i++)
        settle_end(r, state, r->intents[i]);
    int64_t n = missing(r, state);
    if (n == 1) {
        l->received--; /* it is given again: from the batch, or the quarantine */
        DURABLE_STEP();
    } else if (n > 1) {
        l->dropped[DROP_NO_MEMORY] += (uint64_t)n; /* their memory has not survived */
        DURABLE_STEP();
    }
    if (r->batch != NULL)
        n_done = l->received - r->batch->received;
    l->queued = count_live(r, state);
    return n_done;
}

/* ---- Filing ---- */

/* The copy to go on with; NULL: none is left, or the consumer is done with it. */
static const struct survivor *best_of(const struct remainder *r, size_t i, bool *was_taken)
{
    const struct survivor *best = NULL;

    *was_taken = false;
    for (size_t k = 0; k < copies_of(r, i); k++) {
        const struct survivor *s = &r->all[i + k];
        if (!is_live(s->record) || s->is_released)
            continue;
        *was_taken = *was_taken || s->was_taken;
        if (best == NULL || record_returns_of(record_word_of(s->record)) >
                                record_returns_of(record_word_of(best->record)))
            best = s;
    }
    return best;
}

void remainder_file(const struct remainder *r, struct mailbox *mb)
{
    mb->last_seq = mb->state->last_seq;
    for (size_t i = 0; i < r->n; i += copies_of(r, i)) {
        bool was_taken;
        const struct survivor *s = best_of(r, i, &was_taken);
        if (s == NULL)
            continue;
        if (s->is_journal ? spool_restore(mb, s->record)
                          : mailbox_restore(mb, s->record, was_taken)) {
            if (!s->is_journal)
                spool_note_restored(mb, s->record);
            kill_all(r, i);
        }
    }
    spool_go_on(mb);
}

void remainder_end(const struct remainder *r, struct mailbox *mb)
{
    for (size_t i = 0; i < r->n; i += copies_of(r, i)) {
        bool was_taken, is_any_live = false;
        const struct survivor *s = best_of(r, i, &was_taken);
        for (size_t k = 0; k < copies_of(r, i); k++)
            is_any_live = is_any_live || is_live(r->all[i + k].record);
        if (!is_any_live || r->all[i].is_journal) /* what it lacks is found when it comes to it */
            continue;
        mailbox_count_end(mb, r->all[i].record, s == NULL ? MESSAGE_RELEASED : DROP_NO_MEMORY);
        kill_all(r, i);
    }
}
