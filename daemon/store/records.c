/* SPDX-License-Identifier: MIT */
/* Records as they lie on disk. */
#include "daemon/store/records.h"

#include "proto/crc32c.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static uint32_t crc_of_number(uint64_t n)
{
    return crc32c(0, &n, sizeof(n));
}

uint32_t records_summary_crc(const struct records_summary *s, uint64_t endpoint)
{
    const uint64_t words[] = {endpoint,
                              s->first,
                              s->last,
                              s->n,
                              s->bytes,
                              (uint64_t)s->oldest_ns,
                              (uint64_t)s->newest_ns};

    return crc32c(0, words, sizeof(words));
}

/* ---- In memory ---- */

/* One record in a row of bytes. */
struct view {
    struct record header; /* a copy */
    uint32_t content;     /* bytes behind the header */
    uint32_t bytes;       /* that it takes */
};

static uint32_t word_of(const struct record *r)
{
    return atomic_load_explicit(&r->word, memory_order_relaxed);
}

/* Copies the header at `at`; false where no record can be. */
static bool look_at(const uint8_t *bytes, size_t n_bytes, size_t at, struct view *v)
{
    if (n_bytes - at < sizeof(v->header))
        return false;
    memcpy(&v->header, bytes + at, sizeof(v->header));
    v->content = record_content_of(word_of(&v->header));
    v->bytes = record_bytes(v->content);
    return v->bytes <= n_bytes - at;
}

static bool is_live(const struct view *v)
{
    enum record_kind kind = record_kind_of(word_of(&v->header));

    return kind == RECORD_MESSAGE || kind == RECORD_REDELIVERED;
}

static void include(struct records_summary *s, const struct view *v)
{
    if (s->n == 0) {
        s->first = v->header.seq;
        s->oldest_ns = s->newest_ns = v->header.time_ns;
    }
    if (v->header.time_ns < s->oldest_ns)
        s->oldest_ns = v->header.time_ns;
    if (v->header.time_ns > s->newest_ns)
        s->newest_ns = v->header.time_ns;
    s->last = v->header.seq;
    s->bytes += v->bytes;
    s->n++;
}

int records_look(const uint8_t *bytes, size_t n_bytes, struct records_summary *out)
{
    struct view v;

    *out = (struct records_summary){0};
    for (size_t at = 0; at < n_bytes; at += v.bytes) {
        enum record_kind kind;

        if (n_bytes - at < sizeof(uint32_t) || n_bytes > RING_CHUNK_BYTES)
            return -EINVAL;
        memcpy(&v.header.word, bytes + at, sizeof(v.header.word));
        kind = record_kind_of(word_of(&v.header));
        if (kind == RECORD_END)
            return 0;
        if (!look_at(bytes, n_bytes, at, &v))
            return -EINVAL;
        if (kind == RECORD_DEAD)
            continue;
        if (!is_live(&v) || v.header.seq <= out->last || v.header.seq > INT64_MAX)
            return -EINVAL;
        include(out, &v);
    }
    return 0;
}

/* ---- To disk ---- */

static uint32_t crc_of_record(const struct record *header, const uint8_t *content, uint32_t n,
                              uint32_t seed)
{
    return crc32c(crc32c(seed, header, sizeof(*header)), content, n);
}

void records_gather(const uint8_t *bytes, size_t n_bytes, uint64_t endpoint, uint64_t above,
                    uint8_t *row, struct records_summary *out)
{
    uint32_t seed = crc_of_number(endpoint);
    struct view v;

    *out = (struct records_summary){0};
    for (size_t at = 0; at < n_bytes && look_at(bytes, n_bytes, at, &v); at += v.bytes) {
        const uint8_t *content = bytes + at + sizeof(v.header);
        uint8_t *to = row + out->bytes;

        if (record_kind_of(word_of(&v.header)) == RECORD_END)
            break;
        if (!is_live(&v) || v.header.seq <= above)
            continue;
        v.header.slot = 0;
        v.header.slot = crc_of_record(&v.header, content, v.content, seed);
        memcpy(to, &v.header, sizeof(v.header));
        memcpy(to + sizeof(v.header), content, v.content);
        memset(to + sizeof(v.header) + v.content, 0, v.bytes - sizeof(v.header) - v.content);
        include(out, &v);
    }
}

/* ---- From disk ---- */

/* Makes v->header what it was in memory. */
static bool is_good(struct view *v, const uint8_t *at, uint32_t seed)
{
    uint32_t crc = v->header.slot;

    v->header.slot = 0;
    return is_live(v) && crc_of_record(&v->header, at + sizeof(v->header), v->content, seed) == crc;
}

static void pour(struct records_sink *sink, const struct view *v, const uint8_t *at)
{
    uint8_t *to = sink->bytes + sink->n_bytes;

    if (v->header.seq < sink->from_seq || v->bytes > sink->capacity - sink->n_bytes)
        return;
    memcpy(to, &v->header, sizeof(v->header));
    memcpy(to + sizeof(v->header), at + sizeof(v->header), v->bytes - sizeof(v->header));
    sink->from_seq = v->header.seq + 1;
    sink->n_bytes += v->bytes;
    sink->n++;
}

size_t records_check(const uint8_t *bytes, size_t n_bytes, uint64_t endpoint,
                     struct records_sink *sink)
{
    uint32_t seed = crc_of_number(endpoint);
    size_t n_good = 0, at = 0;
    struct view v;

    while (at < n_bytes) {
        if (look_at(bytes, n_bytes, at, &v) && is_good(&v, bytes + at, seed)) {
            if (v.header.seq >= sink->first && v.header.seq <= sink->last) {
                pour(sink, &v, bytes + at);
                n_good++;
            }
            at += v.bytes;
        } else {
            at += RING_RECORD_ALIGN;
        }
    }
    return n_good;
}
