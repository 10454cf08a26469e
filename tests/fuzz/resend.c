/* SPDX-License-Identifier: MIT */
/*
 * A sequence of calls on a sender of acknowledged messages, two bytes each: whatever comes in
 * whatever order, each message's fate is told exactly once, the numbers under way stay within the
 * receiver's window, and time moves only forward.
 */
#include "proto/resend.h"
#include "tests/fuzz/fuzz.h"

#define MESSAGES_MAX 8192

enum state { NOT_PUT, PUT, SENT, OVER };

struct run {
    struct resend *r;
    uint64_t now_ns;
    uint64_t n_put;
    uint32_t n_open; /* put and not over */
    uint8_t states[MESSAGES_MAX];
};

static void put(struct run *run, uint8_t argument)
{
    uint64_t number = 0;
    const struct resend_message m = {
        .wish = (enum resend_wish)(argument % 3),
        .deadline_ns = argument & 0x80 ? RESEND_NEVER : run->now_ns + argument * UINT64_C(10000000),
        .context = &run->states[run->n_put]};
    if (run->n_put + 1 >= MESSAGES_MAX)
        return;
    bool has_room = resend_has_room(run->r);
    HOLDS((resend_put(run->r, &m, &number) == 0) == has_room);
    if (!has_room)
        return;
    HOLDS(number == ++run->n_put);
    run->states[number - 1] = PUT;
    run->n_open++;
}

static void send_all(struct run *run)
{
    struct resend_sending sending;
    uint64_t oldest = run->n_put;
    for (unsigned n = 0; resend_next(run->r, run->now_ns, &sending); n++) {
        uint8_t *state = sending.context;
        HOLDS(n <= 2 * RESEND_SPAN);
        HOLDS(sending.number >= 1 && sending.number <= run->n_put);
        HOLDS(state == &run->states[sending.number - 1] && (*state == PUT || *state == SENT));
        *state = SENT;
        oldest = sending.number < oldest ? sending.number : oldest;
    }
    HOLDS(run->n_put - oldest < RESEND_SPAN);
    HOLDS(resend_deadline(run->r) > run->now_ns);
}

static void take_fates(struct run *run)
{
    struct resend_fate fate;
    while (resend_told(run->r, run->now_ns, &fate)) {
        uint8_t *state = fate.context;
        HOLDS(state == &run->states[fate.number - 1] && (*state == PUT || *state == SENT));
        HOLDS(*state == SENT || fate.outcome >= RESEND_TIMED_OUT);
        HOLDS(fate.outcome == RESEND_REFUSED || fate.reason[0] == '\0');
        *state = OVER;
        run->n_open--;
    }
}

/* An answer to a message near the last ones, or to anything. */
static void answer(struct run *run, unsigned kind, uint8_t argument)
{
    static const struct resend_refusal now = {"not_allowed", 11, false};
    static const struct resend_refusal later = {"mailbox_full", 12, true};
    uint64_t number = argument < 200 ? run->n_put - argument : (uint64_t)argument << 56;
    uint64_t count = argument % 7 == 0 ? UINT64_MAX : 1u + argument % 5;
    if (kind == 0)
        resend_ack(run->r, run->now_ns, number, count, RESEND_WISH_STORED);
    else if (kind == 1)
        resend_ack(run->r, run->now_ns, number, count, RESEND_WISH_RELEASED);
    else if (kind == 2)
        resend_nack(run->r, run->now_ns, number, count, &later);
    else if (kind == 3)
        resend_nack(run->r, run->now_ns, number, count, &now);
    else
        (void)resend_reply(run->r, run->now_ns, number);
}

static void cancel(struct run *run, uint8_t argument)
{
    uint64_t number = run->n_put - argument;
    if (!resend_cancel(run->r, number))
        return;
    HOLDS(run->states[number - 1] == PUT || run->states[number - 1] == SENT);
    run->states[number - 1] = OVER;
    run->n_open--;
}

static void call(struct run *run, uint8_t operation, uint8_t argument)
{
    switch (operation % 16) {
    case 0 ... 4:
        for (unsigned n = 0; n <= argument % 8u; n++)
            put(run, argument);
        break;
    case 5 ... 9:
        answer(run, operation % 16 - 5, argument);
        break;
    case 10:
        take_fates(run);
        break;
    case 11:
        run->now_ns += (uint64_t)argument << (operation / 16 + 14);
        break;
    case 12:
        run->now_ns =
            resend_deadline(run->r) != RESEND_NEVER && resend_deadline(run->r) > run->now_ns
                ? resend_deadline(run->r)
                : run->now_ns;
        break;
    case 13:
        cancel(run, argument);
        break;
    case 14:
        if (argument == 0)
            resend_unreachable(run->r);
        else if (argument == 1)
            resend_begin_again(run->r);
        break;
    default:
        send_all(run);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    struct resend_figures figures;
    if (size < 2)
        return 0;
    memset(&run, 0, sizeof run);
    run.now_ns = 1000000000;
    HOLDS(resend_new(&run.r, 1 + (data[0] < 250 ? data[0] % 32u : data[1] * 16u), data[1]) == 0);
    for (size_t i = 2; i + 1 < size; i += 2)
        call(&run, data[i], data[i + 1]);
    resend_figures(run.r, &figures);
    HOLDS(figures.n_unanswered <= run.n_open && figures.n_flying <= figures.n_unanswered);
    resend_unreachable(run.r);
    take_fates(&run);
    HOLDS(run.n_open == 0);
    HOLDS(resend_deadline(run.r) == RESEND_NEVER);
    run.r = resend_free(run.r);
    return 0;
}
