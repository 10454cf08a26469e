/* SPDX-License-Identifier: MIT */
/* What of a mailbox is on disk, against a model: random courses of messages, consumers, commits,
 * failures and damage. */
#include "daemon/core/spool.h"
#include "daemon/core/filing.h"
#include "daemon/core/mailbox.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define N_CHUNKS      64u
#define MAX_MESSAGES  3000u
#define MAX_FLIGHT    4u
#define N_CONSUMERS   2u
#define PAYLOAD_BYTES 1000u
#define RECORD_BYTES  1088u

enum fate { UNKNOWN, LIVE, TAKEN, RELEASED, GONE };

struct process {
    bool is_there;
    struct lane lane;
    struct consumer consumer;
    uint64_t last; /* number that it took last */
};

struct fixture {
    struct arena arena;
    uint8_t *chunks;
    struct settings settings;
    struct endpoint_state state;
    struct account account, journals;
    struct mailbox mailbox;
    struct dirty_lanes dirty;
    struct process processes[N_CONSUMERS];
    struct spool_piece flight[MAX_FLIGHT]; /* the oldest first */
    size_t n_flight;
    int refusal;
    bool is_tight;                     /* journals and disk are full now and then */
    enum fate fates[MAX_MESSAGES + 1]; /* by number */
    bool is_on_disk[MAX_MESSAGES + 1];
    uint64_t trimmed;
    uint64_t n_sent;
    unsigned random;
};

static unsigned draw(struct fixture *f, unsigned n)
{
    f->random = f->random * 1103515245u + 12345u;
    return (f->random >> 16) % n;
}

static int refusal_of(void *context)
{
    return ((const struct fixture *)context)->refusal;
}

static void open_fixture(struct fixture *f, const struct settings *s, unsigned seed)
{
    struct mailbox_options options = {.settings = s,
                                      .account = &f->account,
                                      .ledger = &f->state.ledger,
                                      .state = &f->state,
                                      .disk_refusal = refusal_of,
                                      .context = f};

    *f = (struct fixture){.settings = *s, .random = seed, .refusal = MESSAGE_KEPT};
    f->state.number = 1;
    f->state.spool.is_known = true;
    f->account.limit = UINT64_C(1) << 40;
    f->journals.limit = UINT64_C(4) << 20;
    f->chunks = aligned_alloc(64, (size_t)N_CHUNKS * RING_CHUNK_BYTES);
    cr_assert_eq(arena_init(&f->arena, f->chunks, N_CHUNKS, NULL), 0);
    cr_assert_eq(spool_new(&options.spool, s, &(struct spool_remains){0}, &f->journals), 0);
    cr_assert_eq(mailbox_init(&f->mailbox, &options), 0);
    mailbox_settle(&f->mailbox, &f->arena);
}

/* ---- What happens ---- */

static void file(struct fixture *f)
{
    static const uint8_t payload[PAYLOAD_BYTES];
    struct record meta = {.time_ns = (int64_t)++f->n_sent};

    f->state.ledger.received++;
    int outcome = mailbox_put(
        &f->mailbox, &(struct filing){.meta = &meta,
                                      .kind = RECORD_MESSAGE,
                                      .content = {.payload = payload, .n_payload = PAYLOAD_BYTES}});
    if (outcome == MESSAGE_KEPT)
        f->fates[f->state.last_seq] = LIVE;
    else
        f->state.ledger.dropped[outcome]++;
}

static void come(struct fixture *f, struct process *p)
{
    *p = (struct process){.is_there = true, .lane = {.dirty = &f->dirty}};
    cr_assert_eq(chunk_log_init(&p->lane.log, &f->arena, NULL, 64), 0);
    cr_assert_null(lane_grow_slots(&p->lane, calloc(1, sizeof(struct consumer *)), 1));
    mailbox_join(&f->mailbox, &p->consumer, &p->lane, 0);
}

static void go(struct fixture *f, struct process *p)
{
    struct departure d;

    for (uint64_t at = p->lane.released, next; at < p->lane.taken; at = next) {
        const struct record *r = chunk_log_at(&p->lane.log, at, &next);
        if (r != NULL)
            f->fates[r->seq] = LIVE; /* and comes again */
    }
    mailbox_begin_leave(&f->mailbox, &p->consumer);
    departure_begin(&d, &p->lane, &p->consumer, MESSAGE_KEPT);
    while (departure_step(&d, 4096))
        continue;
    mailbox_end_leave(&f->mailbox, &p->consumer);
    chunk_log_deinit(&p->lane.log);
    free(p->lane.slots);
    f->dirty.first = NULL;
    p->is_there = false;
}

static void take(struct fixture *f, struct process *p, unsigned n)
{
    while (n-- > 0 && p->lane.taken < p->lane.log.head) {
        uint64_t next;
        const struct record *r = chunk_log_at(&p->lane.log, p->lane.taken, &next);
        if (r != NULL) {
            cr_assert_eq(f->fates[r->seq], LIVE, "%lu came again", r->seq);
            cr_assert(f->settings.mode != MODE_EXCLUSIVE || r->seq > p->last, "%lu came behind %lu",
                      r->seq, p->last);
            p->last = r->seq;
            f->fates[r->seq] = TAKEN;
        }
        p->lane.taken = next;
    }
}

static void release(struct fixture *f, struct process *p, unsigned n)
{
    uint64_t to = p->lane.released, next;

    while (n-- > 0 && to < p->lane.taken) {
        const struct record *r = chunk_log_at(&p->lane.log, to, &next);
        if (r != NULL)
            f->fates[r->seq] = RELEASED;
        to = next;
    }
    lane_release_to(&p->lane, to);
}

static void post(struct fixture *f)
{
    if (f->n_flight < MAX_FLIGHT && spool_next_piece(&f->mailbox, &f->flight[f->n_flight]))
        f->n_flight++;
}

static void land(struct fixture *f, bool is_ok)
{
    if (f->n_flight == 0)
        return;
    struct spool_piece p = f->flight[0];
    memmove(f->flight, f->flight + 1, --f->n_flight * sizeof(p));
    if (!is_ok) {
        spool_failed(&f->mailbox, &p);
        return;
    }
    for (size_t at = 0; at < p.n_bytes; at += RECORD_BYTES) {
        const struct record *r = (const struct record *)(const void *)(p.bytes + at);
        cr_assert_eq(record_bytes_of(r), RECORD_BYTES);
        if (r->seq > f->trimmed)
            f->is_on_disk[r->seq] = true;
    }
    spool_committed(&f->mailbox, &p);
}

static void read_back(struct fixture *f, unsigned max)
{
    static _Alignas(64) uint8_t bytes[RECORD_BYTES];
    struct record *r = (struct record *)(void *)bytes;

    while (max-- > 0 && spool_source(&f->mailbox) == SPOOL_DISK) {
        uint64_t seq = f->state.spool.from;
        while (seq <= f->state.spool.to && !f->is_on_disk[seq])
            cr_assert_eq(f->fates[seq++], GONE, "%lu is not on disk any more", seq);
        if (seq > f->state.spool.to) {
            spool_pass(&f->mailbox, seq, DROP_DAMAGED);
            continue;
        }
        *r = (struct record){.seq = seq, .time_ns = 1};
        atomic_init(&r->word, record_word(RECORD_MESSAGE, PAYLOAD_BYTES, 0));
        if (!spool_take_back(&f->mailbox, r))
            return;
    }
    if (spool_source(&f->mailbox) == SPOOL_JOURNAL)
        (void)spool_refill(&f->mailbox, max * (uint64_t)RECORD_BYTES);
}

/* A message on disk alone is damaged. */
static void damage(struct fixture *f)
{
    const struct spool_place *p = &f->state.spool;

    if (p->from == 0 || p->to < p->from)
        return;
    uint64_t seq = p->from + draw(f, (unsigned)(p->to - p->from + 1));
    if (f->is_on_disk[seq])
        f->fates[seq] = GONE;
    f->is_on_disk[seq] = false;
}

static void purge(struct fixture *f)
{
    uint64_t from = f->state.spool.from;

    if (from == 0)
        return;
    for (uint64_t seq = from; seq <= f->state.last_seq; seq++)
        f->fates[seq] = GONE;
    (void)spool_discard(&f->mailbox, DROP_PURGED);
}

static void trim(struct fixture *f)
{
    uint64_t to = spool_finished(&f->mailbox);

    while (f->trimmed < to)
        f->is_on_disk[++f->trimmed] = false;
}

static void catch_up(struct fixture *f, uint64_t budget)
{
    const struct record *found[8];

    if (spool_can_catch_up(&f->mailbox))
        (void)spool_catch_up(&f->mailbox, found, 8, budget);
}

/* ---- What must hold ---- */

static void check(struct fixture *f)
{
    uint64_t finished = spool_finished(&f->mailbox), committed = f->mailbox.spool->committed;

    cr_assert(ledger_holds(&f->state.ledger));
    for (uint64_t seq = 1; seq <= f->state.last_seq; seq++) {
        bool is_live = f->fates[seq] == LIVE || f->fates[seq] == TAKEN;
        cr_assert(!is_live || seq > finished, "%lu is live, and all up to %lu is finished", seq,
                  finished);
        cr_assert(!is_live || !f->settings.is_durable || seq > committed || f->is_on_disk[seq],
                  "%lu of %lu was committed, and is not on disk", seq, committed);
    }
}

static void happen(struct fixture *f)
{
    struct process *p = &f->processes[draw(f, f->settings.mode == MODE_EXCLUSIVE ? 1 : 2)];

    switch (draw(f, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        for (unsigned n = draw(f, 12); n > 0 && f->n_sent < MAX_MESSAGES; n--)
            file(f);
        break;
    case 4:
        if (!p->is_there)
            come(f, p);
        else if (draw(f, 4) == 0)
            go(f, p);
        break;
    case 5:
    case 6:
        if (p->is_there)
            take(f, p, draw(f, 12));
        break;
    case 7:
    case 8:
        if (p->is_there)
            release(f, p, draw(f, 12));
        break;
    case 9:
    case 10:
        post(f);
        break;
    case 11:
        if (f->refusal == MESSAGE_KEPT)
            land(f, true);
        break;
    case 12:
    case 13:
        read_back(f, draw(f, 20));
        break;
    case 14:
        trim(f);
        break;
    default:
        if (f->is_tight && draw(f, 4) == 0)
            f->refusal = f->refusal == MESSAGE_KEPT ? (int)DROP_SPOOL_FULL : MESSAGE_KEPT;
        catch_up(f, 5 * RECORD_BYTES);
        while (mailbox_move(&f->mailbox, 8192))
            continue;
        if (draw(f, 40) == 0)
            damage(f);
        if (draw(f, 200) == 0)
            purge(f);
        break;
    }
}

/* There is room again: all that is left of a durable endpoint goes to disk. */
static void settle(struct fixture *f)
{
    f->refusal = MESSAGE_KEPT;
    do {
        while (f->n_flight > 0)
            land(f, true);
        catch_up(f, UINT64_MAX);
        post(f);
    } while (f->n_flight > 0 || f->mailbox.spool->late != 0 || spool_has_unposted(&f->mailbox));
    for (uint64_t seq = 1; seq <= f->state.last_seq; seq++)
        cr_assert(f->is_on_disk[seq] || (f->fates[seq] != LIVE && f->fates[seq] != TAKEN),
                  "%lu of %lu is in memory alone", seq, f->state.last_seq);
}

/* A consumer gets and releases all that is left. */
static void drain(struct fixture *f)
{
    struct process *p = &f->processes[0];

    while (f->n_flight > 0)
        land(f, f->refusal == MESSAGE_KEPT);
    if (!p->is_there)
        come(f, p);
    for (unsigned i = 0; i < 2 * MAX_MESSAGES && f->state.ledger.queued + f->state.ledger.spooled;
         i++) {
        for (unsigned k = 0; k < N_CONSUMERS; k++) {
            if (!f->processes[k].is_there)
                continue;
            take(f, &f->processes[k], UINT32_MAX);
            release(f, &f->processes[k], UINT32_MAX);
        }
        read_back(f, 1000);
        (void)mailbox_move(&f->mailbox, UINT64_MAX);
    }
    cr_assert_eq(f->state.ledger.queued, 0);
    cr_assert_eq(f->state.ledger.spooled, 0);
    check(f);
    cr_assert_eq(spool_finished(&f->mailbox), f->state.last_seq);
}

static void close_fixture(struct fixture *f)
{
    for (unsigned k = 0; k < N_CONSUMERS; k++)
        if (f->processes[k].is_there)
            go(f, &f->processes[k]);
    mailbox_deinit(&f->mailbox);
    cr_assert_eq(f->journals.used, 0, "%lu bytes of the journals' budget are lost",
                 atomic_load(&f->journals.used));
    arena_deinit(&f->arena);
    free(f->chunks);
}

/* As run, of a durable endpoint, where room on disk and in the journals comes and goes. */
static void run_tight(enum endpoint_mode mode, unsigned seed)
{
    static struct fixture f;
    struct settings s;
    uint64_t n_late = 0;

    settings_init(&s);
    s.mode = mode;
    s.is_durable = true;
    s.when_full = seed % 2 == 0 ? WHEN_FULL_SPOOL : WHEN_FULL_DROP_NEW;
    s.mailbox_bytes = 60 * RECORD_BYTES;
    open_fixture(&f, &s, seed);
    f.journals.limit = 30 * RECORD_BYTES;
    f.is_tight = true;
    while (f.n_sent < MAX_MESSAGES) {
        happen(&f);
        n_late += f.mailbox.spool->late != 0;
        if (draw(&f, 16) == 0)
            check(&f);
    }
    cr_assert_gt(n_late, 100);
    settle(&f);
    drain(&f);
    close_fixture(&f);
    settings_deinit(&s);
}

static void run(enum endpoint_mode mode, bool is_durable, unsigned seed)
{
    static struct fixture f;
    struct settings s;

    settings_init(&s);
    s.mode = mode;
    s.is_durable = is_durable;
    s.when_full = WHEN_FULL_SPOOL;
    s.mailbox_bytes = 20 * RECORD_BYTES;
    s.spool_messages = 500;
    open_fixture(&f, &s, seed);
    while (f.n_sent < MAX_MESSAGES) {
        happen(&f);
        if (draw(&f, 16) == 0)
            check(&f);
        if (seed % 4 == 3 && f.n_sent > MAX_MESSAGES / 2)
            f.refusal = DROP_SPOOL_FAILED;
        if (f.refusal != MESSAGE_KEPT && f.n_flight > 0)
            land(&f, false);
    }
    drain(&f);
    close_fixture(&f);
    settings_deinit(&s);
}

Test(spool, of_an_exclusive_endpoint_loses_nothing_and_keeps_the_order)
{
    for (unsigned seed = 1; seed <= 24; seed++)
        run(MODE_EXCLUSIVE, false, seed);
}

Test(spool, of_a_durable_endpoint_has_on_disk_what_it_says)
{
    for (unsigned seed = 1; seed <= 24; seed++)
        run(MODE_EXCLUSIVE, true, seed);
}

Test(spool, of_a_shared_durable_endpoint_deletes_nothing_that_anybody_holds)
{
    for (unsigned seed = 1; seed <= 24; seed++)
        run(MODE_SHARE, true, seed);
}

Test(spool, of_a_durable_endpoint_writes_what_there_was_no_room_for)
{
    for (unsigned seed = 1; seed <= 24; seed++)
        run_tight(MODE_EXCLUSIVE, seed);
}

Test(spool, of_a_shared_durable_endpoint_writes_what_there_was_no_room_for)
{
    for (unsigned seed = 1; seed <= 24; seed++)
        run_tight(MODE_SHARE, seed);
}

Test(spool, names_the_bound_that_was_reached)
{
    static struct fixture f;
    struct settings s;

    settings_init(&s);
    s.when_full = WHEN_FULL_SPOOL;
    s.mailbox_bytes = 10 * RECORD_BYTES;
    s.spool_bytes = 5 * RECORD_BYTES;
    open_fixture(&f, &s, 1);
    for (int i = 0; i < 20; i++)
        file(&f);
    cr_assert_eq(f.state.ledger.queued, 15);
    cr_assert_eq(f.state.ledger.dropped[DROP_SPOOL_FULL], 5);
    f.refusal = DROP_SPOOL_FAILED;
    s.spool_bytes = 0;
    spool_configure(f.mailbox.spool, &s);
    file(&f);
    cr_assert_eq(f.state.ledger.dropped[DROP_SPOOL_FAILED], 1);
    cr_assert(ledger_holds(&f.state.ledger));
    close_fixture(&f);
    settings_deinit(&s);
}
