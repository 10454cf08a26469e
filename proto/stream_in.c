/* SPDX-License-Identifier: MIT */
/* The receiving side of a stream: what came out of order waits in its place until the gap is
 * filled. */
#include "proto/stream_in.h"

#include <stdlib.h>
#include <string.h>

void stream_in_init(struct stream_in *in, uint64_t max_bytes)
{
    *in = (struct stream_in){.max_bytes = max_bytes, .window = max_bytes, .length = STREAM_UNKNOWN};
    blocks_init(&in->blocks, max_bytes);
}

void stream_in_deinit(struct stream_in *in)
{
    blocks_deinit(&in->blocks);
    free(in->ranges);
    in->ranges = NULL;
}

/* ---- Ranges ---- */

/* The first range that ends at or behind the offset; n_ranges if there is none. */
static uint32_t range_find(const struct stream_in *in, uint64_t offset)
{
    uint32_t low = 0, high = in->n_ranges;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (in->ranges[in->first + middle].end < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Room for one more, at the end. */
static bool range_reserve(struct stream_in *in)
{
    if (in->first + in->n_ranges < in->capacity)
        return true;
    if (in->first > 0) {
        memmove(in->ranges, in->ranges + in->first, in->n_ranges * sizeof *in->ranges);
        in->first = 0;
        return true;
    }

    uint64_t most = in->max_bytes / STREAM_IN_RANGE + 16;
    uint32_t capacity = in->capacity == 0 ? 16 : in->capacity * 2;

    if (capacity > most)
        capacity = (uint32_t)most;
    if (capacity <= in->n_ranges)
        return false;

    struct frame_range *grown = realloc(in->ranges, capacity * sizeof *grown);

    if (grown == NULL)
        return false;
    in->ranges = grown;
    in->capacity = capacity;
    return true;
}

/* A range that touches no other, before the one at `at`. */
static void range_insert(struct stream_in *in, uint32_t at, uint64_t begin, uint64_t end)
{
    struct frame_range *r = in->ranges + in->first + at;

    memmove(r + 1, r, (in->n_ranges - at) * sizeof *r);
    *r = (struct frame_range){begin, end};
    in->n_ranges++;
}

/* The range at `at` grows to hold begin..end, and takes in those behind it which it then touches.
 */
static void range_grow(struct stream_in *in, uint32_t at, uint64_t begin, uint64_t end)
{
    struct frame_range *r = in->ranges + in->first + at;
    uint32_t behind = at + 1;

    if (begin < r->begin)
        r->begin = begin;
    if (end > r->end)
        r->end = end;
    for (; behind < in->n_ranges && in->ranges[in->first + behind].begin <= r->end; behind++)
        if (in->ranges[in->first + behind].end > r->end)
            r->end = in->ranges[in->first + behind].end;
    memmove(r + 1, in->ranges + in->first + behind, (in->n_ranges - behind) * sizeof *r);
    in->n_ranges -= behind - (at + 1);
}

/* Everything before `end` has come: and with it the ranges that it touches. */
static void advance(struct stream_in *in, uint64_t end)
{
    in->next = end;
    while (in->n_ranges > 0 && in->ranges[in->first].begin <= in->next) {
        if (in->ranges[in->first].end > in->next)
            in->next = in->ranges[in->first].end;
        in->first++;
        in->n_ranges--;
    }
    if (in->n_ranges == 0)
        in->first = 0;
}

/* ---- Segments ---- */

static bool is_nonsense(const struct stream_in *in, uint64_t offset, size_t n, bool is_end)
{
    uint64_t end = offset + n;

    if (end < offset || end > in->window)
        return true;
    if (in->length != STREAM_UNKNOWN)
        return end > in->length || (is_end && end != in->length);
    return is_end && end < in->highest;
}

static bool has_come(const struct stream_in *in, uint64_t begin, uint64_t end)
{
    if (end <= in->next)
        return true;

    uint32_t at = range_find(in, end);

    return at < in->n_ranges && in->ranges[in->first + at].begin <= begin;
}

/* Will begin..end need a range of its own, and is there none to be had? */
static bool lacks_range(struct stream_in *in, uint64_t begin, uint64_t end)
{
    if (begin <= in->next)
        return false;

    uint32_t at = range_find(in, begin);

    if (at < in->n_ranges && in->ranges[in->first + at].begin <= end)
        return false;
    return !range_reserve(in);
}

static void note(struct stream_in *in, uint64_t begin, uint64_t end)
{
    if (begin <= in->next) {
        advance(in, end > in->next ? end : in->next);
        return;
    }

    uint32_t at = range_find(in, begin);

    if (at < in->n_ranges && in->ranges[in->first + at].begin <= end)
        range_grow(in, at, begin, end);
    else
        range_insert(in, at, begin, end);
    in->recent[in->n_recent++ % STREAM_IN_TOLD] = begin;
}

enum stream_in_outcome stream_in_put(struct stream_in *in, uint64_t offset, const uint8_t *bytes,
                                     size_t n, bool is_end)
{
    uint64_t end = offset + n, begin = offset > in->next ? offset : in->next;
    uint64_t marked_end = end + is_end;
    bool had_gap = in->n_ranges > 0;

    if (is_nonsense(in, offset, n, is_end))
        return STREAM_IN_NONSENSE;
    if (marked_end == offset || has_come(in, offset, marked_end))
        return STREAM_IN_DUPLICATE;
    if (lacks_range(in, begin, marked_end))
        return STREAM_IN_NO_ROOM;
    if (end > begin &&
        blocks_put(&in->blocks, begin, bytes + (begin - offset), (size_t)(end - begin)) < 0)
        return STREAM_IN_NO_ROOM;
    if (end > in->highest)
        in->highest = end;
    if (is_end)
        in->length = end;
    note(in, begin, marked_end);
    return had_gap || in->n_ranges > 0 ? STREAM_IN_GAP : STREAM_IN_NEXT;
}

/* ---- The reader ---- */

bool stream_in_has_end(const struct stream_in *in)
{
    return in->length != STREAM_UNKNOWN && in->next > in->length;
}

/* Bytes alone: without the offset that the end takes. */
static uint64_t readable_end(const struct stream_in *in)
{
    return stream_in_has_end(in) ? in->length : in->next;
}

const uint8_t *stream_in_peek(const struct stream_in *in, size_t *n)
{
    uint64_t left = readable_end(in) - in->consumed;

    *n = 0;
    if (left == 0)
        return NULL;

    const uint8_t *at = blocks_at(&in->blocks, in->consumed, n);

    if (*n > left)
        *n = (size_t)left;
    return at;
}

void stream_in_consume(struct stream_in *in, size_t n)
{
    uint64_t left = readable_end(in) - in->consumed;
    uint64_t end = in->consumed + (n < left ? n : left);

    blocks_release(&in->blocks, in->consumed, end);
    in->consumed = end;
}

uint64_t stream_in_window(const struct stream_in *in)
{
    return in->consumed + in->max_bytes;
}

/* ---- The report ---- */

/* Keeps out[] sorted and each range in it once. */
static uint32_t report_add(struct frame_range *out, uint32_t n, const struct frame_range *r)
{
    uint32_t at = n;

    while (at > 0 && out[at - 1].begin > r->begin)
        at--;
    if (at > 0 && out[at - 1].begin == r->begin)
        return n;
    memmove(out + at + 1, out + at, (n - at) * sizeof *out);
    out[at] = *r;
    return n + 1;
}

uint32_t stream_in_report(const struct stream_in *in, struct frame_range *out, uint32_t max)
{
    const struct frame_range *r;
    uint32_t n = 0;

    if (in->n_ranges == 0)
        return 0;
    r = in->ranges + in->first;
    if (in->n_ranges <= max) {
        memcpy(out, r, in->n_ranges * sizeof *out);
        return in->n_ranges;
    }
    for (uint32_t i = 0; i < STREAM_IN_TOLD && i < in->n_recent && n < max; i++) {
        uint64_t offset = in->recent[(in->n_recent - 1 - i) % STREAM_IN_TOLD];
        uint32_t at = offset >= in->next ? range_find(in, offset) : in->n_ranges;

        if (at < in->n_ranges && r[at].end == offset)
            at++; /* found by its end: the offset begins the next one */
        if (at < in->n_ranges && r[at].begin <= offset)
            n = report_add(out, n, &r[at]);
    }
    for (uint32_t i = 0; i < in->n_ranges && n < max; i++)
        n = report_add(out, n, &r[i]);
    return n;
}

void stream_in_trim(struct stream_in *in)
{
    if (in->n_ranges == 0) {
        free(in->ranges);
        in->ranges = NULL;
        in->capacity = 0;
    }
    if (in->n_ranges == 0 && in->consumed == readable_end(in))
        blocks_trim(&in->blocks);
}
