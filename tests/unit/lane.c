/* SPDX-License-Identifier: MIT */
/* What a hostile consumer can write into its page, and what comes of it. */
#include "daemon/core/mailbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define N_CHUNKS 8

struct fixture {
    struct ring_header *header;
    struct ring_page *page;
    struct arena arena;
    struct arena private;
    uint8_t *private_chunks;
    struct lane lane;
    struct consumer consumer;
    struct mailbox mailbox;
    struct settings settings;
    struct ledger ledger;
    struct account account;
    struct dirty_lanes dirty;
};

/* Three messages of 128 bytes each in a lane. */
static void open_fixture(struct fixture *f, enum when_full when_full)
{
    size_t bytes =
        ((sizeof(struct ring_header) + 4095) & ~(size_t)4095) + (size_t)N_CHUNKS * RING_CHUNK_BYTES;

    memset(f, 0, sizeof(*f));
    f->header = aligned_alloc(4096, bytes);
    memset(f->header, 0, sizeof(*f->header));
    f->header->n_chunks = N_CHUNKS;
    f->header->chunks_offset = (uint32_t)(bytes - (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    f->page = aligned_alloc(4096, RING_PAGE_BYTES);
    memset(f->page, 0, RING_PAGE_BYTES);
    f->private_chunks = aligned_alloc(4096, (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    cr_assert_eq(
        arena_init(&f->arena, (uint8_t *)f->header + f->header->chunks_offset, N_CHUNKS, NULL), 0);
    cr_assert_eq(arena_init(&f->private, f->private_chunks, N_CHUNKS, NULL), 0);
    cr_assert_eq(chunk_log_init(&f->lane.log, &f->arena, f->header, 0), 0);
    settings_init(&f->settings);
    f->settings.mailbox_bytes = 3 * 128;
    f->settings.when_full = when_full;
    f->account.limit = 1 << 20;
    struct mailbox_options options = {
        .settings = &f->settings, .account = &f->account, .ledger = &f->ledger};
    cr_assert_eq(mailbox_init(&f->mailbox, &options), 0);
    mailbox_settle(&f->mailbox, &f->private);
    f->lane.page = f->page;
    f->lane.dirty = &f->dirty;
    cr_assert_null(lane_grow_slots(&f->lane, calloc(1, sizeof(struct consumer *)), 1));
    mailbox_join(&f->mailbox, &f->consumer, &f->lane, 0);
    struct record meta = {0};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(mailbox_put(&f->mailbox, &(struct filing){.meta = &meta,
                                                               .kind = RECORD_MESSAGE,
                                                               .content = {.payload = "{\"a\":1}",
                                                                           .n_payload = 7}}),
                     MESSAGE_KEPT);
}

static void close_fixture(struct fixture *f)
{
    struct departure d;

    lane_abandon(&f->lane);
    mailbox_begin_leave(&f->mailbox, &f->consumer);
    departure_begin(&d, &f->lane, NULL, MESSAGE_KEPT);
    while (departure_step(&d, 1000))
        continue;
    mailbox_end_leave(&f->mailbox, &f->consumer);
    mailbox_discard(&f->mailbox, DROP_RELEASED);
    cr_assert_eq(f->mailbox.used, 0);
    mailbox_deinit(&f->mailbox);
    chunk_log_deinit(&f->lane.log);
    arena_deinit(&f->arena);
    arena_deinit(&f->private);
    free(f->lane.slots);
    free(f->header);
    free(f->page);
    free(f->private_chunks);
}

Test(lane, detaches_a_consumer_whose_words_cannot_be)
{
    static const struct {
        const char *name;
        uint64_t taken;
        uint64_t released;
        int outcome;
        uint64_t n_delivered;
    } rows[] = {
        {"nothing yet", 0, 0, 0, 0},
        {"one taken and released", 128, 128, 0, 1},
        {"all", 384, 384, 0, 3},
        {"released more than taken", 128, 256, -EPROTO, 0},
        {"released past the head", UINT64_MAX & ~RING_LOCK, 1 << 20, -EPROTO, 0},
        {"released in the middle of a message", 384, 130, -EPROTO, 1},
        {"released in the middle of the first", 384, 64, -EPROTO, 0},
        {"released at the highest position", UINT64_MAX & ~RING_LOCK, UINT64_MAX, -EPROTO, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        open_fixture(&f, WHEN_FULL_DROP_NEW);
        atomic_store(&f.page->taken, rows[i].taken);
        atomic_store(&f.page->released, rows[i].released);
        cr_assert_eq(lane_collect(&f.lane), rows[i].outcome, "%s", rows[i].name);
        cr_assert_eq(f.ledger.delivered, rows[i].n_delivered, "%s", rows[i].name);
        cr_assert_eq(f.ledger.delivered + f.ledger.queued, 3, "%s", rows[i].name);
        cr_assert_eq(f.lane.is_broken, rows[i].outcome != 0, "%s", rows[i].name);
        close_fixture(&f);
    }
}

Test(lane, detaches_a_consumer_that_goes_back)
{
    struct fixture f;

    open_fixture(&f, WHEN_FULL_DROP_NEW);
    atomic_store(&f.page->taken, 256);
    atomic_store(&f.page->released, 256);
    cr_assert_eq(lane_collect(&f.lane), 0);
    atomic_store(&f.page->released, 128);
    cr_assert_eq(lane_collect(&f.lane), -EPROTO);
    cr_assert_eq(f.ledger.delivered, 2);
    close_fixture(&f);
}

Test(lane, drop_old_spares_what_is_taken)
{
    static const struct {
        const char *name;
        uint64_t taken;
        int outcome;
        uint64_t n_dropped;
        bool is_broken;
    } rows[] = {
        {"nothing taken: the first goes", 0, MESSAGE_KEPT, 1, false},
        {"one taken: the second goes", 128, MESSAGE_KEPT, 1, false},
        {"all taken: the new one goes", 384, DROP_MAILBOX_FULL, 0, false},
        {"the lock bit set by the consumer", RING_LOCK, DROP_MAILBOX_FULL, 0, true},
        {"taken in the middle of a message", 192, DROP_MAILBOX_FULL, 0, true},
        {"taken past the head", 1 << 20, DROP_MAILBOX_FULL, 0, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct record meta = {0};
        open_fixture(&f, WHEN_FULL_DROP_OLD);
        atomic_store(&f.page->taken, rows[i].taken);
        cr_assert_eq(
            mailbox_put(&f.mailbox, &(struct filing){.meta = &meta,
                                                     .kind = RECORD_MESSAGE,
                                                     .content = {.payload = "[]", .n_payload = 2}}),
            rows[i].outcome, "%s", rows[i].name);
        cr_assert_eq(f.ledger.dropped[DROP_MAILBOX_FULL], rows[i].n_dropped, "%s", rows[i].name);
        cr_assert_eq(f.lane.is_broken, rows[i].is_broken, "%s", rows[i].name);
        cr_assert_eq(f.ledger.queued, 3, "%s", rows[i].name);
        close_fixture(&f);
    }
}

Test(lane, marks_what_the_consumer_had_taken_as_redelivered)
{
    struct fixture f;
    struct departure d;
    uint64_t next, position;
    int n_redelivered = 0, n_fresh = 0;

    open_fixture(&f, WHEN_FULL_DROP_NEW);
    atomic_store(&f.page->taken, 256);
    atomic_store(&f.page->released, 128);
    lane_abandon(&f.lane);
    mailbox_begin_leave(&f.mailbox, &f.consumer);
    departure_begin(&d, &f.lane, NULL, MESSAGE_KEPT);
    cr_assert(!departure_step(&d, 1 << 20));
    struct chunk_log *log = &f.mailbox.older.log;
    for (position = log->tail; position < log->head; position = next) {
        struct record *r = chunk_log_at(log, position, &next);
        if (r == NULL)
            continue;
        if (record_kind_of(r->word) == RECORD_REDELIVERED) {
            cr_assert_eq(r->seq, 2);
            cr_assert_eq(record_returns_of(r->word), 1);
            n_redelivered++;
        } else {
            cr_assert_eq(r->seq, 3);
            cr_assert_eq(record_returns_of(r->word), 0);
            n_fresh++;
        }
    }
    cr_assert_eq(n_redelivered, 1);
    cr_assert_eq(n_fresh, 1);
    cr_assert_eq(f.ledger.delivered, 1);
    mailbox_end_leave(&f.mailbox, &f.consumer);
    mailbox_join(&f.mailbox, &f.consumer, &f.lane, 0);
    close_fixture(&f);
}

Test(lane, finds_only_positions_where_a_record_begins)
{
    struct fixture f;

    open_fixture(&f, WHEN_FULL_DROP_NEW);
    for (uint64_t p = 0; p < 1024; p++)
        cr_assert_eq(chunk_log_find(&f.lane.log, p) != NULL, p % 128 == 0 && p < 384,
                     "position %lu", p);
    cr_assert_null(chunk_log_find(&f.lane.log, UINT64_MAX));
    cr_assert_null(chunk_log_find(&f.lane.log, UINT64_MAX & ~UINT64_C(63)));
    cr_assert(chunk_log_answer(&f.lane.log, 128));
    cr_assert(!chunk_log_answer(&f.lane.log, 128));
    cr_assert(chunk_log_answer(&f.lane.log, 0));
    close_fixture(&f);
}

static void release(struct fixture *f, uint64_t to)
{
    atomic_store(&f->page->taken, to);
    atomic_store(&f->page->released, to);
}

Test(lane, reads_the_answers_to_what_was_released_before_it_counts_as_released)
{
    struct ring_outgoing *answers = aligned_alloc(64, sizeof(*answers) + 64);
    struct fixture f;

    memset(answers, 0, sizeof(*answers) + 64);
    open_fixture(&f, WHEN_FULL_DROP_NEW);
    f.lane.outgoing = answers;
    atomic_store(&answers->head, 64);
    release(&f, 128);
    cr_assert_eq(lane_collect(&f.lane), 0);
    cr_expect_eq(f.ledger.delivered, 0, "an answer has not been read yet");
    uint64_t word = lane_read_released(&f.lane);
    release(&f, 256);
    cr_assert_eq(lane_collect_to(&f.lane, word), 0);
    cr_expect_eq(f.ledger.delivered, 1, "what was released before the answers were read");
    f.lane.outgoing_taken = 64;
    cr_assert_eq(lane_collect(&f.lane), 0);
    cr_expect_eq(f.ledger.delivered, 2);
    f.lane.outgoing = NULL;
    close_fixture(&f);
    free(answers);
}

static int last_outcome; /* MESSAGE_KEPT: nothing was told */

static void on_settled(void *context, const struct record *r, int outcome)
{
    (void)context;
    (void)r;
    last_outcome = outcome;
}

Test(lane, tells_of_a_release_where_somebody_waits_for_it)
{
    static const struct {
        const char *name;
        struct message_tag tag;
        bool is_answered;
        int outcome;
    } rows[] = {
        {"a plain message", {0}, false, MESSAGE_KEPT},
        {"a send", {.type = MESSAGE_SEND}, false, MESSAGE_KEPT},
        {"a send that is awaited",
         {.type = MESSAGE_SEND, .is_awaited = true},
         false,
         MESSAGE_UNANSWERED},
        {"the same, answered", {.type = MESSAGE_SEND, .is_awaited = true}, true, MESSAGE_RELEASED},
        {"a request", {.type = MESSAGE_REQUEST, .is_awaited = true}, false, MESSAGE_UNANSWERED},
        {"the same, answered", {.type = MESSAGE_REQUEST, .is_awaited = true}, true, MESSAGE_KEPT},
        {"a reply", {.type = MESSAGE_REPLY}, true, MESSAGE_KEPT},
    };
    struct record meta = {0};
    struct fixture f;

    open_fixture(&f, WHEN_FULL_DROP_NEW);
    f.mailbox.settled = on_settled;
    release(&f, f.lane.log.head);
    cr_assert_eq(lane_collect(&f.lane), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t trailer[RECORD_TRAILER_MAX];
        uint64_t position = f.lane.log.head;
        struct filing filing = {.meta = &meta,
                                .kind = RECORD_MESSAGE,
                                .content = {.payload = "1",
                                            .n_payload = 1,
                                            .trailer = trailer,
                                            .n_trailer = message_tag_write(&rows[i].tag, trailer)}};
        last_outcome = MESSAGE_KEPT;
        cr_assert_eq(mailbox_put(&f.mailbox, &filing), MESSAGE_KEPT);
        cr_expect_eq(f.header->release_wanted, rows[i].tag.is_awaited, "%s", rows[i].name);
        if (rows[i].is_answered)
            cr_assert(chunk_log_answer(&f.lane.log, position));
        release(&f, f.lane.log.head);
        cr_assert_eq(lane_collect(&f.lane), 0);
        cr_expect_eq(last_outcome, rows[i].outcome, "%s", rows[i].name);
        cr_expect_eq(f.header->release_wanted, 0, "%s", rows[i].name);
    }
    f.mailbox.settled = NULL;
    close_fixture(&f);
}
