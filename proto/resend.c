/* SPDX-License-Identifier: MIT */
/* The sender of messages that are to be acknowledged. */
#include "proto/resend.h"

#include "proto/due.h"
#include "proto/pace.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How often a message is asked about that is kept and waits for its consumer. */
#define ASK_FIRST_NS (PACE_TIMEOUT_FIRST_NS)
#define ASK_MAX_NS   UINT64_C(5000000000)

/* A message's own timeout doubles up to so many times the one that is measured: where others are
 * answered, it was lost by chance. */
#define BACK_OFF_MAX 8u

/* After a refusal for the moment: what is full does not empty in a round trip. */
#define RETRY_FIRST_NS UINT64_C(20000000)
#define RETRY_MAX_NS   UINT64_C(2000000000)

enum slot_state {
    SLOT_FREE,
    SLOT_WAITING, /* put, and not sent yet */
    SLOT_FLYING,  /* sent; nothing is known of it */
    SLOT_REFUSED, /* for the moment; goes again */
    SLOT_KEPT,    /* it is there; that it is stored, its release or its reply is awaited */
    SLOT_DECIDED, /* its fate is to be told */
};

#define NO_SLOT UINT16_MAX

struct slot {
    uint64_t number;
    void *context;
    uint64_t deadline_ns;
    uint64_t first_ns;    /* when it was first sent */
    uint64_t sent_ns;     /* when last */
    uint64_t due_ns;      /* when it goes again, unless it is answered; not for SLOT_WAITING */
    uint64_t interval_ns; /* from its last sending to due_ns, without jitter */
    uint64_t answered_ns; /* when the first answer came */
    uint32_t n_sent;
    uint32_t n_answers;
    uint16_t next;   /* of the fates to be told */
    uint8_t state;   /* enum slot_state */
    uint8_t wish;    /* enum resend_wish */
    uint8_t outcome; /* enum resend_outcome */
    bool is_kept;
    bool is_temporary;
    char reason[RESEND_REASON_MAX];
};

struct resend {
    uint64_t next_number;
    uint64_t next_unsent; /* everything before it was sent, or is decided */
    uint64_t oldest;      /* everything before it is told */
    uint32_t max_unanswered;
    uint32_t n_untold;
    uint32_t n_unanswered;
    uint32_t n_flying;
    uint32_t n_flying_then;         /* when something was last sent */
    uint16_t told_first, told_last; /* fates in the order in which they were decided */
    uint64_t random;
    uint64_t n_sent, n_resent;
    uint64_t hold_ns; /* so long nothing is begun after held_ns, because of a refusal; 0: none */
    uint64_t held_ns;
    struct pace pace;
    struct due due;
    uint32_t span;       /* a power of two, at most RESEND_SPAN */
    struct slot slots[]; /* a message lies at its number modulo the span */
};

_Static_assert((RESEND_SPAN & (RESEND_SPAN - 1)) == 0 && RESEND_SPAN < NO_SLOT, "an index by mask");

/* A message that waits long lets so many times as many others pass as there may be at a time: who
 * sends few at a time need not have the memory for all that a receiver remembers. */
#define SPAN_FACTOR 16u

int resend_new(struct resend **out, uint32_t max_unanswered, uint64_t seed)
{
    assert(max_unanswered >= 1 && max_unanswered <= RESEND_SPAN);
    uint32_t span = SPAN_FACTOR;
    while (span < RESEND_SPAN && span < SPAN_FACTOR * max_unanswered)
        span *= 2;
    struct resend *r = calloc(1, sizeof *r + span * sizeof r->slots[0]);
    *out = NULL;
    if (r == NULL)
        return -ENOMEM;
    if (due_init(&r->due, span) != 0) {
        free(r);
        return -ENOMEM;
    }
    r->span = span;
    r->next_number = r->next_unsent = r->oldest = 1;
    r->max_unanswered = max_unanswered;
    r->told_first = r->told_last = NO_SLOT;
    r->random = seed;
    pace_init(&r->pace, max_unanswered);
    *out = r;
    return 0;
}

struct resend *resend_free(struct resend *r)
{
    if (r == NULL)
        return NULL;
    due_deinit(&r->due);
    free(r);
    return NULL;
}

static uint16_t index_of(const struct resend *r, uint64_t number)
{
    return (uint16_t)(number & (r->span - 1));
}

/* The message of that number if it was put and is not decided, else NULL. */
static struct slot *find(struct resend *r, uint64_t number)
{
    struct slot *s = &r->slots[index_of(r, number)];
    bool is_open = s->state != SLOT_FREE && s->state != SLOT_DECIDED;
    return is_open && s->number == number ? s : NULL;
}

/* The numbers that an answer is about, as far as there are messages or were lately. */
struct range {
    uint64_t begin, end;
};

static struct range range_of(const struct resend *r, uint64_t number, uint64_t count)
{
    uint64_t end = number < UINT64_MAX - count ? number + count : UINT64_MAX;
    uint64_t known = r->next_number > r->span ? r->next_number - r->span : 1;
    return (struct range){.begin = number > known ? number : known,
                          .end = end < r->next_number ? end : r->next_number};
}

/* ---- Time ---- */

/* From ns to one and a half of it (RFC 7252, ACK_RANDOM_FACTOR). xorshift64*, of any seed. */
static uint64_t with_jitter(struct resend *r, uint64_t ns)
{
    uint64_t x = r->random != 0 ? r->random : UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    r->random = x;
    uint64_t half_ns = ns / 2;
    double share = (double)((x * UINT64_C(0x2545f4914f6cdd1d)) >> 32) / 4294967296.0;
    return ns + (uint64_t)((double)half_ns * share);
}

static void schedule(struct resend *r, struct slot *s, uint64_t from_ns)
{
    s->due_ns = from_ns + with_jitter(r, s->interval_ns);
    due_set(&r->due, index_of(r, s->number),
            s->due_ns < s->deadline_ns ? s->due_ns : s->deadline_ns);
}

static void set_state(struct resend *r, struct slot *s, enum slot_state state)
{
    r->n_flying -= s->state == SLOT_FLYING;
    r->n_flying += state == SLOT_FLYING;
    s->state = (uint8_t)state;
}

/* ---- Fates ---- */

static void forget(struct resend *r, struct slot *s)
{
    s->state = SLOT_FREE;
    r->n_untold--;
    while (r->oldest < r->next_number && r->slots[index_of(r, r->oldest)].state == SLOT_FREE)
        r->oldest++;
    if (r->next_unsent < r->oldest)
        r->next_unsent = r->oldest;
}

static void decide(struct resend *r, struct slot *s, enum resend_outcome outcome)
{
    uint16_t index = index_of(r, s->number);
    set_state(r, s, SLOT_DECIDED);
    s->outcome = (uint8_t)outcome;
    s->next = NO_SLOT;
    due_clear(&r->due, index);
    r->n_unanswered--;
    if (r->told_last == NO_SLOT)
        r->told_first = index;
    else
        r->slots[r->told_last].next = index;
    r->told_last = index;
}

bool resend_told(struct resend *r, uint64_t now_ns, struct resend_fate *out)
{
    if (r->told_first == NO_SLOT)
        return false;
    struct slot *s = &r->slots[r->told_first];
    *out = (struct resend_fate){.number = s->number,
                                .context = s->context,
                                .outcome = (enum resend_outcome)s->outcome,
                                .is_kept = s->is_kept,
                                .is_sent = s->n_sent > 0,
                                .is_temporary = s->is_temporary,
                                .n_sent = s->n_sent,
                                .took_ns = s->n_sent > 0 ? now_ns - s->first_ns : 0};
    if (s->outcome == RESEND_REFUSED)
        memcpy(out->reason, s->reason, sizeof out->reason);
    r->told_first = s->next;
    if (r->told_first == NO_SLOT)
        r->told_last = NO_SLOT;
    forget(r, s);
    return true;
}

bool resend_cancel(struct resend *r, uint64_t number)
{
    struct slot *s = find(r, number);
    if (s == NULL)
        return false;
    set_state(r, s, SLOT_DECIDED);
    due_clear(&r->due, index_of(r, number));
    r->n_unanswered--;
    forget(r, s);
    return true;
}

/* ---- Messages ---- */

bool resend_has_room(const struct resend *r)
{
    return r->n_untold < r->max_unanswered && r->next_number - r->oldest < r->span;
}

int resend_put(struct resend *r, const struct resend_message *m, uint64_t *number)
{
    if (!resend_has_room(r))
        return RESEND_FULL;
    *number = r->next_number++;
    struct slot *s = &r->slots[index_of(r, *number)];
    assert(s->state == SLOT_FREE);
    *s = (struct slot){.number = *number,
                       .context = m->context,
                       .deadline_ns = m->deadline_ns,
                       .wish = (uint8_t)m->wish,
                       .state = SLOT_WAITING};
    r->n_untold++;
    r->n_unanswered++;
    if (m->deadline_ns != RESEND_NEVER)
        due_set(&r->due, index_of(r, *number), m->deadline_ns);
    return 0;
}

/* A message whose release or reply is awaited was not answered: once, that is no sign of loss,
 * since the first sending is answered when its consumer is done. */
static bool is_loss(const struct slot *s)
{
    return s->state == SLOT_FLYING && (s->wish == RESEND_WISH_STORED || s->n_sent > 1);
}

static uint64_t doubled(uint64_t ns, uint64_t max_ns)
{
    if (max_ns > PACE_TIMEOUT_MAX_NS)
        max_ns = PACE_TIMEOUT_MAX_NS;
    return 2 * ns < max_ns ? 2 * ns : max_ns;
}

/* How long it waits for an answer to the sending that is due now. */
static void lengthen_interval(struct resend *r, struct slot *s)
{
    if (s->state == SLOT_KEPT)
        s->interval_ns = doubled(s->interval_ns, ASK_MAX_NS);
    else if (s->state == SLOT_FLYING)
        s->interval_ns = doubled(s->interval_ns, BACK_OFF_MAX * r->pace.timeout_ns);
    else
        s->interval_ns = r->pace.timeout_ns;
}

static void note_sending(struct resend *r, struct slot *s, uint64_t now_ns,
                         struct resend_sending *out)
{
    *out = (struct resend_sending){
        .number = s->number, .context = s->context, .is_again = s->n_sent > 0};
    if (s->n_sent == 0)
        s->first_ns = now_ns;
    r->n_resent += s->n_sent > 0;
    r->n_sent++;
    s->n_sent++;
    s->sent_ns = now_ns;
    if (s->state != SLOT_KEPT)
        set_state(r, s, SLOT_FLYING);
    r->n_flying_then = r->n_flying;
    schedule(r, s, now_ns);
}

static void time_over(struct resend *r, struct slot *s)
{
    if (s->state == SLOT_REFUSED) {
        s->is_temporary = true;
        decide(r, s, RESEND_REFUSED);
    } else {
        decide(r, s, RESEND_TIMED_OUT);
    }
}

/* What is due: sent again, or its time is over. False: nothing. */
static bool next_due(struct resend *r, uint64_t now_ns, struct resend_sending *out)
{
    uint16_t index;
    while (due_first(&r->due, &index) <= now_ns) {
        struct slot *s = &r->slots[index];
        if (now_ns >= s->deadline_ns) {
            time_over(r, s);
            continue;
        }
        if (is_loss(s))
            pace_lost(&r->pace, now_ns, s->sent_ns, false);
        lengthen_interval(r, s);
        note_sending(r, s, now_ns, out);
        return true;
    }
    return false;
}

/* When what was never sent may go: 0 for now, RESEND_NEVER while others are awaited. */
static uint64_t may_begin_ns(const struct resend *r)
{
    if (r->next_unsent == r->next_number || r->n_flying >= r->pace.window)
        return RESEND_NEVER;
    return r->hold_ns != 0 ? r->held_ns + r->hold_ns : 0;
}

static bool next_unsent(struct resend *r, uint64_t now_ns, struct resend_sending *out)
{
    while (may_begin_ns(r) <= now_ns) {
        struct slot *s = find(r, r->next_unsent++);
        if (s == NULL || s->state != SLOT_WAITING)
            continue;
        s->interval_ns = r->pace.timeout_ns;
        note_sending(r, s, now_ns, out);
        return true;
    }
    return false;
}

bool resend_next(struct resend *r, uint64_t now_ns, struct resend_sending *out)
{
    return next_due(r, now_ns, out) || next_unsent(r, now_ns, out);
}

uint64_t resend_deadline(const struct resend *r)
{
    uint16_t index;
    uint64_t due_ns = due_first(&r->due, &index);
    uint64_t begin_ns = may_begin_ns(r);
    return due_ns < begin_ns ? due_ns : begin_ns;
}

/* ---- Answers ---- */

/*
 * An answer to s has come, or to what s was before its fate was told. Of what was sent several
 * times nobody knows which sending was answered, until as many answers have come: then none was
 * lost, and the first answered the first. So a path that has become slower than the timeout is
 * measured, too.
 *
 * Where more is wished than that it be stored, the first sending is answered when the consumer is
 * done, later ones at once: an answer that it is stored, to a message that was sent twice, is to
 * the second sending. What took its consumer longer than a round trip says nothing about round
 * trips.
 */
static void count_answer(struct resend *r, struct slot *s, uint64_t now_ns, bool is_stored)
{
    uint64_t took_ns = now_ns - s->sent_ns, known_ns = r->pace.smoothed_ns;
    if (++s->n_answers == 1)
        s->answered_ns = now_ns;
    if (s->wish == RESEND_WISH_STORED) {
        if (s->n_answers == s->n_sent)
            pace_measure(&r->pace, s->answered_ns - s->first_ns);
        if (s->n_answers == s->n_sent && s->n_sent > 1)
            pace_not_lost(&r->pace, s->first_ns);
    } else if (s->n_answers == 1 && s->n_sent <= 2) {
        if (is_stored || (s->n_sent == 1 && (known_ns == 0 || took_ns < known_ns)))
            pace_measure(&r->pace, took_ns);
    }
}

static void answered(struct resend *r, struct slot *s, uint64_t now_ns)
{
    if (s->state == SLOT_FLYING)
        pace_answered(&r->pace, now_ns, 2 * r->n_flying_then >= r->pace.window);
}

/* The message that an answer is about if it is under way, else NULL. */
static struct slot *find_for_answer(struct resend *r, uint64_t number, uint64_t now_ns,
                                    bool is_stored)
{
    struct slot *s = &r->slots[index_of(r, number)];
    if (s->number == number && s->n_sent > 0)
        count_answer(r, s, now_ns, is_stored);
    s = find(r, number);
    return s != NULL && s->state != SLOT_WAITING ? s : NULL;
}

static void keep(struct resend *r, struct slot *s, uint64_t now_ns, bool is_stored)
{
    s->is_kept = s->is_kept || is_stored;
    if (s->state == SLOT_KEPT)
        return;
    set_state(r, s, SLOT_KEPT);
    s->interval_ns = r->pace.timeout_ns > ASK_FIRST_NS ? r->pace.timeout_ns : ASK_FIRST_NS;
    schedule(r, s, now_ns);
}

static void ack_one(struct resend *r, struct slot *s, uint64_t now_ns, enum resend_wish which)
{
    answered(r, s, now_ns);
    if (which == RESEND_RECEIVED)
        keep(r, s, now_ns, false);
    else if (s->wish == RESEND_WISH_STORED)
        decide(r, s, RESEND_STORED);
    else if (which == RESEND_WISH_STORED)
        keep(r, s, now_ns, true);
    else
        decide(r, s, RESEND_RELEASED);
    r->hold_ns = 0;
}

void resend_ack(struct resend *r, uint64_t now_ns, uint64_t number, uint64_t count,
                enum resend_wish which)
{
    struct range range = range_of(r, number, count);
    for (number = range.begin; number < range.end; number++) {
        struct slot *s = find_for_answer(r, number, now_ns, which != RESEND_WISH_RELEASED);
        if (s != NULL)
            ack_one(r, s, now_ns, which);
    }
}

static void keep_reason(struct slot *s, const struct resend_refusal *refusal)
{
    size_t n = refusal->n_reason < sizeof s->reason ? refusal->n_reason : sizeof s->reason - 1;
    if (n > 0)
        memcpy(s->reason, refusal->reason, n);
    s->reason[n] = '\0';
}

/* What is full is so for every message: those that were never sent wait, too, longer each time
 * until something is taken. */
static void hold(struct resend *r, const struct slot *s, uint64_t now_ns)
{
    if (r->hold_ns != 0 && s->sent_ns < r->held_ns)
        return;
    r->hold_ns = r->hold_ns != 0 ? doubled(r->hold_ns, RETRY_MAX_NS) : RETRY_FIRST_NS;
    r->held_ns = now_ns;
}

/* It goes again after a while. What is told of earlier sendings changes nothing of when. */
static void refuse_for_now(struct resend *r, struct slot *s, uint64_t now_ns)
{
    if (s->state == SLOT_REFUSED)
        return;
    uint64_t interval_ns = RETRY_FIRST_NS;
    for (uint32_t i = 1; i < s->n_sent && interval_ns < RETRY_MAX_NS; i++)
        interval_ns = doubled(interval_ns, RETRY_MAX_NS);
    answered(r, s, now_ns);
    pace_lost(&r->pace, now_ns, s->sent_ns, true);
    hold(r, s, now_ns);
    set_state(r, s, SLOT_REFUSED);
    s->is_kept = false;
    s->interval_ns = interval_ns > r->pace.timeout_ns ? interval_ns : r->pace.timeout_ns;
    schedule(r, s, now_ns);
}

static void nack_one(struct resend *r, struct slot *s, uint64_t now_ns,
                     const struct resend_refusal *refusal)
{
    keep_reason(s, refusal);
    if (refusal->is_temporary) {
        refuse_for_now(r, s, now_ns);
    } else {
        answered(r, s, now_ns);
        decide(r, s, RESEND_REFUSED);
    }
}

void resend_nack(struct resend *r, uint64_t now_ns, uint64_t number, uint64_t count,
                 const struct resend_refusal *refusal)
{
    struct range range = range_of(r, number, count);
    for (number = range.begin; number < range.end; number++) {
        struct slot *s = find_for_answer(r, number, now_ns, false);
        if (s != NULL)
            nack_one(r, s, now_ns, refusal);
    }
}

bool resend_reply(struct resend *r, uint64_t now_ns, uint64_t number)
{
    struct slot *s = find_for_answer(r, number, now_ns, false);
    if (s == NULL || s->wish != RESEND_WISH_REPLY)
        return false;
    answered(r, s, now_ns);
    decide(r, s, RESEND_REPLIED);
    return true;
}

void resend_unreachable(struct resend *r)
{
    for (uint64_t number = r->oldest; number < r->next_number; number++) {
        struct slot *s = find(r, number);
        if (s != NULL)
            decide(r, s, RESEND_UNREACHABLE);
    }
}

void resend_begin_again(struct resend *r)
{
    for (uint64_t number = r->oldest; number < r->next_number; number++) {
        struct slot *s = find(r, number);
        if (s == NULL || s->state != SLOT_FLYING)
            continue;
        set_state(r, s, SLOT_WAITING);
        s->n_sent = 0;
        due_clear(&r->due, index_of(r, number));
        if (s->deadline_ns != RESEND_NEVER)
            due_set(&r->due, index_of(r, number), s->deadline_ns);
    }
    r->next_unsent = r->oldest;
}

void resend_figures(const struct resend *r, struct resend_figures *out)
{
    *out = (struct resend_figures){.n_sent = r->n_sent,
                                   .n_resent = r->n_resent,
                                   .n_unanswered = r->n_unanswered,
                                   .n_flying = r->n_flying,
                                   .window = r->pace.window,
                                   .smoothed_rtt_ns = r->pace.smoothed_ns,
                                   .timeout_ns = r->pace.timeout_ns};
}
