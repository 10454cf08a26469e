/* SPDX-License-Identifier: MIT */
/* Mailboxes and lanes under random operations, with the real reader of proto/ring.h as consumer. */
#include "daemon/core/mailbox.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define N_CHUNKS 64
#ifdef __SANITIZE_ADDRESS__
#define N_SEEDS 3
#else
#define N_SEEDS 10
#endif
#define MAX_CONSUMERS 4

static uint64_t state;

static uint32_t random_below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 20) % n);
}

/* A consumer process: an arena, a page, a reader, and what it has in hand. */
struct process {
    struct ring_header *header;
    struct ring_page *page;
    struct arena arena;
    struct lane lane;
    struct consumer consumer;
    struct ring_reader reader;
    bool is_there;
    uint64_t last_seq;
    uint64_t end; /* of what it has read */
};

struct world {
    struct settings settings;
    struct ledger ledger;
    struct account account;
    struct mailbox mailbox;
    struct arena private;
    uint8_t *private_chunks;
    struct dirty_lanes dirty;
    struct process processes[MAX_CONSUMERS];
    uint8_t *delivered; /* by seq: times read */
    uint8_t *awaited;   /* by seq: framed ones that have not been settled */
    uint64_t n_awaited;
    uint64_t n_put;
};

static void on_settled(void *context, const struct record *r, int outcome)
{
    struct world *w = context;
    struct message_tag tag;

    record_tag(r, &tag);
    cr_assert(tag.n_id == 5 && memcmp(tag.id, "once?", 5) == 0);
    cr_assert(outcome >= 0 || tag.is_awaited);
    cr_assert(outcome < N_DROP_REASONS && outcome != MESSAGE_KEPT);
    cr_assert(!tag.is_awaited || w->awaited[r->seq], "%lu was settled twice", r->seq);
    w->n_awaited -= tag.is_awaited;
    w->awaited[r->seq] = 0;
}

static void world_open(struct world *w, enum endpoint_mode mode, enum when_full when_full,
                       uint64_t bytes)
{
    memset(w, 0, sizeof(*w));
    settings_init(&w->settings);
    w->settings.mode = mode;
    w->settings.when_full = when_full;
    w->settings.mailbox_bytes = bytes;
    w->account.limit = UINT64_C(1) << 30;
    w->private_chunks = aligned_alloc(64, (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    w->delivered = calloc(1 << 20, 1);
    w->awaited = calloc(1 << 20, 1);
    cr_assert_eq(arena_init(&w->private, w->private_chunks, N_CHUNKS, NULL), 0);
    struct mailbox_options options = {.settings = &w->settings,
                                      .account = &w->account,
                                      .ledger = &w->ledger,
                                      .settled = on_settled,
                                      .context = w};
    cr_assert_eq(mailbox_init(&w->mailbox, &options), 0);
    mailbox_settle(&w->mailbox, &w->private);
    uint64_t n = copies_slots(bytes / RING_RECORD_ALIGN * MAX_CONSUMERS);
    struct copy_entry *former = copies_grow(&w->mailbox.copies, calloc(n, sizeof(*former)), n);
    cr_assert_null(former);
}

static void process_join(struct world *w, struct process *p)
{
    size_t bytes =
        ((sizeof(struct ring_header) + 4095) & ~(size_t)4095) + (size_t)N_CHUNKS * RING_CHUNK_BYTES;

    memset(p, 0, sizeof(*p));
    p->header = aligned_alloc(64, bytes);
    p->page = aligned_alloc(64, RING_PAGE_BYTES);
    memset(p->header, 0, sizeof(*p->header));
    memset(p->page, 0, RING_PAGE_BYTES);
    p->header->magic = RING_MAGIC;
    p->header->version = RING_VERSION;
    p->header->chunk_bytes = RING_CHUNK_BYTES;
    p->header->table_entries = RING_TABLE_ENTRIES;
    p->header->arena_bytes = bytes;
    p->header->chunks_offset = (uint32_t)(bytes - (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    p->header->n_chunks = N_CHUNKS;
    p->header->outgoing_bytes = RING_OUTGOING_BYTES;
    cr_assert_eq(
        arena_init(&p->arena, (uint8_t *)p->header + p->header->chunks_offset, N_CHUNKS, NULL), 0);
    cr_assert_eq(chunk_log_init(&p->lane.log, &p->arena, p->header, 0), 0);
    p->lane.page = p->page;
    p->lane.dirty = &w->dirty;
    cr_assert_null(lane_grow_slots(&p->lane, calloc(1, sizeof(struct consumer *)), 1));
    mailbox_join(&w->mailbox, &p->consumer, &p->lane, 0);
    cr_assert_eq(ring_reader_init(&p->reader, p->header, bytes, p->page), 0);
    p->is_there = true;
}

static void flush(struct world *w)
{
    while (w->dirty.first != NULL) {
        struct lane *lane = w->dirty.first;
        w->dirty.first = lane->next_dirty;
        lane->is_dirty = false;
        cr_assert(!lane->is_broken, "%s", lane->why_broken);
        lane_publish(lane);
    }
}

static void process_leave(struct world *w, struct process *p)
{
    struct departure departure;

    lane_abandon(&p->lane);
    cr_assert(!p->lane.is_broken, "%s", p->lane.why_broken);
    mailbox_begin_leave(&w->mailbox, &p->consumer);
    departure_begin(&departure, &p->lane, NULL, MESSAGE_KEPT);
    while (departure_step(&departure, 4096))
        if (random_below(2) == 0 && w->mailbox.last_seq < (1 << 20) - 1) {
            /* Messages that come in the middle of it queue behind. */
            struct record meta = {0};
            w->ledger.received++;
            int outcome = mailbox_put(
                &w->mailbox, &(struct filing){.meta = &meta,
                                              .kind = RECORD_MESSAGE,
                                              .content = {.payload = "[1]", .n_payload = 3}});
            if (outcome != MESSAGE_KEPT)
                w->ledger.dropped[outcome]++;
        }
    mailbox_end_leave(&w->mailbox, &p->consumer);
    flush(w);
    chunk_log_deinit(&p->lane.log);
    arena_deinit(&p->arena);
    free(p->lane.slots);
    free(p->header);
    free(p->page);
    p->is_there = false;
}

static void put(struct world *w)
{
    uint8_t bytes[RING_MAX_PAYLOAD];
    uint32_t n = random_below(50) == 0 ? random_below(RING_MAX_PAYLOAD + 1) : 8 + random_below(300);
    uint64_t mark = w->mailbox.last_seq + 1;
    struct record meta = {.time_ns = 42};
    uint8_t trailer[RECORD_TRAILER_MAX];
    struct message_tag tag = {.n_id = 5, .id = "once?", .is_awaited = random_below(2) == 0};

    if (mark >= 1 << 20)
        return;
    memset(bytes, (int)(mark & 0xff), n);
    if (random_below(3) == 0)
        tag.type = MESSAGE_SEND;
    struct filing filing = {.meta = &meta,
                            .kind = RECORD_MESSAGE,
                            .content = {.payload = bytes,
                                        .n_payload = n,
                                        .trailer = trailer,
                                        .n_trailer = message_tag_write(&tag, trailer)}};
    w->ledger.received++;
    if (random_below(4) == 0)
        mailbox_prepay(&w->mailbox, random_below(2000));
    int outcome = mailbox_put(&w->mailbox, &filing);
    mailbox_refund(&w->mailbox);
    if (outcome != MESSAGE_KEPT) {
        w->ledger.dropped[outcome]++;
    } else if (tag.type == MESSAGE_SEND && tag.is_awaited) {
        w->awaited[mark] = 1;
        w->n_awaited++;
    }
}

static void process_read(struct world *w, struct process *p, bool is_ordered)
{
    uint64_t position, end;
    const struct record *r;

    if (ring_claim(&p->reader, 1 + random_below(20)) != 1)
        return;
    while ((r = ring_next(&p->reader, &position, &end)) != NULL) {
        uint32_t n = record_length_of(r->word);
        const uint8_t *payload = (const uint8_t *)(r + 1);
        struct message_tag tag;
        record_tag(r, &tag);
        cr_assert(tag.type == MESSAGE_PLAIN || (tag.n_id == 5 && memcmp(tag.id, "once?", 5) == 0));
        cr_assert_gt(r->seq, 0);
        if (is_ordered)
            cr_assert_gt(r->seq, p->last_seq);
        p->last_seq = r->seq;
        if (n > 3)
            for (uint32_t i = 0; i < n; i += 61)
                cr_assert_eq(payload[i], (uint8_t)r->seq, "torn message %lu", r->seq);
        if (record_kind_of(r->word) == RECORD_MESSAGE && w->mailbox.mode != MODE_COPY)
            cr_assert_eq(w->delivered[r->seq], 0, "%lu came twice unmarked", r->seq);
        w->delivered[r->seq] = 1;
        p->end = end;
    }
}

static void check_law(struct world *w)
{
    uint64_t held = 0;

    cr_assert(ledger_holds(&w->ledger));
    for (struct consumer *c = w->mailbox.consumers; c != NULL; c = c->next)
        held += c->queued;
    held += w->mailbox.older.log.n_live + w->mailbox.backlog.log.n_live;
    if (w->mailbox.mode != MODE_COPY)
        cr_assert_eq(held, w->ledger.queued, "%lu held, %lu queued", held, w->ledger.queued);
    else
        cr_assert_geq(held, w->ledger.queued);
    cr_assert_eq(w->mailbox.used, w->account.used);
    for (int i = 0; i < MAX_CONSUMERS; i++)
        if (w->processes[i].is_there)
            cr_assert_eq(w->processes[i].header->release_wanted,
                         w->processes[i].lane.n_awaited > 0);
}

static void drain_everything(struct world *w, bool is_ordered)
{
    struct process *p = &w->processes[0];

    if (!p->is_there)
        process_join(w, p);
    for (int i = 0; i < 100000 && w->ledger.queued > 0; i++) {
        mailbox_move(&w->mailbox, 100000);
        flush(w);
        for (int k = 0; k < MAX_CONSUMERS; k++) {
            struct process *each = &w->processes[k];
            if (!each->is_there)
                continue;
            process_read(w, each, is_ordered);
            ring_release(&each->reader, each->end);
            cr_assert_eq(lane_collect(&each->lane), 0, "%s", each->lane.why_broken);
        }
    }
    cr_assert_eq(w->ledger.queued, 0);
    cr_assert_eq(w->mailbox.used, 0);
    cr_assert_eq(w->account.used, 0);
}

static void world_close(struct world *w)
{
    for (int i = 0; i < MAX_CONSUMERS; i++)
        if (w->processes[i].is_there)
            process_leave(w, &w->processes[i]);
    mailbox_discard(&w->mailbox, DROP_RELEASED);
    check_law(w);
    cr_assert_eq(w->ledger.queued, 0);
    cr_assert_eq(w->n_awaited, 0, "%lu were never settled", w->n_awaited);
    mailbox_deinit(&w->mailbox);
    cr_assert_eq(w->private.n_free, w->private.n_touched, "a chunk was lost");
    arena_deinit(&w->private);
    settings_deinit(&w->settings);
    free(w->private_chunks);
    free(w->delivered);
    free(w->awaited);
}

struct story {
    const char *name;
    enum endpoint_mode mode;
    enum when_full when_full;
    uint64_t bytes;
    int n_consumers;
};

static void run_story(const struct story *s, uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    bool is_ordered = s->mode != MODE_SHARE;

    state = seed;
    world_open(w, s->mode, s->when_full, s->bytes);
    for (int i = 0; i < 20000; i++) {
        struct process *p = &w->processes[random_below((uint32_t)s->n_consumers)];
        switch (random_below(40)) {
        case 0:
            if (random_below(20) != 0)
                break;
            if (p->is_there)
                process_leave(w, p);
            else
                process_join(w, p);
            break;
        case 1:
            mailbox_move(&w->mailbox, 10000);
            break;
        case 2 ... 9:
            if (p->is_there)
                process_read(w, p, is_ordered);
            break;
        case 10 ... 13:
            if (p->is_there && p->end > 0) {
                ring_release(&p->reader, p->end);
                cr_assert_eq(lane_collect(&p->lane), 0, "%s", p->lane.why_broken);
            }
            break;
        default:
            put(w);
        }
        flush(w);
        check_law(w);
    }
    drain_everything(w, is_ordered);
    world_close(w);
    free(w);
}

Test(mailbox, keeps_its_law_under_random_operations)
{
    static const struct story stories[] = {
        {"exclusive, drop-new", MODE_EXCLUSIVE, WHEN_FULL_DROP_NEW, 1 << 20, 1},
        {"exclusive, drop-old", MODE_EXCLUSIVE, WHEN_FULL_DROP_OLD, 1 << 18, 1},
        {"exclusive, tiny", MODE_EXCLUSIVE, WHEN_FULL_DROP_OLD, 70000, 1},
        {"share, drop-new", MODE_SHARE, WHEN_FULL_DROP_NEW, 1 << 19, 4},
        {"share, drop-old", MODE_SHARE, WHEN_FULL_DROP_OLD, 1 << 18, 3},
        {"copy, drop-new", MODE_COPY, WHEN_FULL_DROP_NEW, 1 << 18, 4},
        {"copy, drop-old", MODE_COPY, WHEN_FULL_DROP_OLD, 1 << 18, 3},
    };

    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
        for (uint64_t seed = 1; seed <= N_SEEDS; seed++)
            run_story(&stories[i], seed * 0x9e3779b97f4a7c15u);
}

/* Records of 128 bytes. */
Test(mailbox, keeps_what_the_account_allows_whatever_is_prepaid)
{
    static const struct {
        const char *name;
        uint64_t limit, prepaid;
        uint64_t n_kept; /* of four */
    } rows[] = {
        {"all of it", 512, 512, 4},       {"less than comes", 512, 200, 4},
        {"more than comes", 600, 600, 4}, {"more than is allowed", 384, 512, 3},
        {"nothing", 384, 0, 3},           {"what is allowed", 256, 256, 2},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = calloc(1, sizeof(*w));
        struct record meta = {0};
        world_open(w, MODE_EXCLUSIVE, WHEN_FULL_DROP_NEW, 1 << 16);
        w->account.limit = rows[i].limit;
        mailbox_prepay(&w->mailbox, rows[i].prepaid);
        for (uint64_t n = 1; n <= 4; n++) {
            struct filing filing = {.meta = &meta,
                                    .kind = RECORD_MESSAGE,
                                    .content = {.payload = "[1]", .n_payload = 3}};
            int outcome = mailbox_put(&w->mailbox, &filing);
            w->ledger.received++;
            w->ledger.dropped[DROP_QUOTA_EXCEEDED] += outcome == (int)DROP_QUOTA_EXCEEDED;
            cr_expect_eq(outcome, n <= rows[i].n_kept ? MESSAGE_KEPT : (int)DROP_QUOTA_EXCEEDED,
                         "%s: message %lu", rows[i].name, n);
        }
        mailbox_refund(&w->mailbox);
        cr_expect_eq(w->account.used, rows[i].n_kept * 128, "%s", rows[i].name);
        world_close(w);
        free(w);
    }
}

/* ---- Who was there before ---- */

static void put_small(struct world *w, unsigned n)
{
    struct record meta = {0};
    struct filing filing = {
        .meta = &meta, .kind = RECORD_MESSAGE, .content = {.payload = "[1]", .n_payload = 3}};

    for (; n > 0; n--) {
        w->ledger.received++;
        cr_assert_eq(mailbox_put(&w->mailbox, &filing), MESSAGE_KEPT);
    }
}

static void move_all(struct world *w)
{
    while (mailbox_move(&w->mailbox, UINT64_MAX))
        continue;
    flush(w);
}

Test(mailbox, in_mode_copy_hands_over_what_waits_once_all_who_were_there_are_back)
{
    static const struct {
        const char *name;
        enum endpoint_mode mode;
        uint32_t n_before;
        bool is_over;                 /* they are not awaited any more when the first has come */
        uint64_t of_first, of_second; /* of eleven */
    } rows[] = {
        {"two of them", MODE_COPY, 2, false, 11, 11},
        {"a second one that does not come", MODE_COPY, 2, true, 11, 0},
        {"one of them", MODE_COPY, 1, false, 11, 0},
        {"nobody", MODE_COPY, 0, false, 11, 0},
        {"exclusive", MODE_EXCLUSIVE, 2, false, 11, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = calloc(1, sizeof(*w));
        struct endpoint_state past = {.number = 1, .spool.n_consumers = rows[i].n_before};
        const struct process *p = w->processes;

        world_open(w, rows[i].mode, WHEN_FULL_DROP_NEW, 1 << 18);
        w->mailbox.state = &past;
        put_small(w, 10);
        cr_expect_eq(mailbox_await(&w->mailbox), rows[i].n_before > 1 && rows[i].mode == MODE_COPY,
                     "%s", rows[i].name);
        process_join(w, &w->processes[0]);
        if (rows[i].is_over)
            mailbox_end_await(&w->mailbox);
        move_all(w);
        put_small(w, 1);
        if (rows[i].of_second > 0 || rows[i].is_over)
            process_join(w, &w->processes[1]);
        move_all(w);
        cr_expect_eq(p[0].consumer.queued, rows[i].of_first, "%s", rows[i].name);
        cr_expect_eq(p[1].consumer.queued, rows[i].of_second, "%s", rows[i].name);
        cr_expect_eq(past.spool.n_consumers, w->mailbox.n_active, "%s", rows[i].name);
        check_law(w);
        drain_everything(w, true);
        w->mailbox.state = NULL;
        world_close(w);
        free(w);
    }
}

/* One has released five, the other one none. */
Test(mailbox, in_mode_copy_keeps_for_all_what_anybody_holds_when_msgd_stops)
{
    for (int first = 0; first < 2; first++) {
        struct world *w = calloc(1, sizeof(*w));
        struct endpoint_state past = {.number = 1};
        struct process *p = w->processes;

        world_open(w, MODE_COPY, WHEN_FULL_DROP_NEW, 1 << 18);
        w->mailbox.state = &past;
        process_join(w, &p[0]);
        process_join(w, &p[1]);
        put_small(w, 10);
        flush(w);
        cr_assert_eq(ring_claim(&p[0].reader, 5), 1);
        for (uint64_t position, end; ring_next(&p[0].reader, &position, &end) != NULL;)
            p[0].end = end;
        ring_release(&p[0].reader, p[0].end);
        mailbox_collect(&w->mailbox);
        mailbox_hold(&w->mailbox);
        process_leave(w, &p[first]);
        process_leave(w, &p[!first]);
        cr_expect_eq(w->ledger.delivered, 0);
        cr_expect_eq(w->ledger.queued, w->ledger.received - w->ledger.dropped[DROP_MAILBOX_FULL]);
        cr_expect_geq(w->ledger.queued, 10);
        cr_expect_eq(past.spool.n_consumers, 2, "a successor knows how many there were");
        check_law(w);
        w->mailbox.state = NULL;
        mailbox_discard(&w->mailbox, DROP_RELEASED);
        world_close(w);
        free(w);
    }
}
