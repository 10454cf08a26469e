/* SPDX-License-Identifier: MIT */
/* A process that is killed after any store leaves memory from which its successor goes on exactly.
 */
#include "daemon/core/filing.h"
#include "daemon/core/spool.h"
#include "daemon/core/survivors.h"
#include "proto/ring.h"

#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define N_CHUNKS      8u
#define NUMBER        7u
#define BATCH         4u
#define N_BATCHES     12u
#define N_MESSAGES    (BATCH * N_BATCHES)
#define PAYLOAD_BYTES 3000u
#define HEADER_BYTES  ((sizeof(struct ring_header) + 4095) & ~(size_t)4095)
#define MAX_LIVES     4
/* The successor is killed at one of so many of its stores; AddressSanitizer makes a life dear. */
#ifdef __SANITIZE_ADDRESS__
#define SECOND_STRIDE 115u
#else
#define SECOND_STRIDE 23u
#endif

/* What one process leaves behind. */
struct life {
    uint8_t *private_chunks;
    struct chunk_entry private_directory[N_CHUNKS];
    struct ring_header *header;
    struct ring_page *page;
    struct chunk_entry link_directory[N_CHUNKS];
    struct link_slot slot;
    uint64_t released;
    struct end_intent intent;
};

/* What a database has, which no kill undoes. */
struct disk {
    struct record records[N_MESSAGES + 1];
    bool is_there[N_MESSAGES + 1]; /* by number */
    uint64_t released;
    uint64_t last; /* the highest number that ever was there */
};

struct world {
    struct endpoint_state state;
    struct disk disk;
    struct account journals;
    struct batch_state batch;
    uint32_t first_of_batch; /* what the buffers of the batch hold */
    struct life lives[MAX_LIVES];
    size_t n_lives;
    bool is_released[N_MESSAGES + 1]; /* by a consumer, which nobody kills */

    /* Of the process that lives at present. */
    struct settings settings;
    struct account account;
    struct arena private, shared;
    struct mailbox mailbox;
    struct lane lane;
    struct dirty_lanes dirty;
    struct consumer consumer;
    struct ring_reader reader;
};

static uint64_t steps_left; /* 0: for ever */
static uint64_t n_steps;
static jmp_buf killed;

static void on_step(void)
{
    n_steps++;
    if (steps_left > 0 && --steps_left == 0)
        longjmp(killed, 1);
}

/* ---- The disk ---- */

static int takes_all(void *context)
{
    (void)context;
    return MESSAGE_KEPT;
}

static struct spool_remains remains_of(const struct disk *d)
{
    struct spool_remains r = {.released = d->released};

    for (uint64_t seq = d->released + 1; seq <= d->last; seq++) {
        if (!d->is_there[seq])
            continue;
        if (r.n++ == 0)
            r.first_seq = seq;
        r.last_seq = seq;
    }
    return r;
}

/* One commit: all of a piece, then somebody hears of it. */
static void write_piece(struct world *w, const struct spool_piece *p)
{
    for (size_t at = 0; at < p->n_bytes;) {
        const struct record *r = (const struct record *)(const void *)(p->bytes + at);
        memcpy(&w->disk.records[r->seq], r, sizeof(*r));
        w->disk.is_there[r->seq] = true;
        w->disk.last = r->seq > w->disk.last ? r->seq : w->disk.last;
        at += record_bytes_of(r);
    }
    DURABLE_STEP();
    spool_committed(&w->mailbox, p);
}

/* What a worker does for the disk. */
static void spool_turn(struct world *w)
{
    struct spool_piece p;

    if (w->mailbox.spool == NULL)
        return;
    if (spool_next_piece(&w->mailbox, &p))
        write_piece(w, &p);
    w->disk.released = spool_finished(&w->mailbox);
    DURABLE_STEP();
}

/* Reads back until memory is full, or there is nothing more. */
static void bring_back(struct world *w)
{
    static _Alignas(64) uint8_t bytes[sizeof(struct record) + PAYLOAD_BYTES + 64];
    struct record *r = (struct record *)(void *)bytes;

    if (w->mailbox.spool == NULL)
        return;
    while (spool_source(&w->mailbox) == SPOOL_DISK) {
        uint64_t seq = w->state.spool.from;
        cr_assert(seq > w->disk.released, "%lu was deleted, and is set aside", seq);
        if (!w->disk.is_there[seq]) {
            cr_assert_gt(w->state.spool.n_gone, 0, "%lu is not on disk", seq);
            spool_pass(&w->mailbox, seq + 1, DROP_DAMAGED);
            continue;
        }
        memcpy(r, &w->disk.records[seq], sizeof(*r));
        if (!spool_take_back(&w->mailbox, r))
            return;
    }
    (void)spool_refill(&w->mailbox, UINT64_MAX);
}

/* ---- A process ---- */

static void begin_life(struct world *w)
{
    struct life *l = &w->lives[w->n_lives++];

    cr_assert(w->n_lives <= MAX_LIVES);
    l->private_chunks = aligned_alloc(64, (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    l->header = aligned_alloc(64, HEADER_BYTES + (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    l->page = aligned_alloc(64, RING_PAGE_BYTES);
    memset(l->header, 0, sizeof(*l->header));
    memset(l->page, 0, RING_PAGE_BYTES);
    *l->header = (struct ring_header){.magic = RING_MAGIC,
                                      .version = RING_VERSION,
                                      .chunk_bytes = RING_CHUNK_BYTES,
                                      .table_entries = RING_TABLE_ENTRIES,
                                      .arena_bytes = HEADER_BYTES + N_CHUNKS * RING_CHUNK_BYTES,
                                      .chunks_offset = (uint32_t)HEADER_BYTES,
                                      .n_chunks = N_CHUNKS,
                                      .outgoing_bytes = RING_OUTGOING_BYTES};
    for (uint32_t i = 0; i < RING_TABLE_ENTRIES; i++)
        atomic_init(&l->header->table[i], RING_HOLE);

    struct spool_remains remains = remains_of(&w->disk);
    struct mailbox_options options = {.settings = &w->settings,
                                      .account = &w->account,
                                      .ledger = &w->state.ledger,
                                      .state = &w->state,
                                      .disk_refusal = takes_all};
    w->journals = (struct account){.limit = N_CHUNKS * RING_CHUNK_BYTES};
    if (settings_have_spool(&w->settings))
        cr_assert_eq(spool_new(&options.spool, &w->settings, &remains, &w->journals), 0);
    w->account = (struct account){.limit = UINT64_C(1) << 30};
    cr_assert_eq(arena_init(&w->private, l->private_chunks, N_CHUNKS, NULL), 0);
    arena_use_directory(&w->private, l->private_directory);
    cr_assert_eq(arena_init(&w->shared, (uint8_t *)l->header + HEADER_BYTES, N_CHUNKS, NULL), 0);
    arena_use_directory(&w->shared, l->link_directory);
    cr_assert_eq(mailbox_init(&w->mailbox, &options), 0);
    w->mailbox.intent = &l->intent;
    mailbox_settle(&w->mailbox, &w->private);
    w->dirty.first = NULL;
    memset(&w->lane, 0, sizeof(w->lane));
    cr_assert_eq(chunk_log_init(&w->lane.log, &w->shared, l->header, 0), 0);
    w->lane.page = l->page;
    w->lane.dirty = &w->dirty;
    w->lane.kept_released = &l->released;
    cr_assert_null(lane_grow_slots(&w->lane, calloc(1, sizeof(struct consumer *)), 1));
}

/* All but what it leaves behind is lost. */
static void lose(struct world *w)
{
    chunk_log_leave(&w->lane.log);
    free(w->lane.slots);
    mailbox_leave(&w->mailbox);
    arena_deinit(&w->private);
    arena_deinit(&w->shared);
}

static void join(struct world *w)
{
    struct life *l = &w->lives[w->n_lives - 1];

    memset(&w->consumer, 0, sizeof(w->consumer));
    w->consumer.kept_departed = &l->slot.departed;
    l->slot.departed = w->lane.log.head;
    l->slot.number = NUMBER;
    mailbox_join(&w->mailbox, &w->consumer, &w->lane, 0);
    while (mailbox_move(&w->mailbox, UINT64_MAX))
        continue;
    lane_publish(&w->lane);
    cr_assert_eq(ring_reader_init(&w->reader, l->header, l->header->arena_bytes, l->page), 0);
}

static void leave(struct world *w)
{
    struct departure d;

    mailbox_begin_leave(&w->mailbox, &w->consumer);
    departure_begin(&d, &w->lane, &w->consumer, MESSAGE_KEPT);
    while (departure_step(&d, UINT64_MAX))
        continue;
    mailbox_end_leave(&w->mailbox, &w->consumer);
}

/* As intake does: from the batch's message `done` on. */
static void file_batch(struct world *w, uint32_t done)
{
    static const uint8_t padding[PAYLOAD_BYTES];

    for (uint32_t i = done; i < BATCH; i++) {
        uint8_t payload[PAYLOAD_BYTES];
        struct record meta = {.time_ns = w->first_of_batch + i};
        memcpy(payload, padding, sizeof(payload));
        w->state.ledger.received++;
        DURABLE_STEP();
        int outcome = mailbox_put(
            &w->mailbox,
            &(struct filing){.meta = &meta,
                             .kind = RECORD_MESSAGE,
                             .content = {.payload = payload, .n_payload = PAYLOAD_BYTES}});
        if (outcome != MESSAGE_KEPT)
            w->state.ledger.dropped[outcome]++;
        DURABLE_STEP();
    }
    w->batch.stage = BATCH_IDLE;
    DURABLE_STEP();
}

static void receive_batch(struct world *w, uint32_t first)
{
    w->batch = (struct batch_state){.number = NUMBER, .received = w->state.ledger.received};
    w->first_of_batch = first;
    DURABLE_STEP();
    w->batch.stage = BATCH_IN_HAND;
    DURABLE_STEP();
    file_batch(w, 0);
    lane_publish(&w->lane);
}

/* The consumer's process: it does not die with the daemon. */
static void consume(struct world *w, size_t n_take, size_t n_release)
{
    uint64_t position, end;
    const struct record *r;

    (void)!ring_claim(&w->reader, n_take);
    while (n_release-- > 0 && (r = ring_next(&w->reader, &position, &end)) != NULL) {
        cr_assert(!w->is_released[r->time_ns], "%ld came after it was released", (long)r->time_ns);
        w->is_released[r->time_ns] = true;
        (void)ring_release(&w->reader, end);
    }
}

/* Something of everything. */
static void run(struct world *w)
{
    join(w);
    for (uint32_t b = 0; b < N_BATCHES; b++) {
        receive_batch(w, 1 + b * BATCH);
        if (b % 4 == 2) {
            leave(w);
            join(w);
        }
        consume(w, 3, b % 3);
        if (b % 2 == 1)
            cr_assert_eq(lane_collect(&w->lane), 0);
        if (b % 3 != 1)
            spool_turn(w);
        if (b == 6)
            (void)spool_discard(&w->mailbox, DROP_PURGED);
        if (b % 3 != 0)
            bring_back(w);
        lane_publish(&w->lane);
    }
}

/* ---- Its successor ---- */

static void recover(struct world *w)
{
    struct survivors found = {0};
    struct end_intent *intents[MAX_LIVES];
    struct remainder r = {.intents = intents, .n_intents = w->n_lives};
    struct spool_remains remains = remains_of(&w->disk);

    for (size_t i = 0; i < w->n_lives; i++) {
        struct life *l = &w->lives[i];
        struct arena_memory arena = {l->private_chunks, l->private_directory, N_CHUNKS};
        struct link_memory link = {
            .arena = {(uint8_t *)l->header + HEADER_BYTES, l->link_directory, N_CHUNKS},
            .header = l->header,
            .page = l->page,
            .released = l->released,
            .slots = &l->slot,
            .n_slots = 1};
        intents[i] = &l->intent;
        cr_assert_eq(survivors_add_arena(&found, &arena), 0);
        cr_assert_eq(survivors_add_link(&found, &link), 0);
    }
    begin_life(w);
    survivors_sort(&found);
    survivors_of(&found, NUMBER, &r);
    r.batch = w->batch.stage == BATCH_IN_HAND ? &w->batch : NULL;
    if (setjmp(killed) == 0) {
        uint64_t n_done = remainder_settle(&r, &w->state, &remains);
        const struct ledger *l = &w->state.ledger;
        cr_assert(ledger_holds(l),
                  "received %lu, delivered %lu, queued %lu, spooled %lu, dropped %lu; set aside "
                  "from %lu to %lu without %lu, last %lu; on disk %lu to %lu; killed after %lu",
                  l->received, l->delivered, l->queued, l->spooled, ledger_dropped(l),
                  w->state.spool.from, w->state.spool.to, w->state.spool.n_gone, w->state.last_seq,
                  remains.first_seq, remains.last_seq, n_steps);
        remainder_file(&r, &w->mailbox);
        if (r.batch != NULL)
            file_batch(w, (uint32_t)n_done);
        remainder_end(&r, &w->mailbox);
        survivors_deinit(&found);
        return;
    }
    survivors_deinit(&found);
    lose(w);
    steps_left = 0;
    recover(w);
}

static void check(struct world *w, uint64_t at)
{
    const struct ledger *l = &w->state.ledger;
    bool is_there[N_MESSAGES + 1] = {false};
    uint64_t n_there = 0, n_released = 0, n_gone = 0, position, end;
    const struct record *r;

    cr_assert(ledger_holds(l), "step %lu: the ledger does not add up", at);
    join(w);
    /* Nothing was taken out of the ring: so it all has to fit. */
    w->mailbox.bound = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        spool_turn(w);
        bring_back(w);
    }
    cr_assert(w->mailbox.spool == NULL || spool_source(&w->mailbox) == SPOOL_NOTHING);
    cr_assert(ledger_holds(l), "step %lu: the ledger does not add up after all came back", at);
    cr_assert_eq(l->spooled, 0, "step %lu: %lu are on disk that are nowhere", at, l->spooled);
    lane_publish(&w->lane);
    while (ring_claim(&w->reader, 100) > 0)
        while ((r = ring_next(&w->reader, &position, &end)) != NULL) {
            cr_assert(!is_there[r->time_ns], "step %lu: %ld is there twice", at, (long)r->time_ns);
            cr_assert(!w->is_released[r->time_ns], "step %lu: %ld came again", at,
                      (long)r->time_ns);
            is_there[r->time_ns] = true;
            n_there++;
        }
    for (uint64_t i = 1; i <= l->received; i++) {
        n_released += w->is_released[i];
        n_gone += !w->is_released[i] && !is_there[i];
    }
    cr_assert_eq(n_there, l->queued, "step %lu: %lu are there, %lu are queued", at, n_there,
                 l->queued);
    cr_assert_eq(n_released, l->delivered, "step %lu: %lu released, %lu delivered", at, n_released,
                 l->delivered);
    cr_assert_eq(n_gone, ledger_dropped(l), "step %lu: %lu are gone, %lu dropped", at, n_gone,
                 ledger_dropped(l));
    cr_assert_eq(l->received % BATCH, 0, "step %lu: a part of a batch", at);
}

struct kind {
    enum when_full when_full;
    bool is_durable;
};

static void end_world(struct world *w)
{
    lose(w);
    for (size_t i = 0; i < w->n_lives; i++) {
        free(w->lives[i].private_chunks);
        free(w->lives[i].header);
        free(w->lives[i].page);
    }
    settings_deinit(&w->settings);
}

static void begin_world(struct world *w, const struct kind *kind)
{
    memset(w, 0, sizeof(*w));
    n_steps = 0;
    settings_init(&w->settings);
    w->settings.when_full = kind->when_full;
    w->settings.is_durable = kind->is_durable;
    w->settings.mailbox_bytes = 10 * (PAYLOAD_BYTES + 64);
    w->state.number = NUMBER;
    w->state.spool.is_known = true;
    begin_life(w);
}

/* Kills it after the n-th store, and its successor after the m-th. False: it came to its end. */
static bool life_and_death(const struct kind *kind, uint64_t n, uint64_t m)
{
    static struct world w;

    begin_world(&w, kind);
    steps_left = n;
    bool is_killed = setjmp(killed) != 0;
    if (!is_killed)
        run(&w);
    steps_left = 0;
    lose(&w);
    steps_left = m;
    recover(&w);
    steps_left = 0;
    check(&w, n);
    end_world(&w);
    return is_killed;
}

static void kill_everywhere(const struct kind *kind)
{
#ifdef MSGD_CRASH_POINTS
    uint64_t n = 1;

    durable_hook = on_step;
    for (; life_and_death(kind, n, 0); n++)
        for (uint64_t m = 1 + n % SECOND_STRIDE; m < 120; m += SECOND_STRIDE)
            life_and_death(kind, n, m);
    durable_hook = NULL;
    cr_assert(n > 100, "%lu steps only: nothing was tested", n);
#else
    (void)kind;
    (void)on_step;
    (void)life_and_death;
    cr_skip_test("the steps are not compiled in (MSGD_CRASH_POINTS)");
#endif
}

Test(recovery, is_exact_after_a_kill_at_any_store_of_a_mailbox_that_drops_the_newest)
{
    kill_everywhere(&(struct kind){WHEN_FULL_DROP_NEW, false});
}

Test(recovery, is_exact_after_a_kill_at_any_store_of_a_mailbox_that_drops_the_oldest)
{
    kill_everywhere(&(struct kind){WHEN_FULL_DROP_OLD, false});
}

Test(recovery, is_exact_after_a_kill_at_any_store_of_a_mailbox_that_goes_on_on_disk)
{
    kill_everywhere(&(struct kind){WHEN_FULL_SPOOL, false});
}

Test(recovery, is_exact_after_a_kill_at_any_store_of_a_durable_endpoint)
{
    kill_everywhere(&(struct kind){WHEN_FULL_SPOOL, true});
}

/* Memory is lost at the n-th store, and the disk alone is left. False: it came to its end. */
static bool cut_power(uint64_t n)
{
    static struct world w;
    struct ledger *l = &w.state.ledger;

    begin_world(&w, &(struct kind){WHEN_FULL_SPOOL, true});
    steps_left = n;
    bool is_cut = setjmp(killed) != 0;
    if (!is_cut)
        run(&w);
    steps_left = 0;
    lose(&w);
    uint64_t n_left = remains_of(&w.disk).n;
    w.state = (struct endpoint_state){.number = NUMBER};
    w.batch.stage = BATCH_IDLE;
    w.lives[w.n_lives - 1].slot.number = 0; /* nothing of it is found */
    memset(w.lives[0].private_directory, 0, sizeof(w.lives[0].private_directory));
    recover(&w);
    cr_assert_eq(l->received, n_left, "store %lu: %lu of %lu", n, l->received, n_left);
    cr_assert_eq(l->spooled, n_left, "store %lu: %lu of %lu", n, l->spooled, n_left);
    w.mailbox.bound = UINT64_MAX;
    bring_back(&w);
    cr_assert_eq(l->queued, n_left, "store %lu: %lu of %lu came back", n, l->queued, n_left);
    cr_assert_eq(ledger_dropped(l), 0);
    cr_assert_geq(w.state.last_seq, w.disk.last);
    end_world(&w);
    return is_cut;
}

Test(recovery, goes_on_with_what_is_on_disk_when_all_memory_is_lost)
{
#ifdef MSGD_CRASH_POINTS
    uint64_t n = 1;

    durable_hook = on_step;
    while (cut_power(n))
        n += 7;
    durable_hook = NULL;
    cr_assert_gt(n, 500);
#else
    (void)cut_power;
    cr_skip_test("the steps are not compiled in (MSGD_CRASH_POINTS)");
#endif
}
