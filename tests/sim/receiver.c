/* SPDX-License-Identifier: MIT */
/* A model of an endpoint that takes acknowledged messages. */
#include "tests/sim/receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long an acknowledgement waits for its neighbours. */
#define JOIN_NS  (20 * SIM_US)
#define JOIN_TAG UINT64_MAX

static void remember_nothing(struct receiver *r)
{
    const struct duplicates_options o = {.key = {{1, 2}}, .max_sources = RECEIVER_MAX_SOURCES};
    duplicates_deinit(&r->duplicates);
    SIM_HOLDS(duplicates_init(&r->duplicates, &o) == 0, "no memory");
}

void receiver_init(struct receiver *r, struct sim_network *net, struct sim_link *back,
                   struct receiver_message *messages, uint32_t n_messages)
{
    *r =
        (struct receiver){.net = net, .back = back, .messages = messages, .n_messages = n_messages};
    remember_nothing(r);
}

void receiver_deinit(struct receiver *r)
{
    duplicates_deinit(&r->duplicates);
    free(r->records);
}

void receiver_lose_memory(struct receiver *r)
{
    remember_nothing(r);
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

static uint64_t now_ms(const struct receiver *r)
{
    return r->net->now_ns / SIM_MS;
}

static void store(struct receiver *r, const struct frame *f, const struct message_key *key,
                  uint32_t index)
{
    if (r->n_records == r->record_capacity) {
        r->record_capacity = r->record_capacity > 0 ? 2 * r->record_capacity : 1024;
        r->records = realloc(r->records, r->record_capacity * sizeof *r->records);
        SIM_HOLDS(r->records != NULL, "no memory");
    }
    r->records[r->n_records] = (struct receiver_record){.source = f->id.source,
                                                        .number = f->id.number,
                                                        .index = index,
                                                        .generation = r->generation,
                                                        .is_request = f->type == FRAME_REQUEST,
                                                        .wants_release = f->type == FRAME_SEND &&
                                                                         f->wish == FRAME_RELEASED};
    uint64_t takes_ns = sim_below(&r->net->random, r->manner.consumer_ns + 1);
    sim_timer(r->net, r->net->now_ns + takes_ns, r->self, r->n_records++);
    r->n_waiting++;
    r->messages[index].n_stored++;
    duplicates_keep(&r->duplicates, key, now_ms(r));
}

static void answer_again(struct receiver *r, const struct frame *f, bool is_released)
{
    if (f->type == FRAME_REQUEST && is_released)
        reply(r, f->id.source, f->id.number, receiver_index(&f->body));
    else if (f->type == FRAME_SEND && f->wish == FRAME_RELEASED && is_released)
        ack(r, f->id.source, f->id.number, FRAME_RELEASED);
    else
        ack(r, f->id.source, f->id.number, FRAME_STORED);
}

static void take(struct receiver *r, const struct frame *f)
{
    const struct message_key key = {.endpoint = 1, .id = &f->id};
    uint32_t index = receiver_index(&f->body);
    SIM_HOLDS(index < r->n_messages, "message %u, of %u", index, r->n_messages);
    enum duplicate known = duplicates_look(&r->duplicates, &key, now_ms(r));
    if (known == DUPLICATE_KEPT || known == DUPLICATE_RELEASED) {
        answer_again(r, f, known == DUPLICATE_RELEASED);
    } else if (known == DUPLICATE_NO_ROOM) {
        nack(r, f, "sources_full", true);
    } else if (r->manner.refuse_each != 0 && index % r->manner.refuse_each == 0) {
        r->messages[index].is_refused = true;
        nack(r, f, "invalid_json", false);
    } else if (r->manner.mailbox != 0 && r->n_waiting >= r->manner.mailbox) {
        nack(r, f, "mailbox_full", true);
    } else {
        store(r, f, &key, index);
        if (f->type == FRAME_SEND && f->wish == FRAME_STORED)
            ack(r, f->id.source, f->id.number, FRAME_STORED);
    }
}

static void release(struct receiver *r, const struct receiver_record *record)
{
    const struct frame_id id = {
        .is_numbered = true, .source = record->source, .number = record->number};
    const struct message_key key = {.endpoint = 1, .id = &id};
    r->n_waiting--;
    if (record->generation != r->generation)
        return; /* nobody knows any more to whom it would be told */
    duplicates_release(&r->duplicates, &key, now_ms(r));
    if (r->is_down)
        return;
    if (record->is_request)
        reply(r, record->source, record->number, record->index);
    else if (record->wants_release)
        ack(r, record->source, record->number, FRAME_RELEASED);
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
