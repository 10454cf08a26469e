/* SPDX-License-Identifier: MIT */
/* The hand-over between two threads that race: a mailbox that drops the oldest, and a reader that
 * claims. */
#include "daemon/core/mailbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define N_CHUNKS   16
#define N_MESSAGES 400000
#define BOUND      (96 * 1024)

struct shared {
    struct ring_header *header;
    size_t bytes;
    struct ring_page *page;
    _Atomic bool is_done;
    _Atomic uint64_t n_read;
    _Atomic uint64_t n_torn;
    _Atomic uint64_t n_disorder;
    _Atomic int failed;
};

static bool is_whole(const struct record *r)
{
    const uint8_t *bytes = (const uint8_t *)(r + 1);
    uint32_t n = record_length_of(atomic_load_explicit(&r->word, memory_order_relaxed));

    for (uint32_t i = 0; i < n; i++)
        if (bytes[i] != (uint8_t)(r->seq * 31 + n))
            return false;
    return true;
}

/* Claims a few, looks at every byte, and keeps them for a while before it releases. */
static void *read_all(void *argument)
{
    struct shared *s = argument;
    struct ring_reader reader;
    unsigned seed = 5;
    uint64_t last = 0;

    if (ring_reader_init(&reader, s->header, s->bytes, s->page) != 0) {
        atomic_store(&s->failed, 1);
        return NULL;
    }
    for (;;) {
        bool is_done = atomic_load(&s->is_done);
        int rc = ring_claim(&reader, 1 + (size_t)rand_r(&seed) % 40);
        /* Whoever writes and drops without a pause may hold others up for long. */
        if (rc == -EAGAIN)
            continue;
        if (rc < 0) {
            atomic_store(&s->failed, rc);
            return NULL;
        }
        if (rc == 0) {
            if (is_done)
                return NULL;
            sched_yield();
            continue;
        }
        const struct record *held[64];
        const struct record *r;
        size_t n = 0;
        uint64_t position, end = 0;
        while ((r = ring_next(&reader, &position, &end)) != NULL) {
            atomic_fetch_add(&s->n_disorder, r->seq <= last);
            last = r->seq;
            held[n++] = r;
        }
        for (size_t i = 0; i < n; i++)
            atomic_fetch_add(&s->n_torn, !is_whole(held[i]));
        atomic_fetch_add(&s->n_read, n);
        /* What was counted while claiming may have been dropped just before the claim. */
        if (n > 0)
            ring_release(&reader, end);
    }
}

struct world {
    struct settings settings;
    struct ledger ledger;
    struct account account;
    struct mailbox mailbox;
    struct arena arena;
    struct arena private;
    struct lane lane;
    struct consumer consumer;
    struct dirty_lanes dirty;
    struct shared shared;
    uint8_t *private_chunks;
};

static void open_world(struct world *w, enum when_full when_full)
{
    struct shared *s = &w->shared;

    s->bytes =
        ((sizeof(struct ring_header) + 4095) & ~(size_t)4095) + (size_t)N_CHUNKS * RING_CHUNK_BYTES;
    s->header = aligned_alloc(4096, s->bytes);
    s->page = aligned_alloc(4096, RING_PAGE_BYTES);
    w->private_chunks = aligned_alloc(4096, (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    memset(s->header, 0, sizeof(*s->header));
    memset(s->page, 0, RING_PAGE_BYTES);
    s->header->magic = RING_MAGIC;
    s->header->version = RING_VERSION;
    s->header->chunk_bytes = RING_CHUNK_BYTES;
    s->header->table_entries = RING_TABLE_ENTRIES;
    s->header->arena_bytes = s->bytes;
    s->header->chunks_offset = (uint32_t)(s->bytes - (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    s->header->n_chunks = N_CHUNKS;
    s->header->outgoing_bytes = RING_OUTGOING_BYTES;
    settings_init(&w->settings);
    w->settings.mailbox_bytes = BOUND;
    w->settings.when_full = when_full;
    w->account.limit = 1 << 30;
    struct mailbox_options options = {
        .settings = &w->settings, .account = &w->account, .ledger = &w->ledger};
    uint8_t *chunks = (uint8_t *)s->header + s->header->chunks_offset;
    cr_assert_eq(arena_init(&w->arena, chunks, N_CHUNKS, NULL), 0);
    cr_assert_eq(arena_init(&w->private, w->private_chunks, N_CHUNKS, NULL), 0);
    cr_assert_eq(chunk_log_init(&w->lane.log, &w->arena, s->header, 0), 0);
    cr_assert_eq(mailbox_init(&w->mailbox, &options), 0);
    mailbox_settle(&w->mailbox, &w->private);
    w->lane.page = s->page;
    w->lane.dirty = &w->dirty;
    cr_assert_null(lane_grow_slots(&w->lane, calloc(1, sizeof(struct consumer *)), 1));
    mailbox_join(&w->mailbox, &w->consumer, &w->lane, 0);
}

static void close_world(struct world *w)
{
    chunk_log_deinit(&w->lane.log);
    mailbox_deinit(&w->mailbox);
    arena_deinit(&w->arena);
    arena_deinit(&w->private);
    settings_deinit(&w->settings);
    free(w->lane.slots);
    free(w->shared.header);
    free(w->shared.page);
    free(w->private_chunks);
}

static void race(enum when_full when_full)
{
    struct world w = {0};
    struct record meta = {0};
    uint8_t bytes[2048];
    unsigned seed = 9;
    pthread_t thread;

    open_world(&w, when_full);
    cr_assert_eq(pthread_create(&thread, NULL, read_all, &w.shared), 0);
    for (uint64_t i = 0; i < N_MESSAGES; i++) {
        uint32_t n = 1 + (uint32_t)rand_r(&seed) % (i % 16 == 0 ? sizeof(bytes) : 200);
        memset(bytes, (uint8_t)((w.mailbox.last_seq + 1) * 31 + n), n);
        w.ledger.received++;
        int outcome = mailbox_put(&w.mailbox,
                                  &(struct filing){.meta = &meta,
                                                   .kind = RECORD_MESSAGE,
                                                   .content = {.payload = bytes, .n_payload = n}});
        if (outcome != MESSAGE_KEPT)
            w.ledger.dropped[outcome]++;
        if (i % 8 == 0)
            lane_publish(&w.lane);
        w.lane.is_dirty = false;
        w.dirty.first = NULL;
    }
    lane_publish(&w.lane);
    atomic_store(&w.shared.is_done, true);
    pthread_join(thread, NULL);

    cr_assert_eq(w.shared.failed, 0, "the reader failed: %d", (int)w.shared.failed);
    cr_assert(!w.lane.is_broken, "%s", w.lane.why_broken);
    cr_assert_eq(lane_collect(&w.lane), 0);
    cr_assert_eq(w.shared.n_torn, 0);
    cr_assert_eq(w.shared.n_disorder, 0);
    cr_assert(ledger_holds(&w.ledger));
    cr_assert_eq(w.ledger.queued, 0);
    cr_assert_eq(w.ledger.delivered, w.shared.n_read, "counted %lu, read %lu", w.ledger.delivered,
                 (uint64_t)w.shared.n_read);
    cr_assert_eq(w.ledger.delivered + w.ledger.dropped[DROP_MAILBOX_FULL], N_MESSAGES);
    close_world(&w);
}

Test(ring, either_delivers_or_drops_each_message_when_the_oldest_goes)
{
    race(WHEN_FULL_DROP_OLD);
}

Test(ring, either_delivers_or_drops_each_message_when_the_newest_goes)
{
    race(WHEN_FULL_DROP_NEW);
}

Test(ring, counts_how_often_a_message_came_back_and_no_further_than_it_can)
{
    uint32_t word = record_word(RECORD_MESSAGE, 65535, 66);

    for (uint32_t i = 0; i < 40; i++) {
        cr_expect_eq(record_returns_of(word), i < 31 ? i : 31);
        cr_expect_eq(record_kind_of(word), i == 0 ? RECORD_MESSAGE : RECORD_REDELIVERED);
        cr_expect_eq(record_length_of(word), 65535);
        cr_expect_eq(record_trailer_length_of(word), 66);
        word = record_word_returned(word);
    }
    cr_expect_eq(record_returns_of(record_word_as(RECORD_DEAD, word)), 31);
    cr_expect_eq(record_kind_of(record_word_as(RECORD_DEAD, word)), RECORD_DEAD);
}
