/* SPDX-License-Identifier: MIT */
/* Whether to look before sleeping. */
#include "client/busy_wait.h"

/* Measured over so many messages. */
#define N_ASLEEP 32u
#define N_TRIED  64u

/* Messages so many budgets apart are worth a try: without the sleep they come closer. */
#define WORTH 2u
/* It is worth it where a message takes three quarters of the time or less. */
#define IS_FASTER(tried_ns, asleep_ns) (4 * (tried_ns) <= 3 * (asleep_ns))
/* Then it is measured anew: who waits for answers may do so no more. */
#define AGAIN_NS UINT64_C(100000000)

#define MAX_VAIN 8u

void busy_wait_init(struct busy_wait *b, uint64_t budget_ns)
{
    *b = (struct busy_wait){.budget_ns = budget_ns};
    rest_init(&b->rest);
}

static void enter(struct busy_wait *b, enum busy_wait_phase phase, uint64_t now_ns)
{
    b->phase = phase;
    b->begun_ns = now_ns;
    b->n_messages = 0;
    b->n_vain = 0;
}

static void give_up(struct busy_wait *b, uint64_t now_ns)
{
    rest_begin(&b->rest, now_ns);
    enter(b, BUSY_WAIT_ASLEEP, now_ns);
}

void busy_wait_in_vain(struct busy_wait *b, uint64_t now_ns)
{
    if (++b->n_vain == MAX_VAIN)
        give_up(b, now_ns);
}

static void judge_sleep(struct busy_wait *b, uint64_t now_ns)
{
    b->asleep_ns = (now_ns - b->begun_ns) / b->n_messages;
    bool is_worth_trying = b->asleep_ns <= WORTH * b->budget_ns && rest_is_over(&b->rest, now_ns);
    enter(b, is_worth_trying ? BUSY_WAIT_TRIED : BUSY_WAIT_ASLEEP, now_ns);
}

static void judge_try(struct busy_wait *b, uint64_t now_ns)
{
    if (!IS_FASTER((now_ns - b->begun_ns) / b->n_messages, b->asleep_ns)) {
        give_up(b, now_ns);
        return;
    }
    rest_shorten(&b->rest);
    enter(b, BUSY_WAIT_WORTH, now_ns);
}

void busy_wait_ended(struct busy_wait *b, uint64_t now_ns, bool has_looked)
{
    if (has_looked)
        b->n_vain = 0;
    if (b->phase == BUSY_WAIT_ASLEEP && b->n_messages >= N_ASLEEP)
        judge_sleep(b, now_ns);
    else if (b->phase == BUSY_WAIT_TRIED && b->n_messages >= N_TRIED)
        judge_try(b, now_ns);
    else if (b->phase == BUSY_WAIT_WORTH && now_ns - b->begun_ns >= AGAIN_NS)
        enter(b, BUSY_WAIT_ASLEEP, now_ns);
}
