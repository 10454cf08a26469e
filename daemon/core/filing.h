/* SPDX-License-Identifier: MIT */
/* A message on its way into a log. */
#ifndef MSGD_DAEMON_CORE_FILING_H
#define MSGD_DAEMON_CORE_FILING_H

#include "daemon/core/chunk_log.h"
#include "proto/ring.h"

#include <stdint.h>

/* What a record holds behind its header. */
struct content {
    const void *payload;
    uint32_t n_payload;
    uint32_t n_trailer;
    const void *trailer;
};

/* What is filed. meta: everything of its header but word, slot and seq. */
struct filing {
    const struct record *meta;
    uint64_t seq;
    enum record_kind kind;
    uint32_t returns; /* how often a consumer had it and did not release it */
    struct content content;
};

/* Writes the record, for which there is room. */
void filing_write(const struct filing *f, uint32_t slot, struct record *r);
/* Adds it to a log. NULL: no memory for it. */
const struct record *filing_put(struct chunk_log *log, uint32_t slot, const struct filing *f);
/* The same record once more. Points into r. */
struct filing filing_of(const struct record *r);
/* The same of one that a consumer was given and has not released. */
struct filing filing_of_returned(const struct record *r);

static inline uint32_t filing_bytes(const struct filing *f)
{
    return record_bytes(f->content.n_payload + f->content.n_trailer);
}

/* Of a record that msgd itself has written. */
static inline uint32_t record_word_of(const struct record *r)
{
    return atomic_load_explicit(&r->word, memory_order_relaxed);
}

static inline uint32_t record_bytes_of(const struct record *r)
{
    return record_bytes(record_content_of(record_word_of(r)));
}

#endif
