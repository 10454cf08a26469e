/* SPDX-License-Identifier: MIT */
/*
 * Whatever an arena says, a reader stays inside it and goes forward.
 * Input: head, tail and taken (8 bytes each), then writes of 6 bytes: where, what.
 */
#include "proto/ring.h"
#include "tests/fuzz/fuzz.h"

#define N_CHUNKS     2u
#define N_SLOTS      (N_CHUNKS * RING_CHUNK_BYTES / RING_RECORD_ALIGN)
#define LAST_TABLE   7u
#define MAX_POSITION (6u * RING_CHUNK_BYTES)
#define ARENA_BYTES  (sizeof(struct ring_header) + N_CHUNKS * (size_t)RING_CHUNK_BYTES)

static struct ring_header *arena_new(void)
{
    struct ring_header *h = aligned_alloc(64, ARENA_BYTES);

    HOLDS(h != NULL);
    memset((void *)h, 0, ARENA_BYTES);
    h->magic = RING_MAGIC;
    h->version = RING_VERSION;
    h->chunk_bytes = RING_CHUNK_BYTES;
    h->table_entries = RING_TABLE_ENTRIES;
    h->arena_bytes = ARENA_BYTES;
    h->chunks_offset = sizeof *h;
    h->n_chunks = N_CHUNKS;
    h->outgoing_bytes = RING_OUTGOING_BYTES;
    return h;
}

/* An entry of the table, or the first word of a record. */
static _Atomic uint32_t *target(struct ring_header *h, unsigned where)
{
    if (where % 4 == 0)
        return &h->table[where / 4 % (LAST_TABLE + 1)];
    return (_Atomic uint32_t *)((uint8_t *)(h + 1) + where / 4 % N_SLOTS * RING_RECORD_ALIGN);
}

static void write_all(struct ring_header *h, const uint8_t *data, size_t size, bool undo)
{
    for (; size >= 6; data += 6, size -= 6) {
        uint32_t what;

        memcpy(&what, data + 2, sizeof what);
        *target(h, data[0] + data[1] * 256u) = undo ? 0 : what;
    }
}

static void check_record(const struct ring_header *h, const struct record *r)
{
    size_t offset = (size_t)((const uint8_t *)r - (const uint8_t *)(h + 1));
    uint32_t length = record_length_of(r->word);
    enum record_kind kind = record_kind_of(r->word);
    struct address a;
    struct message_tag tag;

    HOLDS(offset % RING_RECORD_ALIGN == 0 && offset / RING_CHUNK_BYTES < N_CHUNKS);
    HOLDS(length <= RING_MAX_PAYLOAD);
    HOLDS(record_trailer_length_of(r->word) <= RECORD_TRAILER_MAX);
    HOLDS(offset % RING_CHUNK_BYTES + record_bytes(record_content_of(r->word)) <= RING_CHUNK_BYTES);
    HOLDS(kind == RECORD_MESSAGE || kind == RECORD_REDELIVERED);
    record_from(r, &a);
    record_to(r, &a);
    record_tag(r, &tag);
    HOLDS(tag.n_id < RECORD_TRAILER_MAX);
    HOLDS(tag.n_id == 0 || tag.id + tag.n_id == (const char *)(r + 1) + record_content_of(r->word));
}

static void read_all(const struct ring_header *h, struct ring_page *page)
{
    struct ring_reader r;
    uint64_t position;
    uint64_t end;
    uint64_t last;

    HOLDS(ring_reader_init(&r, h, ARENA_BYTES, page) == 0);
    last = r.next;
    while (ring_claim(&r, 3) == 1) {
        const struct record *record;

        while ((record = ring_next(&r, &position, &end)) != NULL) {
            HOLDS(position >= last && end > position && end <= r.claimed);
            check_record(h, record);
            ring_release(&r, end);
            last = end;
        }
        HOLDS(page->taken == r.claimed && page->released <= r.claimed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ring_header *h;
    struct ring_page page = {0};
    uint64_t at[3];

    if (size < sizeof at)
        return 0;
    if (h == NULL)
        h = arena_new();
    memcpy(at, data, sizeof at);
    h->head = at[0] % MAX_POSITION;
    h->tail = at[1] % (MAX_POSITION / RING_CHUNK_BYTES) * RING_CHUNK_BYTES;
    page.taken = at[2] % MAX_POSITION & ~RING_LOCK;
    write_all(h, data + sizeof at, size - sizeof at, false);
    read_all(h, &page);
    write_all(h, data + sizeof at, size - sizeof at, true);
    return 0;
}
