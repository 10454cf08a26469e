/* SPDX-License-Identifier: MIT */
/* The consumer's side of the shared memory: claiming, reading, waiting, answering. */
#include "proto/ring.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

/* How often a reader looks again while msgd changes something; msgd does so for a few instructions.
 */
#define MAX_TRIES 100000

static void wait_a_little(unsigned tries)
{
    if (tries % 64 == 63)
        sched_yield();
    else
        ring_pause();
}

static void record_address(const uint8_t ip[16], uint16_t port, uint32_t scope, struct address *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    *out = (struct address){.port = port, .scope = scope};
    memcpy(out->ip, ip, sizeof(out->ip));
    out->family = memcmp(ip, mapped, sizeof(mapped)) == 0 ? ADDRESS_IPV4 : ADDRESS_IPV6;
}

void record_from(const struct record *r, struct address *out)
{
    record_address(r->from_ip, r->from_port, 0, out);
    if (out->family == ADDRESS_IPV6 && address_is_link_local(out))
        out->scope = r->scope;
}

void record_to(const struct record *r, struct address *out)
{
    record_address(r->to_ip, r->to_port, 0, out);
    if (out->family == ADDRESS_IPV6 && (address_is_multicast(out) || address_is_link_local(out)))
        out->scope = r->scope;
}

#define MAX_UNITS 0x7fu /* of the allowance, beside RECORD_WANTS_DISK */

void record_tag(const struct record *r, struct message_tag *out)
{
    uint32_t word = atomic_load_explicit(&r->word, memory_order_relaxed);
    uint32_t n = record_trailer_length_of(word);
    const uint8_t *trailer = (const uint8_t *)(r + 1) + record_length_of(word);

    *out = (struct message_tag){0};
    if (n < RECORD_TRAILER_HEAD)
        return;
    enum message_type type = (enum message_type)(*trailer & ~RECORD_AWAITED);
    if (type != MESSAGE_SEND && type != MESSAGE_REQUEST && type != MESSAGE_REPLY)
        return;
    out->type = type;
    out->is_awaited = (*trailer & RECORD_AWAITED) != 0;
    out->wants_disk = (trailer[1] & RECORD_WANTS_DISK) != 0;
    out->allowance = (trailer[1] & MAX_UNITS) * RECORD_ALLOWANCE_UNIT;
    out->n_id = n - RECORD_TRAILER_HEAD;
    out->id = (const char *)trailer + RECORD_TRAILER_HEAD;
}

uint32_t message_tag_write(const struct message_tag *tag, uint8_t trailer[RECORD_TRAILER_MAX])
{
    if (tag->type == MESSAGE_PLAIN)
        return 0;
    trailer[0] = (uint8_t)((uint8_t)tag->type | (tag->is_awaited ? RECORD_AWAITED : 0));
    size_t units = tag->allowance / RECORD_ALLOWANCE_UNIT;
    trailer[1] = units < MAX_UNITS ? (uint8_t)units : MAX_UNITS;
    trailer[1] |= tag->wants_disk ? RECORD_WANTS_DISK : 0;
    if (tag->n_id > 0)
        memcpy(trailer + RECORD_TRAILER_HEAD, tag->id, tag->n_id);
    return tag->n_id + RECORD_TRAILER_HEAD;
}

const char *message_type_name(enum message_type type)
{
    switch (type) {
    case MESSAGE_SEND:
        return "send";
    case MESSAGE_REQUEST:
        return "request";
    case MESSAGE_REPLY:
        return "reply";
    case MESSAGE_PLAIN:
        break;
    }
    return "plain";
}

int ring_reader_init(struct ring_reader *r, const void *arena, size_t arena_bytes,
                     struct ring_page *page)
{
    const struct ring_header *h = arena;

    if (arena_bytes < sizeof(*h) || h->magic != RING_MAGIC || h->version != RING_VERSION)
        return -EPROTO;
    if (h->chunk_bytes != RING_CHUNK_BYTES || h->table_entries != RING_TABLE_ENTRIES ||
        h->outgoing_bytes != RING_OUTGOING_BYTES || h->arena_bytes != arena_bytes)
        return -EPROTO;
    if (h->chunks_offset < sizeof(*h) || h->chunks_offset % RING_RECORD_ALIGN != 0 ||
        (arena_bytes - h->chunks_offset) / RING_CHUNK_BYTES < h->n_chunks)
        return -EPROTO;

    uint64_t taken = atomic_load_explicit(&page->taken, memory_order_acquire) & ~RING_LOCK;
    *r = (struct ring_reader){
        .header = h, .page = page, .arena_bytes = arena_bytes, .next = taken, .claimed = taken};
    return 0;
}

/* What lies at a position. */
struct sight {
    const struct record *record; /* NULL: nothing to hand out here */
    uint64_t next;               /* where to look after it */
};

/* One look, which counts only if the epoch was even and did not move. 0, -EAGAIN, -EPROTO. */
static int look(const struct ring_reader *r, uint64_t position, struct sight *out)
{
    const struct ring_header *h = r->header;
    uint64_t epoch = atomic_load_explicit(&h->epoch, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&h->tail, memory_order_relaxed);
    uint32_t chunk = atomic_load_explicit(
        &h->table[position / RING_CHUNK_BYTES % RING_TABLE_ENTRIES], memory_order_acquire);
    uint32_t offset = (uint32_t)(position % RING_CHUNK_BYTES);
    const struct record *record = NULL;
    uint32_t word = 0;

    if (position >= tail && chunk < h->n_chunks && offset % RING_RECORD_ALIGN == 0) {
        record = (const void *)((const uint8_t *)h + h->chunks_offset +
                                (size_t)chunk * RING_CHUNK_BYTES + offset);
        word = atomic_load_explicit(&record->word, memory_order_acquire);
    }
    atomic_thread_fence(memory_order_acquire);
    if (epoch % 2 != 0 || atomic_load_explicit(&h->epoch, memory_order_relaxed) != epoch)
        return -EAGAIN;

    if (position < tail) {
        *out = (struct sight){.next = tail};
        return 0;
    }
    if (chunk == RING_HOLE || (record != NULL && record_kind_of(word) == RECORD_END)) {
        *out = (struct sight){.next = ring_next_chunk(position)};
        return 0;
    }
    if (record == NULL || record_length_of(word) > RING_MAX_PAYLOAD ||
        record_trailer_length_of(word) > RECORD_TRAILER_MAX ||
        record_bytes(record_content_of(word)) > RING_CHUNK_BYTES - offset)
        return -EPROTO;
    record_prefetch_behind(record, word);
    out->next = position + record_bytes(record_content_of(word));
    switch (record_kind_of(word)) {
    case RECORD_MESSAGE:
    case RECORD_REDELIVERED:
        out->record = record;
        return 0;
    case RECORD_DEAD:
        out->record = NULL;
        return 0;
    default:
        return -EPROTO;
    }
}

/* Walks from the end of what is claimed past at most max messages. *end: where it came to. */
static int count_waiting(const struct ring_reader *r, size_t max, uint64_t *end, size_t *n)
{
    uint64_t head = atomic_load_explicit(&r->header->head, memory_order_acquire);
    uint64_t position = r->claimed;

    *n = 0;
    while (position < head && *n < max) {
        struct sight sight;
        int rc = look(r, position, &sight);
        if (rc != 0)
            return rc;
        *n += sight.record != NULL;
        position = sight.next;
    }
    *end = position;
    return 0;
}

int ring_claim(struct ring_reader *r, size_t max)
{
    for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
        uint64_t end;
        size_t n;
        int rc = count_waiting(r, max, &end, &n);
        if (rc == -EAGAIN) {
            wait_a_little(tries);
            continue;
        }
        if (rc != 0)
            return rc;
        if (end == r->claimed)
            return 0;
        uint64_t expected = r->claimed;
        if (!atomic_compare_exchange_strong_explicit(&r->page->taken, &expected, end,
                                                     memory_order_seq_cst, memory_order_relaxed)) {
            if ((expected & ~RING_LOCK) != r->claimed)
                return -EPROTO;
            wait_a_little(tries);
            continue;
        }
        r->claimed = end;
        if (n > 0)
            return 1;
    }
    return -EAGAIN;
}

const struct record *ring_next(struct ring_reader *r, uint64_t *position, uint64_t *end)
{
    unsigned tries = 0;

    while (r->next < r->claimed) {
        struct sight sight;
        int rc = look(r, r->next, &sight);
        if (rc == -EAGAIN && tries++ < MAX_TRIES) {
            wait_a_little(tries);
            continue;
        }
        if (rc != 0)
            return NULL;
        uint64_t at = r->next;
        r->next = sight.next;
        if (sight.record != NULL) {
            *position = at;
            *end = sight.next;
            return sight.record;
        }
    }
    return NULL;
}

bool ring_prepare_wait(struct ring_reader *r)
{
    atomic_store_explicit(&r->page->waiting, 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&r->header->head, memory_order_acquire) <= r->claimed)
        return true;
    ring_cancel_wait(r);
    return false;
}

void ring_cancel_wait(struct ring_reader *r)
{
    atomic_store_explicit(&r->page->waiting, 0, memory_order_relaxed);
}

int ring_outgoing_put(struct ring_outgoing *ring, const struct ring_header *arena,
                      const struct outgoing_record *header, const void *payload)
{
    if (header->length > RING_MAX_PAYLOAD)
        return -EMSGSIZE;

    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t taken = atomic_load_explicit(&arena->outgoing_taken, memory_order_acquire);
    uint32_t offset = (uint32_t)(head % RING_OUTGOING_BYTES);
    uint32_t to_end = RING_OUTGOING_BYTES - offset;
    uint32_t bytes = (uint32_t)(sizeof(*header) + header->length + 63) & ~UINT32_C(63);
    uint32_t skip = bytes > to_end ? to_end : 0;

    if (head - taken + skip + bytes > RING_OUTGOING_BYTES)
        return -EAGAIN;
    if (skip > 0) {
        struct outgoing_record pad = {.kind = OUTGOING_SKIP, .length = skip};
        memcpy(ring->bytes + offset, &pad, sizeof(pad));
        offset = 0;
    }
    memcpy(ring->bytes + offset, header, sizeof(*header));
    if (header->length > 0)
        memcpy(ring->bytes + offset + sizeof(*header), payload, header->length);
    atomic_store_explicit(&ring->head, head + skip + bytes, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&arena->doorbell_wanted, memory_order_relaxed) != 0;
}

uint32_t ring_outgoing_get(const struct ring_outgoing *ring, uint64_t taken, uint64_t left,
                           struct outgoing_record *out, void *payload)
{
    uint32_t offset = (uint32_t)(taken % RING_OUTGOING_BYTES);
    uint32_t to_end = RING_OUTGOING_BYTES - offset;

    memcpy(out, ring->bytes + offset, sizeof(*out));
    if (out->kind == OUTGOING_SKIP)
        return out->length == to_end && out->length <= left ? out->length : 0;
    if ((out->kind != OUTGOING_REPLY && out->kind != OUTGOING_SEND) ||
        out->length > RING_MAX_PAYLOAD)
        return 0;
    uint32_t bytes = (uint32_t)(sizeof(*out) + out->length + 63) & ~UINT32_C(63);
    if (bytes > left || bytes > to_end)
        return 0;
    memcpy(payload, ring->bytes + offset + sizeof(*out), out->length);
    return bytes;
}
