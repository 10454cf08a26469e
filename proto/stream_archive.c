/* SPDX-License-Identifier: MIT */
/* Both streams of a session to bytes and back. What is read is checked against all that the streams
 * rely on: it may come from anywhere. */
#include "proto/archive.h"
#include "proto/session.h"
#include "proto/stream_in.h"
#include "proto/stream_out.h"

#include <errno.h>
#include <stdlib.h>

#define SAVED_OFFSET_MAX (UINT64_C(1) << 62) /* a header's numbers end at 2^63 */
#define SAVED_RATE_MAX   (UINT64_C(1) << 62)

/* ---- Bytes of blocks ---- */

static void save_bytes(struct archive *a, const struct blocks *b, uint64_t begin, uint64_t end)
{
    while (begin < end) {
        size_t n;
        uint8_t *piece = blocks_at(b, begin, &n);

        if (n > end - begin)
            n = (size_t)(end - begin);
        archive_bytes(a, piece, n);
        begin += n;
    }
}

/* Bytes that the window has room for. */
static void archive_range(struct archive *a, struct blocks *b, uint64_t begin, uint64_t end)
{
    const uint8_t *bytes;

    if (a->error != 0 || begin >= end)
        return;
    if (!archive_is_loading(a)) {
        save_bytes(a, b, begin, end);
        return;
    }
    bytes = archive_take(a, (size_t)(end - begin));
    if (bytes != NULL && blocks_put(b, begin, bytes, (size_t)(end - begin)) < 0)
        archive_fail(a, -ENOMEM);
}

static void archive_offset(struct archive *a, uint64_t *offset)
{
    archive_uint(a, offset, SAVED_OFFSET_MAX);
}

/* ---- What came ---- */

static void make_ranges(struct archive *a, struct stream_in *in)
{
    in->capacity = in->n_ranges;
    if (in->n_ranges == 0)
        return;
    /* Each lies in the bytes: nobody can ask for much memory with few of them. */
    archive_require(a, archive_left(a) / (2 * sizeof(uint64_t)) >= in->n_ranges);
    if (a->error != 0)
        return;
    in->ranges = malloc(in->n_ranges * sizeof *in->ranges);
    if (in->ranges == NULL)
        archive_fail(a, -ENOMEM);
}

/* How far anything has come, the end counted as one. */
static uint64_t top_of(const struct stream_in *in)
{
    return in->n_ranges > 0 ? in->ranges[in->n_ranges - 1].end : in->next;
}

static void check_in(struct archive *a, const struct stream_in *in)
{
    uint64_t end = in->next;

    for (uint32_t i = 0; i < in->n_ranges; i++) {
        archive_require(a, in->ranges[i].begin > end && in->ranges[i].end > in->ranges[i].begin);
        end = in->ranges[i].end;
    }
    if (in->length == STREAM_UNKNOWN)
        archive_require(a, top_of(in) == in->highest);
    else
        archive_require(a, top_of(in) == in->length + 1 && in->highest == in->length);
    archive_require(a, in->consumed <= in->next && in->consumed <= in->highest);
    archive_require(a, in->highest <= in->window && in->window <= stream_in_window(in));
}

static void archive_arrivals(struct archive *a, struct stream_in *in)
{
    uint64_t end = stream_in_has_end(in) ? in->length : in->next;

    archive_range(a, &in->blocks, in->consumed, end);
    for (uint32_t i = 0; i < in->n_ranges && a->error == 0; i++) {
        const struct frame_range *r = &in->ranges[in->first + i];

        archive_range(a, &in->blocks, r->begin, r->end < in->highest ? r->end : in->highest);
    }
}

void stream_in_archive(struct archive *a, struct stream_in *in)
{
    bool has_length = in->length != STREAM_UNKNOWN;

    archive_uint(a, &in->max_bytes, SESSION_SAVED_BUFFER_MAX);
    archive_offset(a, &in->consumed);
    archive_offset(a, &in->next);
    archive_offset(a, &in->highest);
    archive_offset(a, &in->window);
    archive_flag(a, &has_length);
    if (has_length)
        archive_offset(a, &in->length);
    archive_uint32(a, &in->n_ranges, (uint32_t)(in->max_bytes / STREAM_IN_RANGE + 16));
    if (archive_is_loading(a)) {
        in->length = has_length ? in->length : STREAM_UNKNOWN;
        blocks_init(&in->blocks, in->max_bytes);
        make_ranges(a, in);
    }
    for (uint32_t i = 0; i < in->n_ranges && a->error == 0; i++) {
        archive_offset(a, &in->ranges[in->first + i].begin);
        archive_offset(a, &in->ranges[in->first + i].end);
    }
    for (uint32_t i = 0; i < STREAM_IN_TOLD; i++)
        archive_uint(a, &in->recent[i], UINT64_MAX);
    archive_uint32(a, &in->n_recent, UINT32_MAX);
    if (archive_is_loading(a) && a->error == 0)
        check_in(a, in);
    archive_arrivals(a, in);
}

/* ---- What was written ---- */

#define SEGMENT_BYTES 55u /* that a segment takes at least */

static void archive_segment(struct archive *a, struct segment *s)
{
    uint32_t state = s->state;

    archive_uint32(a, &s->n_bytes, SESSION_DATAGRAM_MAX);
    archive_uint(a, &s->number, SAVED_OFFSET_MAX);
    archive_past(a, &s->sent_ns);
    archive_uint32(a, &s->n_charged, SESSION_DATAGRAM_MAX);
    archive_uint(a, &s->stamp.delivered, SAVED_RATE_MAX);
    archive_past(a, &s->stamp.delivered_ns);
    archive_past(a, &s->stamp.first_sent_ns);
    archive_flag(a, &s->stamp.is_limited);
    archive_uint32(a, &state, SEGMENT_COME);
    archive_flag(a, &s->is_end);
    archive_flag(a, &s->is_again);
    if (archive_is_loading(a))
        s->state = (uint8_t)state;
}

static struct segment *at(const struct stream_out *out, uint64_t place)
{
    return &out->slots[place & out->mask];
}

static void make_slots(struct archive *a, struct stream_out *out, uint64_t n)
{
    uint64_t n_slots = 16;

    archive_require(a, archive_left(a) / SEGMENT_BYTES >= n);
    if (a->error != 0 || n == 0)
        return;
    while (n_slots < n)
        n_slots *= 2;
    out->slots = calloc(n_slots, sizeof *out->slots);
    if (out->slots == NULL)
        archive_fail(a, -ENOMEM);
    out->mask = n_slots - 1;
    out->end = out->slots != NULL ? n : 0;
}

/* Segments lie one behind the other, from what is acknowledged to what was sent. */
static void place_segments(struct archive *a, struct stream_out *out, uint64_t last_number)
{
    uint64_t offset = out->acked;

    for (uint64_t p = out->first; p < out->end; p++) {
        struct segment *s = at(out, p);

        s->offset = offset;
        s->skip = 1;
        s->previous = s->next = SEGMENT_NONE;
        offset += s->n_bytes + s->is_end;
        archive_require(a, s->n_bytes > 0 || s->is_end);
        archive_require(a, !s->is_end || (p + 1 == out->end && out->is_finished));
        archive_require(a, s->number > 0 && s->number <= last_number && s->sent_ns > 0);
        if (s->state == SEGMENT_IN_FLIGHT)
            out->n_in_flight += s->n_charged;
    }
    archive_require(a, offset == out->sent);
}

/* A chain as the places in it. n: how many segments are of that state. */
static void save_chain(struct archive *a, const struct stream_out *out, uint64_t place)
{
    for (; place != SEGMENT_NONE; place = at(out, place)->next) {
        uint64_t index = place - out->first;

        archive_uint(a, &index, UINT64_MAX);
    }
}

/* skip is 0 while it is in a chain already. */
static void load_chain(struct archive *a, struct stream_out *out, struct segment_list *list,
                       uint8_t state)
{
    uint64_t n = 0, number = 0, index = 0;

    for (uint64_t p = out->first; p < out->end; p++)
        n += at(out, p)->state == state;
    for (; n > 0 && a->error == 0; n--) {
        archive_uint(a, &index, out->end - 1);

        struct segment *s = at(out, index);

        archive_require(a, s->state == state && s->skip == 1);
        archive_require(a, state != SEGMENT_IN_FLIGHT || s->number > number);
        if (a->error != 0)
            return;
        s->skip = 0;
        s->previous = list->last;
        if (list->last == SEGMENT_NONE)
            list->first = index;
        else
            at(out, list->last)->next = index;
        list->last = index;
        number = s->number;
    }
}

static void load_chains(struct archive *a, struct stream_out *out)
{
    load_chain(a, out, &out->in_flight, SEGMENT_IN_FLIGHT);
    load_chain(a, out, &out->lost, SEGMENT_LOST);
    for (uint64_t p = out->first; p < out->end; p++)
        at(out, p)->skip = 1;
}

static void check_out(struct archive *a, const struct stream_out *out)
{
    uint64_t acked = out->acked < out->written ? out->acked : out->written;

    archive_require(a, out->acked <= out->sent);
    archive_require(a, out->sent <= out->written + out->is_finished);
    archive_require(a, out->written - acked <= out->max_bytes);
}

void stream_out_archive(struct archive *a, struct stream_out *out, uint64_t last_number)
{
    static const struct segment_list EMPTY = {SEGMENT_NONE, SEGMENT_NONE};
    uint64_t n = out->end - out->first;

    archive_uint(a, &out->max_bytes, SESSION_SAVED_BUFFER_MAX);
    archive_offset(a, &out->acked);
    archive_offset(a, &out->sent);
    archive_offset(a, &out->written);
    archive_flag(a, &out->is_finished);
    archive_uint(a, &n, UINT64_MAX);
    if (archive_is_loading(a)) {
        check_out(a, out);
        blocks_init(&out->blocks, out->max_bytes);
        out->in_flight = out->lost = EMPTY;
        make_slots(a, out, n);
    }
    for (uint64_t p = out->first; p < out->end && a->error == 0; p++)
        archive_segment(a, at(out, p));
    if (!archive_is_loading(a)) {
        save_chain(a, out, out->in_flight.first);
        save_chain(a, out, out->lost.first);
    } else if (a->error == 0) {
        place_segments(a, out, last_number);
        load_chains(a, out);
    }
    archive_range(a, &out->blocks, out->acked < out->written ? out->acked : out->written,
                  out->written);
}
