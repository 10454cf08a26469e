/* SPDX-License-Identifier: MIT */
/* Messages that consumers do not cope with: counted, bounded, set aside, too old; and consumers
 * that release nothing. */
#include "daemon/core/stall.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define N_CHUNKS     8
#define RECORD_BYTES 128

/* A mailbox and a consumer whose lane is private, as that of a Receive call. */
struct fixture {
    struct arena arena;
    uint8_t *chunks;
    struct lane lane;
    struct consumer consumer;
    struct mailbox mailbox;
    struct settings settings;
    struct ledger ledger;
    struct account account;
    struct dirty_lanes dirty;
    unsigned room_aside;
    uint64_t aside[8];
    unsigned n_aside;
};

static bool has_room(void *context, const struct record *r)
{
    const struct fixture *f = context;

    (void)r;
    return f->n_aside < f->room_aside;
}

static void put_aside(void *context, const struct record *r)
{
    struct fixture *f = context;

    cr_assert_eq(record_length_of(r->word), 2);
    cr_assert_eq(memcmp(r + 1, "[]", 2), 0);
    f->aside[f->n_aside++] = r->seq;
}

static void consumer_come(struct fixture *f)
{
    f->lane = (struct lane){.dirty = &f->dirty};
    cr_assert_eq(chunk_log_init(&f->lane.log, &f->arena, NULL, 16), 0);
    cr_assert_null(lane_grow_slots(&f->lane, calloc(1, sizeof(struct consumer *)), 1));
    f->consumer = (struct consumer){0};
    mailbox_join(&f->mailbox, &f->consumer, &f->lane, 0);
    mailbox_move(&f->mailbox, UINT64_MAX);
}

/* Steps that it took. */
static unsigned consumer_go(struct fixture *f, unsigned max_steps)
{
    struct departure d;
    unsigned n = 0;

    mailbox_begin_leave(&f->mailbox, &f->consumer);
    departure_begin(&d, &f->lane, &f->consumer, MESSAGE_KEPT);
    while (departure_step(&d, 1 << 20) && ++n < max_steps)
        f->room_aside++;
    mailbox_end_leave(&f->mailbox, &f->consumer);
    chunk_log_deinit(&f->lane.log);
    free(f->lane.slots);
    f->dirty.first = NULL;
    return n;
}

static void take(struct fixture *f, unsigned n)
{
    while (n-- > 0)
        f->lane.taken += RECORD_BYTES;
}

static void put(struct fixture *f, int64_t time_ns)
{
    struct record meta = {.time_ns = time_ns};

    f->ledger.received++;
    cr_assert_eq(
        mailbox_put(&f->mailbox, &(struct filing){.meta = &meta,
                                                  .kind = RECORD_MESSAGE,
                                                  .content = {.payload = "[]", .n_payload = 2}}),
        MESSAGE_KEPT);
}

static void open_fixture(struct fixture *f, uint32_t max_deliver, enum endpoint_mode mode)
{
    memset(f, 0, sizeof(*f));
    f->chunks = aligned_alloc(4096, (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    cr_assert_eq(arena_init(&f->arena, f->chunks, N_CHUNKS, NULL), 0);
    settings_init(&f->settings);
    f->settings.max_deliver = max_deliver;
    f->settings.mode = mode;
    f->account.limit = 1 << 20;
    f->room_aside = 8;
    struct mailbox_options options = {.settings = &f->settings,
                                      .account = &f->account,
                                      .ledger = &f->ledger,
                                      .aside = {has_room, put_aside},
                                      .context = f};
    cr_assert_eq(mailbox_init(&f->mailbox, &options), 0);
    mailbox_settle(&f->mailbox, &f->arena);
    struct copy_entry *copies = calloc(1024, sizeof(*copies));
    cr_assert_null(copies_grow(&f->mailbox.copies, copies, 1024));
    consumer_come(f);
}

static void close_fixture(struct fixture *f)
{
    consumer_go(f, 100);
    mailbox_discard(&f->mailbox, DROP_RELEASED);
    cr_assert_eq(f->mailbox.used, 0);
    cr_assert_eq(f->account.used, 0);
    cr_assert(ledger_holds(&f->ledger));
    cr_assert_eq(f->ledger.queued, 0);
    mailbox_deinit(&f->mailbox);
    arena_deinit(&f->arena);
    free(f->chunks);
}

/* ---- max_deliver ---- */

Test(coping, sets_a_message_aside_that_has_come_back_as_often_as_it_may)
{
    static const enum endpoint_mode modes[] = {MODE_EXCLUSIVE, MODE_SHARE, MODE_COPY};

    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        open_fixture(&f, 3, modes[i]);
        put(&f, 1);
        put(&f, 1);
        for (int n = 0; n < 3; n++) {
            cr_assert_eq(f.n_aside, 0, "mode %zu, try %d", i, n);
            take(&f, 1);
            consumer_go(&f, 1);
            consumer_come(&f);
        }
        cr_assert_eq(f.n_aside, 1, "mode %zu", i);
        cr_assert_eq(f.aside[0], 1);
        cr_assert_eq(f.ledger.dropped[DROP_MAX_DELIVER], 1);
        cr_assert_eq(f.ledger.queued, 1, "what was never taken waits");
        close_fixture(&f);
    }
}

Test(coping, keeps_what_comes_back_for_ever_where_there_is_no_bound)
{
    struct fixture f;

    open_fixture(&f, 0, MODE_EXCLUSIVE);
    put(&f, 1);
    for (uint32_t n = 0; n < 40; n++) {
        uint64_t next;
        struct record *r = chunk_log_at(&f.lane.log, 0, &next);
        cr_assert_eq(record_returns_of(r->word), n < 31 ? n : 31);
        take(&f, 1);
        consumer_go(&f, 1);
        consumer_come(&f);
    }
    cr_assert_eq(f.n_aside, 0);
    close_fixture(&f);
}

Test(coping, waits_until_there_is_room_to_set_it_aside)
{
    struct fixture f;

    open_fixture(&f, 1, MODE_EXCLUSIVE);
    f.room_aside = 0;
    for (int i = 0; i < 3; i++)
        put(&f, 1);
    take(&f, 3);
    cr_assert_eq(consumer_go(&f, 100), 3, "a step for each that had to wait");
    cr_assert_eq(f.n_aside, 3);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert_eq(f.aside[i], i + 1, "in order, each once");
    cr_assert_eq(f.ledger.dropped[DROP_MAX_DELIVER], 3);
    consumer_come(&f);
    close_fixture(&f);
}

/* ---- ttl_s ---- */

Test(coping, drops_what_is_too_old_wherever_it_waits)
{
    static const struct {
        const char *name;
        unsigned n_taken;
        int64_t before_ns;
        uint64_t n_expired;
    } rows[] = {
        {"all are young", 0, 10, 0},  {"the first is old", 0, 11, 1},
        {"all are old", 0, 100, 4},   {"what was taken stays", 1, 100, 3},
        {"all are taken", 4, 100, 0}, {"the second is young", 1, 11, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int is_away = 0; is_away < 2; is_away++) {
            struct fixture f;
            open_fixture(&f, 0, MODE_EXCLUSIVE);
            if (is_away && rows[i].n_taken == 0)
                consumer_go(&f, 1);
            for (int64_t n = 1; n <= 4; n++)
                put(&f, n * 10);
            take(&f, rows[i].n_taken);
            cr_expect_not(mailbox_expire(&f.mailbox, rows[i].before_ns, 100));
            cr_expect_eq(f.ledger.dropped[DROP_EXPIRED], rows[i].n_expired, "%s", rows[i].name);
            cr_expect_eq(f.ledger.queued, 4 - rows[i].n_expired, "%s", rows[i].name);
            if (is_away && rows[i].n_taken == 0)
                consumer_come(&f);
            close_fixture(&f);
        }
    }
}

Test(coping, drops_what_is_too_old_a_bounded_part_at_a_time)
{
    struct fixture f;

    open_fixture(&f, 0, MODE_COPY);
    for (int n = 0; n < 5; n++)
        put(&f, 1);
    cr_expect(mailbox_expire(&f.mailbox, 2, 3));
    cr_expect_eq(f.ledger.dropped[DROP_EXPIRED], 3);
    cr_expect_eq(f.consumer.missed, 3);
    cr_expect_not(mailbox_expire(&f.mailbox, 2, 3));
    cr_expect_eq(f.ledger.dropped[DROP_EXPIRED], 5);
    close_fixture(&f);
}

/* ---- stall_s ---- */

Test(coping, finds_a_consumer_that_holds_messages_and_releases_none)
{
    static const struct {
        const char *what;
        int64_t now_ms;
        int n_put;
        bool releases;
        bool has_stalled;
    } steps[] = {
        {"it holds nothing", 0, 0, false, false},
        {"for as long as you like", 100000, 0, false, false},
        {"it has just got one", 100001, 1, false, false},
        {"not yet", 159999, 0, false, false},
        {"more messages change nothing", 160001, 3, false, true},
        {"it goes on", 170000, 0, true, false},
        {"and stops again", 229999, 0, false, false},
        {"which counts from its last release", 230000, 0, false, true},
        {"until it has released all", 240000, 0, true, false},
    };
    struct fixture f;

    open_fixture(&f, 0, MODE_EXCLUSIVE);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        for (int n = 0; n < steps[i].n_put; n++)
            put(&f, 1);
        if (steps[i].releases) {
            take(&f, 1);
            lane_release_to(&f.lane, f.lane.taken);
        }
        cr_expect_eq(stall_watch(&f.mailbox, steps[i].now_ms, 60000), steps[i].has_stalled, "%s",
                     steps[i].what);
        cr_expect_eq(f.consumer.watch.is_stalled, steps[i].has_stalled, "%s", steps[i].what);
    }
    stall_watch(&f.mailbox, 300000, 60000);
    cr_expect(stall_watch(&f.mailbox, 400000, 60000));
    cr_expect_not(stall_watch(&f.mailbox, 500000, 0), "0: never");
    cr_expect_not(f.consumer.watch.is_stalled);
    close_fixture(&f);
}
