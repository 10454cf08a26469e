/* SPDX-License-Identifier: MIT */
/* The sending side of a stream: segments in the order of offsets, and chains of them by number. */
#include "proto/stream_out.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS_FIRST UINT64_C(16)
#define SEGMENTS_PART  128u /* bytes of the buffer for each: a bound of what tiny ones may cost */

static const struct segment_list EMPTY = {SEGMENT_NONE, SEGMENT_NONE};

void stream_out_init(struct stream_out *out, uint64_t max_bytes)
{
    *out = (struct stream_out){.max_bytes = max_bytes, .in_flight = EMPTY, .lost = EMPTY};
    blocks_init(&out->blocks, max_bytes);
}

void stream_out_deinit(struct stream_out *out)
{
    blocks_deinit(&out->blocks);
    free(out->slots);
    out->slots = NULL;
}

/* ---- The writer ---- */

static uint64_t acked_bytes(const struct stream_out *out)
{
    return out->acked < out->written ? out->acked : out->written;
}

size_t stream_out_writable(const struct stream_out *out)
{
    if (out->is_finished)
        return 0;
    return (size_t)(out->max_bytes - (out->written - acked_bytes(out)));
}

size_t stream_out_write(struct stream_out *out, const void *bytes, size_t n)
{
    size_t room = stream_out_writable(out);

    if (n > room)
        n = room;
    if (n == 0 || blocks_put(&out->blocks, out->written, bytes, n) < 0)
        return 0;
    out->written += n;
    return n;
}

uint64_t stream_out_unsent(const struct stream_out *out)
{
    return out->sent < out->written ? out->written - out->sent : 0;
}

bool stream_out_has_unsent(const struct stream_out *out)
{
    return out->sent < out->written + out->is_finished;
}

bool stream_out_is_done(const struct stream_out *out)
{
    return out->is_finished && out->acked > out->written;
}

/* ---- Segments and their lists ---- */

static struct segment *at(const struct stream_out *out, uint64_t place)
{
    return &out->slots[place & out->mask];
}

static uint64_t end_of(const struct segment *s)
{
    return s->offset + s->n_bytes + s->is_end;
}

static struct segment_list *list_of(struct stream_out *out, const struct segment *s)
{
    return s->state == SEGMENT_LOST ? &out->lost : &out->in_flight;
}

/* Segments lie in the order of their offsets without gaps: the one that holds this. */
static uint64_t find(const struct stream_out *out, uint64_t offset)
{
    uint64_t low = out->first, high = out->end;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (end_of(at(out, middle)) <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The place of a segment is not kept in it: its neighbours' links, or the list's ends, name it. */
static uint64_t place_of(const struct stream_out *out, const struct segment *s)
{
    uint64_t slot = (uint64_t)(s - out->slots);

    return out->first + ((slot - out->first) & out->mask);
}

static void list_append(struct stream_out *out, struct segment_list *list, struct segment *s)
{
    uint64_t place = place_of(out, s);

    s->previous = list->last;
    s->next = SEGMENT_NONE;
    if (list->last == SEGMENT_NONE)
        list->first = place;
    else
        at(out, list->last)->next = place;
    list->last = place;
}

static void list_remove(struct stream_out *out, struct segment_list *list, const struct segment *s)
{
    if (s->previous == SEGMENT_NONE)
        list->first = s->next;
    else
        at(out, s->previous)->next = s->next;
    if (s->next == SEGMENT_NONE)
        list->last = s->previous;
    else
        at(out, s->next)->previous = s->previous;
}

static bool reserve(struct stream_out *out)
{
    uint64_t n = out->end - out->first, n_slots = out->slots == NULL ? 0 : out->mask + 1;

    if (n < n_slots)
        return true;

    uint64_t n_new = n_slots == 0 ? SEGMENTS_FIRST : n_slots * 2;
    struct segment *slots = malloc(n_new * sizeof *slots);

    if (slots == NULL)
        return false;
    for (uint64_t place = out->first; place < out->end; place++)
        slots[place & (n_new - 1)] = *at(out, place);
    free(out->slots);
    out->slots = slots;
    out->mask = n_new - 1;
    return true;
}

bool stream_out_is_crowded(const struct stream_out *out)
{
    return out->end - out->first >= out->max_bytes / SEGMENTS_PART + SEGMENTS_FIRST;
}

struct segment *stream_out_cut(struct stream_out *out, size_t n)
{
    uint64_t unsent = stream_out_unsent(out);

    if (!reserve(out))
        return NULL;
    if (n > unsent)
        n = (size_t)unsent;

    struct segment *s = at(out, out->end++);

    *s = (struct segment){.offset = out->sent,
                          .n_bytes = (uint32_t)n,
                          .state = SEGMENT_IN_FLIGHT,
                          .is_end = out->is_finished && n == unsent,
                          .sent_ns = 0};
    out->sent = end_of(s);
    list_append(out, &out->in_flight, s);
    return s;
}

struct segment *stream_out_lost(const struct stream_out *out)
{
    return out->lost.first == SEGMENT_NONE ? NULL : at(out, out->lost.first);
}

struct segment *stream_out_oldest(const struct stream_out *out)
{
    return out->in_flight.first == SEGMENT_NONE ? NULL : at(out, out->in_flight.first);
}

void stream_out_sent(struct stream_out *out, struct segment *s, uint64_t number, uint64_t now_ns,
                     uint32_t n_charged)
{
    list_remove(out, list_of(out, s), s);
    if (s->state == SEGMENT_IN_FLIGHT)
        out->n_in_flight -= s->n_charged;
    s->is_again = s->number != 0;
    s->state = SEGMENT_IN_FLIGHT;
    s->number = number;
    s->sent_ns = now_ns;
    s->n_charged = n_charged;
    out->n_in_flight += n_charged;
    list_append(out, &out->in_flight, s);
}

void stream_out_lose(struct stream_out *out, struct segment *s)
{
    list_remove(out, &out->in_flight, s);
    out->n_in_flight -= s->n_charged;
    s->state = SEGMENT_LOST;
    list_append(out, &out->lost, s);
}

/* ---- Cutting anew ---- */

static uint64_t n_pieces(const struct segment *s, uint32_t max_bytes)
{
    if (s->state == SEGMENT_COME || s->n_bytes <= max_bytes)
        return 1;
    return (s->n_bytes + max_bytes - 1) / max_bytes;
}

/* One segment of the old table becomes one or more of the new. */
static void recut_one(struct stream_out *out, const struct segment *s, uint32_t max_bytes)
{
    uint64_t offset = s->offset, n = n_pieces(s, max_bytes), left = s->n_bytes;

    for (uint64_t i = 0; i < n; i++) {
        struct segment *new = at(out, out->end++);
        uint64_t n_bytes = n > 1 && left > max_bytes ? max_bytes : left;

        *new = *s;
        new->offset = offset;
        new->n_bytes = (uint32_t)n_bytes;
        new->is_end = s->is_end &&i + 1 == n;
        new->skip = 1;
        offset += n_bytes;
        left -= n_bytes;
        if (new->state != SEGMENT_COME) {
            new->state = SEGMENT_LOST;
            list_append(out, &out->lost, new);
        }
    }
}

int stream_out_recut(struct stream_out *out, uint32_t max_bytes)
{
    struct stream_out old = *out;
    uint64_t n = 0, n_slots = SEGMENTS_FIRST;

    for (uint64_t place = old.first; place < old.end; place++)
        n += n_pieces(at(&old, place), max_bytes);
    while (n_slots < n)
        n_slots *= 2;

    struct segment *slots = malloc(n_slots * sizeof *slots);

    if (slots == NULL)
        return -ENOMEM;
    out->slots = slots;
    out->mask = n_slots - 1;
    out->first = out->end = 0;
    out->in_flight = out->lost = EMPTY;
    out->n_in_flight = 0;
    for (uint64_t place = old.first; place < old.end; place++)
        recut_one(out, at(&old, place), max_bytes);
    free(old.slots);
    return 0;
}

/* ---- Acknowledgements ---- */

static void delivery_add(struct delivery *d, const struct segment *s)
{
    d->n_bytes += s->n_charged;
    d->n_segments++;
    if (s->n_charged > d->n_largest)
        d->n_largest = s->n_charged;
    if (d->echo == 0 ? s->is_again : s->number > d->echo) {
        d->n_spurious += d->echo != 0; /* not this datagram has come, but one before it */
        return;
    }
    /* The latest may have been an acknowledgement alone, of which nobody knows when it was sent. */
    if (s->number < d->latest && !s->is_again && d->latest_sent_ns > s->sent_ns &&
        d->latest_sent_ns - s->sent_ns > d->late_ns)
        d->late_ns = d->latest_sent_ns - s->sent_ns;
    if (s->number > d->number) {
        d->number = s->number;
        d->sent_ns = s->sent_ns;
        d->stamp = s->stamp;
    }
}

static void come(struct stream_out *out, struct segment *s, struct delivery *d)
{
    delivery_add(d, s);
    list_remove(out, list_of(out, s), s);
    if (s->state == SEGMENT_IN_FLIGHT)
        out->n_in_flight -= s->n_charged;
    s->state = SEGMENT_COME;
    s->skip = 1;
}

/* The first segment from place on that has not come. Shortens the way for those who ask later. */
static uint64_t find_missing(struct stream_out *out, uint64_t place)
{
    while (place < out->end && at(out, place)->state == SEGMENT_COME) {
        struct segment *s = at(out, place);
        uint64_t next = place + s->skip;

        if (next < out->end && at(out, next)->state == SEGMENT_COME)
            s->skip += at(out, next)->skip;
        place = next;
    }
    return place < out->end ? place : out->end;
}

static void take_range(struct stream_out *out, const struct frame_range *r, struct delivery *d)
{
    uint64_t place = find(out, r->begin);

    if (place < out->end && at(out, place)->offset < r->begin)
        place++; /* a part of it has come, which does not count */
    for (place = find_missing(out, place); place < out->end && end_of(at(out, place)) <= r->end;
         place = find_missing(out, place + 1))
        come(out, at(out, place), d);
}

/* Everything before `ack` has come. A segment of which a part has come keeps the rest. */
static void take_ack(struct stream_out *out, uint64_t ack, struct delivery *d)
{
    uint64_t before = acked_bytes(out);

    while (out->first < out->end && end_of(at(out, out->first)) <= ack) {
        struct segment *s = at(out, out->first);

        if (s->state != SEGMENT_COME)
            come(out, s, d);
        out->first++;
    }
    if (out->first < out->end && at(out, out->first)->offset < ack) {
        struct segment *s = at(out, out->first);
        uint64_t n = ack - s->offset;

        s->offset += n;
        s->n_bytes -= (uint32_t)n;
    }
    out->acked = ack;
    blocks_release(&out->blocks, before, acked_bytes(out));
}

bool stream_out_is_possible(const struct stream_out *out, const struct frame *f)
{
    uint64_t end = f->ack;

    for (uint32_t i = 0; i < f->n_sack; i++) {
        if (f->sack[i].begin <= end || f->sack[i].end <= f->sack[i].begin)
            return false;
        end = f->sack[i].end;
    }
    return end <= out->sent;
}

void stream_out_acknowledge(struct stream_out *out, const struct frame *f, struct delivery *d)
{
    if (f->ack > out->acked)
        take_ack(out, f->ack, d);
    for (uint32_t i = 0; i < f->n_sack; i++)
        if (f->sack[i].end > out->acked)
            take_range(out, &f->sack[i], d);
}

void stream_out_trim(struct stream_out *out)
{
    if (out->first == out->end && stream_out_unsent(out) == 0) {
        free(out->slots);
        out->slots = NULL;
        out->mask = 0;
        blocks_trim(&out->blocks);
    }
}
