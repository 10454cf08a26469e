/* SPDX-License-Identifier: MIT */
/* A log of records in chunks of an arena. */
#include "daemon/core/chunk_log.h"

#include "daemon/core/durable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An empty log starts over from this offset on, so that it stays in the part of a chunk that is in
 * the cache. */
#define REWIND_OFFSET (64u * 1024u)

static uint32_t entry_of(const struct chunk_log *log, uint64_t position)
{
    return (uint32_t)(position / RING_CHUNK_BYTES % log->n_entries);
}

static uint32_t offset_of(uint64_t position)
{
    return (uint32_t)(position % RING_CHUNK_BYTES);
}

static uint32_t chunk_at(const struct chunk_log *log, uint64_t position)
{
    return atomic_load_explicit(&log->table[entry_of(log, position)], memory_order_relaxed);
}

/* Between these two a reader's look does not count (a sequence lock with one writer). */
static void begin_change(struct chunk_log *log)
{
    if (log->header == NULL)
        return;
    uint64_t epoch = atomic_load_explicit(&log->header->epoch, memory_order_relaxed);
    atomic_store_explicit(&log->header->epoch, epoch + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void end_change(struct chunk_log *log)
{
    if (log->header == NULL)
        return;
    atomic_store_explicit(&log->header->tail, log->tail, memory_order_relaxed);
    uint64_t epoch = atomic_load_explicit(&log->header->epoch, memory_order_relaxed);
    atomic_store_explicit(&log->header->epoch, epoch + 1, memory_order_release);
}

uint32_t chunk_log_entries(uint64_t bytes)
{
    /* A quarter of each chunk may stay unused behind records of 64 KiB; two logs may be put in one
     * row. */
    return (uint32_t)(bytes / RING_CHUNK_BYTES * 2 + 8);
}

int chunk_log_init(struct chunk_log *log, struct arena *arena, struct ring_header *header,
                   uint32_t n_entries)
{
    if (header != NULL)
        n_entries = RING_TABLE_ENTRIES;
    *log = (struct chunk_log){.arena = arena, .header = header, .n_entries = n_entries};
    struct chunk_log_tables tables = {0};
    if (header != NULL) {
        log->table = header->table;
        log->live = calloc(n_entries, sizeof(*log->live));
        log->bits = calloc(arena->n_chunks, sizeof(*log->bits));
        for (uint32_t i = 0; i < n_entries; i++)
            atomic_store_explicit(&log->table[i], RING_HOLE, memory_order_relaxed);
    } else if (chunk_log_tables_new(&tables, n_entries) == 0) {
        log->table = tables.table;
        log->live = tables.live;
    }
    if (log->live != NULL && (header == NULL || log->bits != NULL))
        return 0;
    free(log->live);
    free(log->bits);
    *log = (struct chunk_log){0};
    return -ENOMEM;
}

int chunk_log_tables_new(struct chunk_log_tables *t, uint32_t n_entries)
{
    *t = (struct chunk_log_tables){.n_entries = n_entries};
    t->table = malloc(n_entries * sizeof(*t->table));
    t->live = calloc(n_entries, sizeof(*t->live));
    if (t->table == NULL || t->live == NULL) {
        chunk_log_tables_free(t);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < n_entries; i++)
        atomic_store_explicit(&t->table[i], RING_HOLE, memory_order_relaxed);
    return 0;
}

void chunk_log_tables_free(struct chunk_log_tables *t)
{
    free(t->table);
    free(t->live);
    *t = (struct chunk_log_tables){0};
}

void chunk_log_grow(struct chunk_log *log, struct chunk_log_tables *t)
{
    if (t->n_entries <= log->n_entries)
        return;

    struct chunk_log former = *log;
    log->table = t->table;
    log->live = t->live;
    log->n_entries = t->n_entries;
    for (uint64_t p = former.tail; p < former.head; p += RING_CHUNK_BYTES) {
        atomic_store_explicit(&log->table[entry_of(log, p)], chunk_at(&former, p),
                              memory_order_relaxed);
        log->live[entry_of(log, p)] = former.live[entry_of(&former, p)];
    }
    *t = (struct chunk_log_tables){
        .table = former.table, .live = former.live, .n_entries = former.n_entries};
}

void chunk_log_leave(struct chunk_log *log)
{
    if (log->header == NULL)
        free(log->table);
    free(log->live);
    free(log->bits);
    *log = (struct chunk_log){0};
}

void chunk_log_deinit(struct chunk_log *log)
{
    if (log->table != NULL) {
        for (uint64_t p = log->tail; p < log->head; p += RING_CHUNK_BYTES)
            if (chunk_at(log, p) != RING_HOLE)
                arena_give(log->arena, chunk_at(log, p));
        if (log->has_head_chunk && offset_of(log->head) == 0)
            arena_give(log->arena, chunk_at(log, log->head));
    }
    chunk_log_leave(log);
}

static void advance_tail(struct chunk_log *log)
{
    while (log->tail < log->head && chunk_at(log, log->tail) == RING_HOLE)
        log->tail += RING_CHUNK_BYTES;
}

/* The head has left or leaves the chunk of `position`, and nothing in it is live. */
static void free_chunk(struct chunk_log *log, uint64_t position)
{
    uint32_t chunk = chunk_at(log, position);

    begin_change(log);
    atomic_store_explicit(&log->table[entry_of(log, position)], RING_HOLE, memory_order_relaxed);
    advance_tail(log);
    end_change(log);
    arena_give(log->arena, chunk);
}

/* Goes on at the next chunk; what is left of this one stays unused. offset_of(head) != 0. */
static void leave_chunk(struct chunk_log *log)
{
    uint64_t position = log->head;
    uint64_t start = position - offset_of(position);

    log->head = start + RING_CHUNK_BYTES;
    log->has_head_chunk = false;
    if (log->live[entry_of(log, start)] == 0) {
        free_chunk(log, start);
        return;
    }
    struct record *end = (struct record *)(void *)(arena_chunk(log->arena, chunk_at(log, start)) +
                                                   offset_of(position));
    atomic_store_explicit(&end->word, record_word(RECORD_END, 0, 0), memory_order_release);
}

static bool enter_chunk(struct chunk_log *log)
{
    if ((log->head - log->tail) / RING_CHUNK_BYTES >= log->n_entries)
        return false;
    uint32_t chunk = arena_take(log->arena);
    if (chunk == RING_HOLE)
        return false;
    struct chunk_entry *entry = &log->arena->directory[chunk];
    log->filled = &entry->filled;
    atomic_store_explicit(&entry->filled, 0, memory_order_relaxed);
    DURABLE_STEP();
    atomic_store_explicit(&entry->owner, log->owner, memory_order_relaxed);
    log->live[entry_of(log, log->head)] = 0;
    log->has_head_chunk = true;
    if (log->bits != NULL)
        memset(&log->bits[chunk], 0, sizeof(log->bits[chunk]));
    atomic_store_explicit(&log->table[entry_of(log, log->head)], chunk, memory_order_release);
    return true;
}

struct record *chunk_log_reserve(struct chunk_log *log, uint32_t bytes)
{
    uint32_t offset = offset_of(log->head);

    if (offset != 0 &&
        (offset + bytes > RING_CHUNK_BYTES || (log->n_live == 0 && offset >= REWIND_OFFSET))) {
        leave_chunk(log);
        offset = 0;
    }
    if (!log->has_head_chunk && !enter_chunk(log))
        return NULL;
    return (struct record *)(void *)(arena_chunk(log->arena, chunk_at(log, log->head)) + offset);
}

static uint64_t *bit_word(uint64_t *words, uint64_t position, uint64_t *mask)
{
    uint32_t bit = offset_of(position) / RING_RECORD_ALIGN;

    *mask = UINT64_C(1) << bit % 64;
    return &words[bit / 64];
}

uint64_t chunk_log_commit(struct chunk_log *log, uint32_t bytes)
{
    uint64_t position = log->head;

    if (log->bits != NULL) {
        uint64_t mask;
        *bit_word(log->bits[chunk_at(log, position)].begins, position, &mask) |= mask;
    }

    log->live[entry_of(log, position)]++;
    log->n_live++;
    DURABLE_STEP();
    atomic_store_explicit(log->filled, offset_of(position) + bytes, memory_order_release);
    DURABLE_STEP();
    log->head += bytes;
    if (offset_of(log->head) == 0)
        log->has_head_chunk = false;
    return position;
}

struct record *chunk_log_at(const struct chunk_log *log, uint64_t position, uint64_t *next)
{
    if (position < log->tail) {
        *next = log->tail;
        return NULL;
    }
    uint32_t chunk = chunk_at(log, position);
    if (chunk == RING_HOLE) {
        *next = ring_next_chunk(position);
        return NULL;
    }
    struct record *r =
        (struct record *)(void *)(arena_chunk(log->arena, chunk) + offset_of(position));
    uint32_t word = atomic_load_explicit(&r->word, memory_order_relaxed);
    if (record_kind_of(word) == RECORD_END) {
        *next = ring_next_chunk(position);
        return NULL;
    }
    *next = position + record_bytes(record_content_of(word));
    return record_kind_of(word) == RECORD_DEAD ? NULL : r;
}

struct record *chunk_log_find(const struct chunk_log *log, uint64_t position)
{
    uint64_t mask, next;

    if (position < log->tail || position >= log->head || position % RING_RECORD_ALIGN != 0)
        return NULL;
    uint32_t chunk = chunk_at(log, position);
    if (chunk == RING_HOLE || !(*bit_word(log->bits[chunk].begins, position, &mask) & mask))
        return NULL;
    return chunk_log_at(log, position, &next);
}

bool chunk_log_answer(struct chunk_log *log, uint64_t position)
{
    uint64_t mask;
    uint64_t *word = bit_word(log->bits[chunk_at(log, position)].answered, position, &mask);

    if (*word & mask)
        return false;
    *word |= mask;
    return true;
}

bool chunk_log_is_answered(const struct chunk_log *log, uint64_t position)
{
    uint64_t mask;

    return (*bit_word(log->bits[chunk_at(log, position)].answered, position, &mask) & mask) != 0;
}

void chunk_log_free(struct chunk_log *log, uint64_t position)
{
    uint64_t start = position - offset_of(position);
    uint32_t entry = entry_of(log, position);

    log->n_live--;
    if (--log->live[entry] > 0)
        return;
    if (log->head - start >= RING_CHUNK_BYTES) {
        free_chunk(log, start);
    } else if (log->header == NULL && log->n_live == 0) {
        /* A private log that is empty holds no memory. */
        log->head = start + RING_CHUNK_BYTES;
        log->has_head_chunk = false;
        free_chunk(log, start);
    }
}

void chunk_log_kill(struct chunk_log *log, uint64_t position)
{
    uint64_t next;
    struct record *r = chunk_log_at(log, position, &next);
    uint32_t word = atomic_load_explicit(&r->word, memory_order_relaxed);

    atomic_store_explicit(&r->word, record_word_as(RECORD_DEAD, word), memory_order_release);
    DURABLE_STEP();
    chunk_log_free(log, position);
}

bool chunk_log_append_all(struct chunk_log *log, struct chunk_log *from)
{
    if (from->n_live == 0)
        return true;
    if (offset_of(log->head) != 0)
        leave_chunk(log);
    else if (log->has_head_chunk) {
        arena_give(log->arena, chunk_at(log, log->head));
        atomic_store_explicit(&log->table[entry_of(log, log->head)], RING_HOLE,
                              memory_order_relaxed);
        log->has_head_chunk = false;
    }
    advance_tail(log);
    uint64_t span =
        (from->head + RING_CHUNK_BYTES - 1) / RING_CHUNK_BYTES - from->tail / RING_CHUNK_BYTES;
    if ((log->head - log->tail) / RING_CHUNK_BYTES + span > log->n_entries)
        return false;

    uint64_t shift = log->head - from->tail;
    for (uint64_t p = from->tail; p < from->head; p += RING_CHUNK_BYTES) {
        uint32_t chunk = chunk_at(from, p);
        log->live[entry_of(log, p + shift)] =
            chunk == RING_HOLE ? 0 : from->live[entry_of(from, p)];
        atomic_store_explicit(&log->table[entry_of(log, p + shift)], chunk, memory_order_relaxed);
        atomic_store_explicit(&from->table[entry_of(from, p)], RING_HOLE, memory_order_relaxed);
    }
    log->n_live += from->n_live;
    log->head = from->head + shift;
    log->has_head_chunk = offset_of(log->head) != 0;
    log->filled = from->filled;
    advance_tail(log);
    from->n_live = 0;
    if (offset_of(from->head) != 0) {
        from->head = ring_next_chunk(from->head);
        from->has_head_chunk = false;
    }
    from->tail = from->head;
    return true;
}
