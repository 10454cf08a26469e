/* SPDX-License-Identifier: MIT */
/* What msgd itself answers to framed datagrams. Nothing here allocates, logs or blocks. */
#include "daemon/data/answers.h"

#include "daemon/core/spool.h"

#include "daemon/data/endpoint.h"
#include "daemon/data/framed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_MAX 256
/* How far back an answer that can be joined is looked for: so many senders may take turns. */
#define ANSWERS_LOOK_BACK 8
#define ANSWER_BUFFER     1280

struct answer {
    struct endpoint *endpoint;
    struct record meta;
    enum frame_type type; /* FRAME_ACK, FRAME_NACK */
    enum frame_wish which;
    enum drop_reason reason;
    struct frame_id id; /* its text: below */
    uint64_t count;
    size_t allowance;
    char text[FRAME_ID_MAX];
};

struct answers {
    size_t n;
    struct answer waiting[ANSWERS_MAX];
};

int answers_new(struct answers **out)
{
    *out = calloc(1, sizeof(**out));
    return *out != NULL ? 0 : -ENOMEM;
}

struct answers *answers_free(struct answers *a)
{
    free(a);
    return NULL;
}

/* ---- Sending ---- */

static bool is_answerable(const struct address *to)
{
    return to->port != 0 && !address_is_broadcast(to) && !address_is_multicast(to) &&
           !address_is_any(to);
}

void answer_frame(struct endpoint *e, const struct record *meta, const struct frame *f,
                  size_t allowance)
{
    struct worker *w = e->worker;
    struct address from, to;
    uint8_t bytes[ANSWER_BUFFER];

    record_from(meta, &to);
    record_to(meta, &from);
    if (!is_answerable(&to))
        return;
    size_t n = frame_write(f, bytes, sizeof(bytes));
    if (n == 0 || n > allowance) {
        count(&w->answers_suppressed);
        return;
    }
    if (!address_is_loopback(&e->settings.address) &&
        !reply_limit_take(&w->answer_limit, &to, w->options.answers_per_source, uv_hrtime())) {
        count(&w->answers_limited);
        return;
    }
    (void)!endpoint_send(e, &from, &to, bytes, n); /* what gets lost is asked for again */
}

static void send_answer(const struct answer *a)
{
    struct frame f = {.type = a->type, .members = FRAME_HAS_ID, .id = a->id, .count = a->count};

    f.id.text.bytes = (const uint8_t *)a->text;
    if (a->count > 1)
        f.members |= FRAME_HAS_COUNT;
    if (a->type == FRAME_ACK) {
        f.members |= FRAME_HAS_WISH;
        f.wish = a->which;
    } else {
        const char *reason = drop_reason_key(a->reason);
        f.members |= FRAME_HAS_REASON;
        f.reason = (struct frame_slice){(const uint8_t *)reason, strlen(reason)};
        f.is_retry = drop_reason_passes(a->reason);
    }
    answer_frame(a->endpoint, &a->meta, &f, a->allowance);
}

void answers_flush(struct worker *w)
{
    struct answers *all = w->answers;

    for (size_t i = 0; i < all->n; i++)
        send_answer(&all->waiting[i]);
    all->n = 0;
}

/* ---- Queueing ---- */

static bool is_same_way(const struct record *a, const struct record *b)
{
    return a->from_port == b->from_port && a->to_port == b->to_port && a->scope == b->scope &&
           memcmp(a->from_ip, b->from_ip, sizeof(a->from_ip)) == 0 &&
           memcmp(a->to_ip, b->to_ip, sizeof(a->to_ip)) == 0;
}

/* Is `next` the answer to the number right behind those that `a` answers? */
static bool is_continued(const struct answer *a, const struct answer *next)
{
    return a->id.is_numbered && next->id.is_numbered && a->endpoint == next->endpoint &&
           a->id.source == next->id.source && a->id.number + a->count == next->id.number &&
           a->type == next->type && a->which == next->which && a->reason == next->reason &&
           a->count < FRAME_COUNT_MAX && is_same_way(&a->meta, &next->meta);
}

static bool join(struct answers *all, const struct answer *next)
{
    for (size_t i = 1; i <= all->n && i <= ANSWERS_LOOK_BACK; i++) {
        struct answer *a = &all->waiting[all->n - i];
        if (!is_continued(a, next))
            continue;
        a->count++;
        a->allowance += next->allowance;
        return true;
    }
    return false;
}

static void queue(const struct answer_cause *c, struct answer *a)
{
    struct worker *w = c->endpoint->worker;
    struct answers *all = w->answers;

    a->endpoint = c->endpoint;
    memcpy(&a->meta, c->meta, sizeof(a->meta));
    a->id = *c->id;
    a->count = 1;
    a->allowance = c->allowance;
    if (join(all, a))
        return;
    memcpy(a->text, c->id->text.bytes, c->id->text.n);
    if (all->n == ANSWERS_MAX)
        answers_flush(w);
    memcpy(&all->waiting[all->n++], a, sizeof(*a));
}

void answer_ack(const struct answer_cause *c, enum frame_wish which)
{
    struct answer a = {.type = FRAME_ACK, .which = which};

    queue(c, &a);
}

void answer_nack(const struct answer_cause *c, enum drop_reason reason)
{
    struct answer a = {.type = FRAME_NACK, .reason = reason};

    queue(c, &a);
}

/* ---- What becomes of a message later ---- */

void answer_settled(void *context, const struct record *r, int outcome)
{
    struct endpoint *e = context;
    struct worker *w = e->worker;
    struct message_tag tag;
    struct frame_id id;

    record_tag(r, &tag);
    if (tag.n_id == 0 || tag.type == MESSAGE_REPLY)
        return;
    frame_id_read(tag.id, tag.n_id, &id);
    struct message_key key = {.endpoint = e->number, .id = &id};
    bool is_dropped = outcome >= 0;
    if (is_dropped)
        duplicates_forget(&w->duplicates, &key);
    else
        duplicates_release(&w->duplicates, &key, boot_clock_ms());
    bool waits_for_disk =
        tag.wants_disk && e->mailbox.spool != NULL && r->seq > e->mailbox.spool->committed;
    if (!tag.is_awaited && !waits_for_disk)
        return;
    struct answer_cause cause = {.endpoint = e, .meta = r, .id = &id, .allowance = tag.allowance};
    if (is_dropped)
        answer_nack(&cause, (enum drop_reason)outcome);
    else
        answer_ack(&cause, tag.is_awaited ? FRAME_RELEASED : FRAME_STORED);
}
