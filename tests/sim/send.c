/* SPDX-License-Identifier: MIT */
/*
 * sim.send: proto/resend against a receiver, over networks that lose, double, reorder, delay and
 * damage, with receivers and senders that crash. What must hold: a message is delivered at most
 * once; one of which the sender was told that it is stored, released or replied to was delivered
 * once; of every other one the sender was told that it may be lost; each fate is told exactly once.
 */
#include "proto/resend.h"
#include "tests/sim/receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENDER = 1, RECEIVER = 2, CHAOS = 3 };

/* A cell: a network, a receiver's manner, and what goes wrong. */
struct cell {
    const char *name;
    struct sim_link link; /* each way */
    struct receiver_manner manner;
    uint64_t time_ns;  /* each message's; 0: for ever */
    uint64_t every_ns; /* a message is there to be sent each so often; 0: all from the first */
    uint32_t max_unanswered;   /* 0: as many as there may be */
    uint64_t receiver_down_ns; /* it goes down from time to time, for up to so long */
    bool loses_memory;         /* and has then forgotten whom it heard */
    uint64_t sender_lives_ns;  /* a sender crashes after up to so long, and another goes on */
    bool is_stored_only;       /* no wish for release or reply */
};

enum told { NOT_PUT, PUT, TOLD, ABANDONED };

struct message {
    uint64_t first_ns, last_ns; /* when it was sent */
    uint8_t told;
    uint8_t outcome;
    bool is_kept;
};

struct run {
    const struct cell *cell;
    struct sim_network net;
    struct sim_link there, back;
    struct receiver receiver;
    struct receiver_message *delivered;
    struct message *messages;
    uint32_t n_messages, n_put, n_done;
    struct resend *resend;
    uint64_t source;
    uint64_t timer_ns; /* of the sender, pending; 0: none */
    uint32_t n_crashes;
    uint64_t crash_ns[64]; /* of a receiver that loses its memory */
    uint64_t n_sent, n_resent;
    uint32_t outcomes[RESEND_UNREACHABLE + 1];
};

static enum resend_wish wish_of(const struct run *run, uint32_t index)
{
    static const enum resend_wish wishes[] = {RESEND_WISH_STORED, RESEND_WISH_RELEASED,
                                              RESEND_WISH_REPLY};
    return run->cell->is_stored_only ? RESEND_WISH_STORED : wishes[index / 16 % 3];
}

/* ---- The sender ---- */

static void begin_sender(struct run *run)
{
    uint32_t most = run->cell->max_unanswered != 0 ? run->cell->max_unanswered : RESEND_SPAN;
    run->source = sim_random(&run->net.random) | 1;
    SIM_HOLDS(resend_new(&run->resend, most, run->source) == 0, "no memory");
}

/* When the next message is there to be put. */
static uint64_t next_put_ns(const struct run *run)
{
    if (run->n_put == run->n_messages || !resend_has_room(run->resend))
        return RESEND_NEVER;
    return SIM_S + run->n_put * run->cell->every_ns;
}

static void put_messages(struct run *run)
{
    for (; next_put_ns(run) <= run->net.now_ns; run->n_put++) {
        uint64_t number, time_ns = run->cell->time_ns;
        const struct resend_message m = {.wish = wish_of(run, run->n_put),
                                         .deadline_ns = time_ns != 0 ? run->net.now_ns + time_ns
                                                                     : RESEND_NEVER,
                                         .context = &run->messages[run->n_put]};
        SIM_HOLDS(resend_put(run->resend, &m, &number) == 0,
                  "there was room, and now there is none");
        run->messages[run->n_put].told = PUT;
    }
}

static void send_message(struct run *run, const struct resend_sending *sending)
{
    struct message *m = sending->context;
    uint32_t index = (uint32_t)(m - run->messages);
    enum resend_wish wish = wish_of(run, index);
    uint8_t buf[512];
    char id[40], text[32];
    int n_id = snprintf(id, sizeof id, "%016llx.%llu", (unsigned long long)run->source,
                        (unsigned long long)sending->number);
    int n_text = snprintf(text, sizeof text, "{\"m\": %u}", index);
    const struct frame f = {.type = wish == RESEND_WISH_REPLY ? FRAME_REQUEST : FRAME_SEND,
                            .members = FRAME_HAS_ID |
                                       (wish == RESEND_WISH_REPLY ? 0u : (unsigned)FRAME_HAS_WISH),
                            .id = {.text = {(const uint8_t *)id, (size_t)n_id}},
                            .wish = wish == RESEND_WISH_RELEASED ? FRAME_RELEASED : FRAME_STORED,
                            .body = {(const uint8_t *)text, (size_t)n_text},
                            .pad_bytes = 128};
    size_t n = frame_write(&f, buf, sizeof buf);
    SIM_HOLDS(n > 0, "a message that cannot be written");
    SIM_HOLDS(sending->is_again == (m->first_ns != 0), "message %u: sent before or not?", index);
    if (m->first_ns == 0)
        m->first_ns = run->net.now_ns;
    m->last_ns = run->net.now_ns;
    sim_send(&run->net, &run->there, SENDER, RECEIVER, buf, n);
}

static void check_told(const struct run *run, const struct message *m, const struct resend_fate *f)
{
    uint32_t index = (uint32_t)(m - run->messages);
    const struct receiver_message *got = &run->delivered[index];
    SIM_HOLDS(m->told == PUT, "message %u is told a second time", index);
    if (f->outcome <= RESEND_REPLIED)
        SIM_HOLDS(got->n_stored > 0, "message %u is told as stored, and is not", index);
    if (f->outcome == RESEND_REFUSED && !f->is_temporary)
        SIM_HOLDS(got->is_refused, "message %u is told as refused, and is not", index);
    if (f->is_kept)
        SIM_HOLDS(got->n_stored > 0, "message %u is told as kept, and is not", index);
    if (f->outcome == RESEND_TIMED_OUT || f->is_temporary)
        SIM_HOLDS(run->cell->time_ns != 0, "message %u had all the time", index);
    SIM_HOLDS(f->is_sent == (m->first_ns != 0), "message %u: was it sent?", index);
    SIM_HOLDS(f->outcome != RESEND_STORED || wish_of(run, index) == RESEND_WISH_STORED,
              "message %u wished for more", index);
}

static void take_fates(struct run *run)
{
    struct resend_fate fate;
    while (resend_told(run->resend, run->net.now_ns, &fate)) {
        struct message *m = fate.context;
        check_told(run, m, &fate);
        m->told = TOLD;
        m->outcome = (uint8_t)fate.outcome;
        m->is_kept = fate.is_kept;
        run->outcomes[fate.outcome]++;
        run->n_done++;
    }
}

static void pump(struct run *run)
{
    struct resend_sending sending;
    put_messages(run);
    while (resend_next(run->resend, run->net.now_ns, &sending))
        send_message(run, &sending);
    take_fates(run);
    uint64_t due_ns = resend_deadline(run->resend), put_ns = next_put_ns(run);
    due_ns = put_ns < due_ns ? put_ns : due_ns;
    if (due_ns == RESEND_NEVER || (run->timer_ns != 0 && run->timer_ns <= due_ns))
        return;
    run->timer_ns = due_ns > run->net.now_ns ? due_ns : run->net.now_ns;
    sim_timer(&run->net, run->timer_ns, SENDER, run->timer_ns);
}

static void take_answer(struct run *run, const struct sim_event *event)
{
    struct frame f;
    uint64_t now_ns = event->now_ns;
    if (event->n == 0 || event->bytes[0] != FRAME_START ||
        frame_parse(event->bytes, event->n, &f) != 0 || (f.members & FRAME_HAS_CRC) == 0 ||
        !f.id.is_numbered || f.id.source != run->source)
        return;
    const struct resend_refusal refusal = {(const char *)f.reason.bytes, f.reason.n, f.is_retry};
    uint64_t count = (f.members & FRAME_HAS_COUNT) != 0 ? f.count : 1;
    if (f.type == FRAME_ACK)
        resend_ack(run->resend, now_ns, f.id.number, count,
                   f.wish == FRAME_RELEASED ? RESEND_WISH_RELEASED : RESEND_WISH_STORED);
    else if (f.type == FRAME_NACK)
        resend_nack(run->resend, now_ns, f.id.number, count, &refusal);
    else if (f.type == FRAME_REPLY && resend_reply(run->resend, now_ns, f.id.number))
        SIM_HOLDS(receiver_index(&f.body) < run->n_put, "a reply to nothing");
}

/* ---- What goes wrong ---- */

static void count_sendings(struct run *run)
{
    struct resend_figures figures;
    resend_figures(run->resend, &figures);
    SIM_HOLDS(figures.n_flying <= RESEND_SPAN && figures.window <= RESEND_SPAN,
              "too many under way");
    run->n_sent += figures.n_sent;
    run->n_resent += figures.n_resent;
}

/* Another process goes on with another source; nobody was told of what the first one had put. */
static void restart_sender(struct run *run)
{
    for (uint32_t i = 0; i < run->n_put; i++)
        if (run->messages[i].told == PUT) {
            run->messages[i].told = ABANDONED;
            run->n_done++;
        }
    count_sendings(run);
    run->resend = resend_free(run->resend);
    begin_sender(run);
}

static void crash_receiver(struct run *run)
{
    struct receiver *r = &run->receiver;
    r->is_down = !r->is_down;
    if (!r->is_down || !run->cell->loses_memory || run->n_crashes == 64)
        return;
    run->crash_ns[run->n_crashes++] = run->net.now_ns;
    receiver_lose_memory(r);
}

enum { TAG_RECEIVER, TAG_SENDER };

static void schedule_chaos(struct run *run, uint64_t tag)
{
    const struct cell *c = run->cell;
    uint64_t down_ns = c->receiver_down_ns;
    uint64_t after_ns = tag == TAG_SENDER       ? c->sender_lives_ns
                        : run->receiver.is_down ? down_ns
                                                : 10 * down_ns;
    if (after_ns != 0)
        sim_timer(&run->net, run->net.now_ns + 1 + sim_below(&run->net.random, after_ns), CHAOS,
                  tag);
}

/* At most half of the receiver's sources, so that its table does: it forgets none here. */
static void wreak(struct run *run, uint64_t tag)
{
    static const uint32_t max_restarts = RECEIVER_MAX_SOURCES / 2;
    if (tag == TAG_RECEIVER) {
        crash_receiver(run);
    } else if (run->outcomes[0] < UINT32_MAX && run->n_crashes < max_restarts) {
        restart_sender(run);
        run->n_crashes += !run->cell->loses_memory;
        pump(run);
    }
    schedule_chaos(run, tag);
}

/* ---- A run ---- */

static void handle(struct run *run, const struct sim_event *event)
{
    if (event->to == CHAOS) {
        wreak(run, event->tag);
    } else if (event->to == RECEIVER) {
        receiver_event(&run->receiver, event);
    } else if (event->kind == SIM_DATAGRAM) {
        take_answer(run, event);
        pump(run);
    } else if (event->tag == run->timer_ns) {
        run->timer_ns = 0;
        pump(run);
    }
}

/* How late a datagram may come after it was sent. */
static uint64_t latest_ns(const struct cell *cell)
{
    return cell->link.delay_ns + cell->link.jitter_ns + 500 * SIM_MS;
}

/* A receiver that has lost its memory takes what it took before: at most once for each time. */
static unsigned n_excused(const struct run *run, const struct message *m)
{
    unsigned n = 0;
    if (run->cell->loses_memory)
        for (uint32_t i = 0; i < run->n_crashes; i++)
            n += run->crash_ns[i] >= m->first_ns &&
                 run->crash_ns[i] <= m->last_ns + latest_ns(run->cell);
    return n;
}

static void check_end(struct run *run)
{
    for (uint32_t i = 0; i < run->n_messages; i++) {
        const struct message *m = &run->messages[i];
        unsigned n = run->delivered[i].n_stored;
        SIM_HOLDS(n <= 1 + n_excused(run, m), "message %u was delivered %u times", i, n);
        SIM_HOLDS(m->told == TOLD || m->told == ABANDONED, "nothing was told of message %u", i);
        if (m->told == TOLD && m->outcome <= RESEND_REPLIED)
            SIM_HOLDS(n >= 1, "message %u is lost, and its sender was told otherwise", i);
        if (m->told == TOLD && m->outcome == RESEND_REFUSED && run->delivered[i].is_refused)
            SIM_HOLDS(n == 0, "message %u was refused and delivered", i);
    }
}

static void run_init(struct run *run, const struct cell *cell, uint64_t seed, uint32_t n_messages)
{
    *run = (struct run){.cell = cell, .n_messages = n_messages};
    run->there = run->back = cell->link;
    run->delivered = calloc(n_messages, sizeof *run->delivered);
    run->messages = calloc(n_messages, sizeof *run->messages);
    SIM_HOLDS(run->delivered != NULL && run->messages != NULL, "no memory");
    sim_network_init(&run->net, seed);
    receiver_init(&run->receiver, &run->net, &run->back, run->delivered, n_messages);
    run->receiver.self = RECEIVER;
    run->receiver.sender = SENDER;
    run->receiver.manner = cell->manner;
    begin_sender(run);
}

static void run_deinit(struct run *run)
{
    run->resend = resend_free(run->resend);
    sim_network_deinit(&run->net);
    receiver_deinit(&run->receiver);
    free(run->delivered);
    free(run->messages);
}

/* All messages until all are told and the network is quiet. */
static void run_cell(const struct cell *cell, uint64_t seed, uint32_t n_messages, bool is_loud)
{
    static struct run run;
    struct sim_event event;
    sim_begin(cell->name, seed);
    run_init(&run, cell, seed, n_messages);
    schedule_chaos(&run, TAG_RECEIVER);
    schedule_chaos(&run, TAG_SENDER);
    pump(&run);
    while (run.n_done < n_messages && sim_next(&run.net, &event))
        handle(&run, &event);
    SIM_HOLDS(run.n_done == n_messages, "it stands still: %u of %u messages are told", run.n_done,
              n_messages);
    uint64_t took_ns = run.net.now_ns - SIM_S, quiet_ns = run.net.now_ns + latest_ns(cell);
    while (sim_next(&run.net, &event) && event.now_ns < quiet_ns)
        handle(&run, &event);
    check_end(&run);
    count_sendings(&run);
    if (is_loud)
        printf("%-40s %7u messages %8llu sent %8llu again %9.1f s  stored %u released %u "
               "replied %u refused %u timed out %u\n",
               cell->name, n_messages, (unsigned long long)run.n_sent,
               (unsigned long long)run.n_resent, (double)took_ns / 1e9, run.outcomes[0],
               run.outcomes[1], run.outcomes[2], run.outcomes[3], run.outcomes[4]);
    run_deinit(&run);
}

/* ---- The cells ---- */

#define NETWORK(percent)                                                               \
    {                                                                                  \
        .loss = (percent) / 100.0, .delay_ns = 200 * SIM_US, .jitter_ns = 100 * SIM_US \
    }
#define BAD(percent)                                                                          \
    {                                                                                         \
        .loss = (percent) / 100.0, .duplication = 0.1, .corruption = 0.02, .reordering = 0.1, \
        .delay_ns = SIM_MS, .jitter_ns = 10 * SIM_MS                                          \
    }
#define SLOW(percent)                                                                         \
    {                                                                                         \
        .loss = (percent) / 100.0, .duplication = 0.1, .corruption = 0.02, .reordering = 0.1, \
        .jitter_ns = 2 * SIM_S                                                                \
    }
#define CONSUMER                  \
    {                             \
        .consumer_ns = 5 * SIM_MS \
    }
#define ROW(percent)                                                                             \
    {.name = "loss " #percent " %", .link = NETWORK(percent), .manner = CONSUMER},               \
        {.name = "loss " #percent " %, bad", .link = BAD(percent), .manner = CONSUMER},          \
        {.name = "loss " #percent " %, slow", .link = SLOW(percent), .manner = CONSUMER},        \
    {                                                                                            \
        .name = "loss " #percent " %, bad, little time", .link = BAD(percent),                   \
        .manner = {.consumer_ns = 400 * SIM_MS}, .every_ns = 2 * SIM_MS, .time_ns = 300 * SIM_MS \
    }

static const struct cell cells[] = {
    ROW(0),
    ROW(1),
    ROW(10),
    ROW(30),
    ROW(50),
    {.name = "a full mailbox",
     .link = BAD(1),
     .manner = {.consumer_ns = 20 * SIM_MS, .mailbox = 50}},
    {.name = "a full mailbox, little time",
     .link = BAD(1),
     .manner = {.consumer_ns = 100 * SIM_MS, .mailbox = 20},
     .every_ns = 2 * SIM_MS,
     .time_ns = 200 * SIM_MS},
    {.name = "refusals", .link = BAD(10), .manner = {.consumer_ns = SIM_MS, .refuse_each = 7}},
    {.name = "a receiver that restarts",
     .link = BAD(10),
     .manner = CONSUMER,
     .receiver_down_ns = SIM_S},
    {.name = "a receiver that loses its memory",
     .link = BAD(10),
     .manner = CONSUMER,
     .receiver_down_ns = SIM_S,
     .loses_memory = true},
    {.name = "senders that crash",
     .link = BAD(10),
     .manner = CONSUMER,
     .every_ns = 2 * SIM_MS,
     .sender_lives_ns = 4 * SIM_S},
    {.name = "one at a time", .link = BAD(10), .manner = CONSUMER, .max_unanswered = 1},
};

/* A cell by chance. */
static void make_cell(struct cell *out, uint64_t seed)
{
    static const double losses[] = {0, 0.01, 0.1, 0.3, 0.5};
    struct sim_random r = {.state = seed ^ UINT64_C(0xabcdef)};
    *out = (struct cell){
        .name = "by chance",
        .link = {.loss = losses[sim_below(&r, 5)],
                 .duplication = sim_chance(&r, 0.5) ? 0.1 : 0,
                 .corruption = sim_chance(&r, 0.5) ? 0.05 : 0,
                 .reordering = sim_chance(&r, 0.5) ? 0.2 : 0,
                 .delay_ns = sim_below(&r, 50 * SIM_MS),
                 .jitter_ns = sim_chance(&r, 0.2) ? sim_below(&r, 2 * SIM_S) : SIM_MS},
        .manner = {.consumer_ns = sim_below(&r, SIM_S),
                   .mailbox = sim_chance(&r, 0.3) ? (uint32_t)sim_between(&r, 1, 50) : 0,
                   .refuse_each = sim_chance(&r, 0.3) ? (uint32_t)sim_between(&r, 1, 9) : 0},
        .time_ns = sim_chance(&r, 0.5) ? sim_between(&r, SIM_MS, 5 * SIM_S) : 0,
        .every_ns = sim_chance(&r, 0.5) ? sim_below(&r, 50 * SIM_MS) : 0,
        .max_unanswered = (uint32_t)sim_between(&r, 1, sim_chance(&r, 0.5) ? 20 : RESEND_SPAN),
        .receiver_down_ns = sim_chance(&r, 0.3) ? sim_between(&r, SIM_MS, SIM_S) : 0,
        .loses_memory = sim_chance(&r, 0.3),
        .sender_lives_ns = sim_chance(&r, 0.2) ? sim_between(&r, SIM_MS, 5 * SIM_S) : 0,
        .is_stored_only = sim_chance(&r, 0.3)};
    if (out->loses_memory)
        out->sender_lives_ns = 0;
}

static void run_by_chance(const struct sim_options *o)
{
    uint64_t first = o->has_seed ? o->seed : 1;
    uint64_t n = o->has_seed ? 1 : o->is_long ? 100000 : 1000;
    for (uint64_t seed = first; seed < first + n; seed++) {
        struct cell cell;
        make_cell(&cell, seed);
        run_cell(&cell, seed, 1 + (uint32_t)(seed % 200), o->has_seed);
    }
    printf("%-40s %7llu runs\n", "by chance", (unsigned long long)n);
}

int main(int argc, char **argv)
{
    struct sim_options o;
    sim_options_parse(&o, argc, argv);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (sim_is_wanted(&o, cells[i].name))
            run_cell(&cells[i], o.has_seed ? o.seed : 1, o.is_long ? 100000 : 3000, true);
    if (sim_is_wanted(&o, "by chance"))
        run_by_chance(&o);
    return 0;
}
