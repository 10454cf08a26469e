/* SPDX-License-Identifier: MIT */
/* Memory that outlives the process, and what a predecessor left in its own. */
#include "daemon/data/vault.h"

#include "daemon/base/log.h"
#include "daemon/core/numbered.h"
#include "daemon/store/stash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE         4096u
#define TABLE_ROWS   (UINT32_C(1) << 17)
#define LAYOUT(type) ((uint64_t)sizeof(type) << 32 | N_DROP_REASONS)

struct table_head {
    struct vault_head head;
    uint64_t last_key; /* of pieces of memory */
    _Alignas(4096) struct endpoint_state rows[];
};

struct piece {
    struct stash_item item;
    struct shared_memory memory;
};

struct past_row {
    uint64_t number; /* first (core/numbered) */
    struct endpoint_state *row;
};

struct vault {
    struct stash *stash;
    struct shared_memory memory;
    struct table_head *table;
    uint32_t n_touched;    /* rows below it have been used at some time */
    struct past_row *past; /* of a predecessor, by number */
    size_t n_past;
    struct endpoint_state **free; /* n_free, room for all rows that were ever given back */
    size_t n_free;
    size_t free_capacity;

    struct piece *pieces; /* of a predecessor */
    size_t n_pieces;
    size_t capacity;
    int error;
    struct survivors survivors;
    struct end_intent **intents;
    struct batch_head **batches;
    size_t n_batches; /* of both */
};

static struct vault_head head_of(uint64_t layout)
{
    return (struct vault_head){.magic = VAULT_MAGIC, .version = VAULT_VERSION, .layout = layout};
}

static int check_head(const struct shared_memory *m, size_t n_bytes, uint64_t layout)
{
    const struct vault_head *h = m->bytes;

    if (m->n_bytes >= n_bytes && h->magic == VAULT_MAGIC && h->version == VAULT_VERSION &&
        h->layout == layout)
        return 0;
    log_error("the memory of the last msgd is of a version that this one does not know; it is left "
              "as it is");
    return -EPROTONOSUPPORT;
}

static size_t slots_offset(uint32_t n_chunks)
{
    size_t directory = ((size_t)n_chunks * sizeof(struct chunk_entry) + PAGE - 1) / PAGE * PAGE;

    return sizeof(struct link_remains) + directory;
}

struct link_slot *link_remains_slots(struct link_remains *s)
{
    return (struct link_slot *)(void *)((uint8_t *)s + slots_offset((uint32_t)s->n_chunks));
}

static size_t link_remains_bytes(uint32_t n_chunks)
{
    return slots_offset(n_chunks) + LINK_SLOTS * sizeof(struct link_slot);
}

/* ---- The table of endpoints ---- */

static int compare_rows(const void *a, const void *b)
{
    uint64_t x = ((const struct past_row *)a)->number;
    uint64_t y = ((const struct past_row *)b)->number;

    return x < y ? -1 : x > y;
}

static void give_row(struct vault *v, struct endpoint_state *row)
{
    if (v->n_free == v->free_capacity) {
        size_t capacity = v->free_capacity > 0 ? v->free_capacity * 2 : 64;
        struct endpoint_state **rows = realloc(v->free, capacity * sizeof(struct endpoint_state *));
        if (rows == NULL)
            return; /* it is not used again in this life */
        v->free = rows;
        v->free_capacity = capacity;
    }
    v->free[v->n_free++] = row;
}

/* Rows that may have been used. */
static uint32_t rows_touched(const struct vault *v)
{
    size_t bytes = shared_memory_extent(&v->memory);
    size_t n = bytes > sizeof(struct table_head)
                   ? (bytes - sizeof(struct table_head)) / sizeof(struct endpoint_state)
                   : 0;

    return n < TABLE_ROWS ? (uint32_t)n : TABLE_ROWS;
}

static int read_table(struct vault *v)
{
    uint32_t n = rows_touched(v);

    while (n > 0 && v->table->rows[n - 1].number == 0)
        n--;
    v->n_touched = n;
    v->past = n > 0 ? calloc(n, sizeof(*v->past)) : NULL;
    if (n > 0 && v->past == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        if (v->table->rows[i].number != 0)
            v->past[v->n_past++] = (struct past_row){v->table->rows[i].number, &v->table->rows[i]};
        else
            give_row(v, &v->table->rows[i]);
    if (v->n_past > 1)
        qsort(v->past, v->n_past, sizeof(*v->past), compare_rows);
    return 0;
}

static int open_table(struct vault *v)
{
    const struct stash_item item = {.kind = STASH_STATE, .index = 1};
    size_t bytes = sizeof(struct table_head) + TABLE_ROWS * sizeof(struct endpoint_state);
    int fd = stash_take(v->stash, &item);
    int rc;

    bytes = (bytes + PAGE - 1) / PAGE * PAGE;
    if (fd >= 0) {
        rc = shared_memory_adopt(&v->memory, fd);
        if (rc == 0)
            rc = check_head(&v->memory, bytes, LAYOUT(struct endpoint_state));
        v->table = v->memory.bytes;
        return rc == 0 ? read_table(v) : rc;
    }
    rc = shared_memory_open(&v->memory, "msgd-endpoints", bytes);
    if (rc != 0)
        return rc;
    v->table = v->memory.bytes;
    v->table->head = head_of(LAYOUT(struct endpoint_state));
    return stash_put(v->stash, &item, v->memory.descriptor);
}

static struct endpoint_state *find_past(const struct vault *v, uint64_t number)
{
    size_t i = numbered_find(v->past, v->n_past, sizeof(*v->past), number);

    /* The row may be another's by now. */
    return i < v->n_past && v->past[i].row->number == number ? v->past[i].row : NULL;
}

struct endpoint_state *vault_row(struct vault *v, uint64_t number, bool *is_past)
{
    struct endpoint_state *row = find_past(v, number);

    *is_past = row != NULL;
    if (row != NULL)
        return row;
    if (v->n_free > 0)
        row = v->free[--v->n_free];
    else if (v->n_touched < TABLE_ROWS)
        row = &v->table->rows[v->n_touched++];
    else
        return NULL;
    memset(row, 0, sizeof(*row));
    DURABLE_STEP();
    row->number = number;
    return row;
}

void vault_give_row(struct vault *v, struct endpoint_state *row)
{
    row->number = 0;
    DURABLE_STEP();
    give_row(v, row);
}

void vault_forget(struct vault *v, uint64_t number)
{
    struct endpoint_state *row = find_past(v, number);

    if (row != NULL)
        vault_give_row(v, row);
}

/* ---- Memory of workers and links ---- */

static int put(struct vault *v, uint32_t kind, uint64_t key, const struct shared_memory *m)
{
    const struct stash_item item = {.kind = kind, .key = key};

    return stash_put(v->stash, &item, m->descriptor);
}

static void remove_piece(struct vault *v, uint32_t kind, uint64_t key)
{
    const struct stash_item item = {.kind = kind, .key = key};

    stash_remove(v->stash, &item);
}

int vault_worker(struct vault *v, struct worker_memory *out, uint32_t n_chunks, size_t batch_bytes)
{
    uint64_t key = ++v->table->last_key;
    size_t bytes = PAGE + (size_t)n_chunks * sizeof(struct chunk_entry);
    int rc = shared_memory_open(&out->arena, "msgd-mailboxes", (size_t)n_chunks * RING_CHUNK_BYTES);

    if (rc == 0)
        rc =
            shared_memory_open(&out->directory, "msgd-directory", (bytes + PAGE - 1) / PAGE * PAGE);
    if (rc == 0)
        rc = shared_memory_open(&out->batch, "msgd-batch", (batch_bytes + PAGE - 1) / PAGE * PAGE);
    if (rc != 0)
        return rc;
    *(struct vault_head *)out->directory.bytes = head_of(LAYOUT(struct chunk_entry));
    ((struct batch_head *)out->batch.bytes)->head = head_of(batch_bytes);
    rc = put(v, STASH_ARENA, key, &out->arena);
    if (rc == 0)
        rc = put(v, STASH_STATE, key, &out->directory);
    return rc == 0 ? put(v, STASH_BATCH, key, &out->batch) : rc;
}

int vault_batch(struct vault *v, struct shared_memory *out, size_t batch_bytes, uint64_t *key)
{
    int rc = shared_memory_open(out, "msgd-batch", (batch_bytes + PAGE - 1) / PAGE * PAGE);

    *key = 0;
    if (rc != 0)
        return rc;
    ((struct batch_head *)out->bytes)->head = head_of(batch_bytes);
    if (v == NULL)
        return 0;
    *key = ++v->table->last_key;
    return put(v, STASH_BATCH, *key, out);
}

void vault_batch_gone(struct vault *v, uint64_t key)
{
    remove_piece(v, STASH_BATCH, key);
}

struct chunk_entry *worker_memory_directory(const struct worker_memory *m)
{
    return (struct chunk_entry *)(void *)((uint8_t *)m->directory.bytes + PAGE);
}

void worker_memory_close(struct worker_memory *m)
{
    shared_memory_close(&m->arena);
    shared_memory_close(&m->directory);
    shared_memory_close(&m->batch);
}

int vault_link(struct vault *v, const struct shared_memory *arena, const struct shared_memory *page,
               uint32_t n_chunks, struct shared_memory *state, uint64_t *key)
{
    int rc = shared_memory_open(state, "msgd-link", link_remains_bytes(n_chunks));

    if (rc != 0)
        return rc;
    struct link_remains *s = state->bytes;
    *key = ++v->table->last_key;
    s->head = head_of(LAYOUT(struct link_slot));
    s->n_chunks = n_chunks;
    rc = put(v, STASH_LINK_ARENA, *key, arena);
    if (rc == 0)
        rc = put(v, STASH_LINK_PAGE, *key, page);
    if (rc == 0)
        rc = put(v, STASH_LINK_STATE, *key, state);
    close(state->descriptor);
    state->descriptor = -1;
    return rc;
}

void vault_link_gone(struct vault *v, uint64_t key)
{
    remove_piece(v, STASH_LINK_STATE, key);
    remove_piece(v, STASH_LINK_PAGE, key);
    remove_piece(v, STASH_LINK_ARENA, key);
}

/* ---- A predecessor's ---- */

static bool is_memory(uint32_t kind)
{
    return kind == STASH_ARENA || kind == STASH_STATE || kind == STASH_BATCH ||
           kind == STASH_LINK_ARENA || kind == STASH_LINK_PAGE || kind == STASH_LINK_STATE;
}

static void take_piece(void *context, const struct stash_item *item)
{
    struct vault *v = context;
    if (!is_memory(item->kind))
        return;
    int fd = v->error == 0 ? stash_take(v->stash, item) : -ECANCELED;

    if (fd < 0)
        return;
    if (v->n_pieces == v->capacity) {
        size_t capacity = v->capacity > 0 ? v->capacity * 2 : 64;
        struct piece *pieces = realloc(v->pieces, capacity * sizeof(*pieces));
        if (pieces == NULL) {
            close(fd);
            v->error = -ENOMEM;
            return;
        }
        v->pieces = pieces;
        v->capacity = capacity;
    }
    struct piece *p = &v->pieces[v->n_pieces];
    *p = (struct piece){.item = *item};
    v->error = shared_memory_adopt(&p->memory, fd);
    v->n_pieces += v->error == 0;
}

static const struct shared_memory *piece_of(const struct vault *v, uint32_t kind, uint64_t key)
{
    for (size_t i = 0; i < v->n_pieces; i++)
        if (v->pieces[i].item.kind == kind && v->pieces[i].item.key == key)
            return &v->pieces[i].memory;
    return NULL;
}

static int read_worker(struct vault *v, const struct shared_memory *directory, uint64_t key)
{
    const struct shared_memory *arena = piece_of(v, STASH_ARENA, key);
    int rc = check_head(directory, PAGE, LAYOUT(struct chunk_entry));

    if (rc != 0 || arena == NULL)
        return rc;
    size_t n = (directory->n_bytes - PAGE) / sizeof(struct chunk_entry);
    if (n > arena->n_bytes / RING_CHUNK_BYTES)
        n = arena->n_bytes / RING_CHUNK_BYTES;
    struct arena_memory m = {.chunks = arena->bytes,
                             .directory = (const void *)((uint8_t *)directory->bytes + PAGE),
                             .n_chunks = (uint32_t)n};
    return survivors_add_arena(&v->survivors, &m);
}

static int read_link(struct vault *v, const struct shared_memory *state, uint64_t key)
{
    const struct shared_memory *arena = piece_of(v, STASH_LINK_ARENA, key);
    const struct shared_memory *page = piece_of(v, STASH_LINK_PAGE, key);
    int rc = check_head(state, sizeof(struct link_remains), LAYOUT(struct link_slot));

    if (rc != 0 || arena == NULL || page == NULL)
        return rc;
    struct link_remains *s = state->bytes;
    struct ring_header *h = arena->bytes;
    if (arena->n_bytes < sizeof(*h) || h->magic != RING_MAGIC || h->version != RING_VERSION ||
        s->n_chunks > h->n_chunks || state->n_bytes < link_remains_bytes((uint32_t)s->n_chunks) ||
        arena->n_bytes < h->chunks_offset + (size_t)h->n_chunks * RING_CHUNK_BYTES ||
        page->n_bytes < RING_PAGE_BYTES)
        return check_head(state, SIZE_MAX, 0);
    atomic_store(&h->state, RING_ENDED);
    struct link_memory m = {.arena = {.chunks = (uint8_t *)h + h->chunks_offset,
                                      .directory = s->directory,
                                      .n_chunks = (uint32_t)s->n_chunks},
                            .header = h,
                            .page = page->bytes,
                            .released = s->released,
                            .slots = link_remains_slots(s),
                            .n_slots = LINK_SLOTS};
    return survivors_add_link(&v->survivors, &m);
}

static int read_batch(struct vault *v, const struct shared_memory *m)
{
    struct batch_head *b = m->bytes;
    int rc = check_head(m, sizeof(*b), b->head.layout);

    if (rc != 0)
        return rc;
    v->intents[v->n_batches] = &b->intent;
    v->batches[v->n_batches++] = b;
    return 0;
}

static int read_past(struct vault *v)
{
    int rc = v->error;

    v->intents = calloc(v->n_pieces + 1, sizeof(struct end_intent *));
    v->batches = calloc(v->n_pieces + 1, sizeof(struct batch_head *));
    if (v->intents == NULL || v->batches == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < v->n_pieces && rc == 0; i++) {
        const struct piece *p = &v->pieces[i];
        if (p->item.kind == STASH_STATE)
            rc = read_worker(v, &p->memory, p->item.key);
        else if (p->item.kind == STASH_LINK_STATE)
            rc = read_link(v, &p->memory, p->item.key);
        else if (p->item.kind == STASH_BATCH)
            rc = read_batch(v, &p->memory);
    }
    survivors_sort(&v->survivors);
    return rc;
}

int vault_open(struct vault **out, struct stash *stash)
{
    struct vault *v = calloc(1, sizeof(*v));

    *out = NULL;
    if (v == NULL)
        return -ENOMEM;
    v->stash = stash;
    int rc = open_table(v);
    if (rc == 0)
        stash_each_left(stash, 0, take_piece, v);
    if (rc == 0)
        rc = read_past(v);
    if (rc != 0) {
        vault_close(v);
        return error_trace(rc, "cannot go on with the memory of the last msgd");
    }
    if (v->survivors.n > 0)
        log_info("%zu messages were in the memory of the last msgd", v->survivors.n);
    *out = v;
    return 0;
}

static void let_go(struct vault *v)
{
    for (size_t i = 0; i < v->n_pieces; i++)
        shared_memory_close(&v->pieces[i].memory);
    survivors_deinit(&v->survivors);
    free(v->pieces);
    free(v->intents);
    free(v->batches);
    v->pieces = NULL;
    v->intents = NULL;
    v->batches = NULL;
    v->n_pieces = v->n_batches = 0;
}

struct vault *vault_close(struct vault *v)
{
    if (v == NULL)
        return NULL;
    let_go(v);
    shared_memory_close(&v->memory);
    free(v->past);
    free(v->free);
    free(v);
    return NULL;
}

void vault_remainder(struct vault *v, uint64_t number, struct remainder *out,
                     struct receive_batch **batch)
{
    *out = (struct remainder){.intents = v->intents, .n_intents = v->n_batches};
    *batch = NULL;
    survivors_of(&v->survivors, number, out);
    for (size_t i = 0; i < v->n_batches; i++) {
        struct batch_state *state = &v->batches[i]->state;
        if (state->number != number ||
            (state->stage != BATCH_IN_HAND && state->stage != BATCH_TAKEN))
            continue;
        out->batch = state;
        *batch = (struct receive_batch *)(void *)v->batches[i];
    }
}

struct receive_batch *vault_batch_away(struct vault *v, uint64_t number)
{
    for (size_t i = 0; i < v->n_batches; i++)
        if (v->batches[i]->state.stage == BATCH_AWAY && v->batches[i]->state.number == number)
            return (struct receive_batch *)(void *)v->batches[i];
    return NULL;
}

bool vault_has_past(const struct vault *v)
{
    return v->n_pieces > 0;
}

void vault_settle(struct vault *v)
{
    for (size_t i = 0; i < v->n_pieces; i++)
        stash_remove(v->stash, &v->pieces[i].item);
    let_go(v);
}
