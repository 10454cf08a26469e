/* SPDX-License-Identifier: MIT */
/* A model of an endpoint that takes acknowledged messages. */
#include "tests/sim/receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long an acknowledgement waits for its neighbours. */
#define JOIN_NS  (20 * SIM_US)
#define JOIN_TAG UINT64_MAX

enum { UNSEEN, STORED, RELEASED };

void receiver_init(struct receiver *r, struct sim_network *net, struct sim_link *back,
                   struct receiver_message *messages, uint32_t n_messages)
{
    *r = (struct receiver){.net = net,
                           .back = back,
                           .messages = messages,
                           .n_messages = n_messages,
                           .sources = calloc(RECEIVER_MAX_SOURCES, sizeof *r->sources)};
    SIM_HOLDS(r->sources != NULL, "no memory");
}

void receiver_deinit(struct receiver *r)
{
    free(r->sources);
    free(r->records);
}

void receiver_lose_memory(struct receiver *r)
{
    memset(r->sources, 0, RECEIVER_MAX_SOURCES * sizeof *r->sources);
    r->generation++;
    r->has_pending = false;
}

uint32_t receiver_index(const struct frame_slice *body)
{
    char text[64] = "";
    unsigned index = UINT32_MAX;
    memcpy(text, body->bytes, body->n < sizeof text ? body->n : sizeof text - 1);
    SIM_HOLDS(sscanf(text, "{\"m\": %u}", &index) == 1, "a message that was never sent: %s", text);
    return index;
}

/* ---- Answers ---- */

static void send_frame(struct receiver *r, struct frame *f, uint64_t source, uint64_t number)
{
    uint8_t buf[512];
    char id[40];
    int n_id = snprintf(id, sizeof id, "%016llx.%llu", (unsigned long long)source,
                        (unsigned long long)number);
    f->members |= FRAME_HAS_ID;
    f->id.text = (struct frame_slice){(const uint8_t *)id, (size_t)n_id};
    size_t n = frame_write(f, buf, sizeof buf);
    SIM_HOLDS(n > 0, "an answer that cannot be written");
    sim_send(r->net, r->back, r->self, r->sender, buf, n);
}

static void flush(struct receiver *r)
{
    if (r->has_pending && !r->is_down)
        send_frame(r, &r->pending, r->pending_source, r->pending.id.number);
    r->has_pending = false;
}

static void ack(struct receiver *r, uint64_t source, uint64_t number, enum frame_wish which)
{
    if (r->has_pending && r->pending_source == source && r->pending.wish == which &&
        r->pending.id.number + r->pending.count == number) {
        r->pending.count++;
        r->pending.members |= FRAME_HAS_COUNT;
        return;
    }
    flush(r);
    r->pending = (struct frame){.type = FRAME_ACK,
                                .members = FRAME_HAS_WISH,
                                .wish = which,
                                .count = 1,
                                .id = {.number = number}};
    r->pending_source = source;
    r->has_pending = true;
    sim_timer(r->net, r->net->now_ns + JOIN_NS, r->self, JOIN_TAG);
}

static void nack(struct receiver *r, const struct frame *f, const char *reason, bool is_retry)
{
    struct frame answer = {.type = FRAME_NACK,
                           .members = FRAME_HAS_REASON,
                           .reason = {(const uint8_t *)reason, strlen(reason)},
                           .is_retry = is_retry};
    send_frame(r, &answer, f->id.source, f->id.number);
}

static void reply(struct receiver *r, uint64_t source, uint64_t number, uint32_t index)
{
    char text[32];
    int n = snprintf(text, sizeof text, "{\"m\": %u}", index);
    struct frame answer = {.type = FRAME_REPLY, .body = {(const uint8_t *)text, (size_t)n}};
    send_frame(r, &answer, source, number);
}

/* ---- Messages ---- */

static struct receiver_source *source_of(struct receiver *r, uint64_t source)
{
    for (uint32_t i = 0; i < RECEIVER_MAX_SOURCES; i++) {
        struct receiver_source *s = &r->sources[i];
        if (s->source == 0)
            s->source = source;
        if (s->source == source)
            return s;
    }
    SIM_HOLDS(false, "more sources than there are");
    return NULL;
}

static uint8_t *state_of(struct receiver_source *s, uint64_t number)
{
    return &s->state[number % RECEIVER_WINDOW];
}

/* What is known of a number; the window moves on to it. */
static int look_up(struct receiver_source *s, uint64_t number)
{
    if (number + RECEIVER_WINDOW <= s->highest)
        return RELEASED; /* long ago */
    for (; s->highest < number; s->highest++)
        *state_of(s, s->highest + 1) = UNSEEN;
    return *state_of(s, number);
}

static void store(struct receiver *r, const struct frame *f, struct receiver_source *s,
                  uint32_t index)
{
    if (r->n_records == r->record_capacity) {
        r->record_capacity = r->record_capacity > 0 ? 2 * r->record_capacity : 1024;
        r->records = realloc(r->records, r->record_capacity * sizeof *r->records);
        SIM_HOLDS(r->records != NULL, "no memory");
    }
    r->records[r->n_records] = (struct receiver_record){.number = f->id.number,
                                                        .source = (uint32_t)(s - r->sources),
                                                        .index = index,
                                                        .generation = r->generation,
                                                        .is_request = f->type == FRAME_REQUEST,
                                                        .wants_release = f->type == FRAME_SEND &&
                                                                         f->wish == FRAME_RELEASED};
    uint64_t takes_ns = sim_below(&r->net->random, r->manner.consumer_ns + 1);
    sim_timer(r->net, r->net->now_ns + takes_ns, r->self, r->n_records++);
    r->n_waiting++;
    r->messages[index].n_stored++;
    *state_of(s, f->id.number) = STORED;
}

static void answer_again(struct receiver *r, const struct frame *f, int state)
{
    if (f->type == FRAME_REQUEST && state == RELEASED)
        reply(r, f->id.source, f->id.number, receiver_index(&f->body));
    else if (f->type == FRAME_SEND && f->wish == FRAME_RELEASED && state == RELEASED)
        ack(r, f->id.source, f->id.number, FRAME_RELEASED);
    else
        ack(r, f->id.source, f->id.number, FRAME_STORED);
}

static void take(struct receiver *r, const struct frame *f)
{
    uint32_t index = receiver_index(&f->body);
    struct receiver_source *s = source_of(r, f->id.source);
    SIM_HOLDS(index < r->n_messages, "message %u, of %u", index, r->n_messages);
    int state = look_up(s, f->id.number);
    if (state != UNSEEN) {
        answer_again(r, f, state);
    } else if (r->manner.refuse_each != 0 && index % r->manner.refuse_each == 0) {
        r->messages[index].is_refused = true;
        nack(r, f, "invalid_json", false);
    } else if (r->manner.mailbox != 0 && r->n_waiting >= r->manner.mailbox) {
        nack(r, f, "mailbox_full", true);
    } else {
        store(r, f, s, index);
        if (f->type == FRAME_SEND && f->wish == FRAME_STORED)
            ack(r, f->id.source, f->id.number, FRAME_STORED);
    }
}

static void release(struct receiver *r, const struct receiver_record *record)
{
    r->n_waiting--;
    if (record->generation != r->generation)
        return; /* nobody knows any more to whom it would be told */
    struct receiver_source *s = &r->sources[record->source];
    if (record->number + RECEIVER_WINDOW > s->highest)
        *state_of(s, record->number) = RELEASED;
    if (r->is_down)
        return;
    if (record->is_request)
        reply(r, s->source, record->number, record->index);
    else if (record->wants_release)
        ack(r, s->source, record->number, FRAME_RELEASED);
}

void receiver_event(struct receiver *r, const struct sim_event *event)
{
    struct frame f;
    if (event->kind == SIM_TIMER) {
        if (event->tag == JOIN_TAG)
            flush(r);
        else
            release(r, &r->records[event->tag]);
        return;
    }
    /* What has no checksum may be anything that the network made of it. */
    if (r->is_down || event->n == 0 || event->bytes[0] != FRAME_START ||
        frame_parse(event->bytes, event->n, &f) != 0 || (f.members & FRAME_HAS_CRC) == 0)
        return;
    if ((f.type == FRAME_SEND || f.type == FRAME_REQUEST) && f.id.is_numbered)
        take(r, &f);
}
