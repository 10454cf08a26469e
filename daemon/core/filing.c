/* SPDX-License-Identifier: MIT */
/* A message on its way into a log. */
#include "daemon/core/filing.h"

#include <string.h>

void filing_write(const struct filing *f, uint32_t slot, struct record *r)
{
    const struct content *c = &f->content;

    memcpy((char *)r + sizeof(r->word), (const char *)f->meta + sizeof(r->word),
           sizeof(*r) - sizeof(r->word));
    r->slot = slot;
    r->seq = f->seq;
    memcpy(record_payload(r), c->payload, c->n_payload);
    if (c->n_trailer > 0)
        memcpy((uint8_t *)record_payload(r) + c->n_payload, c->trailer, c->n_trailer);
    uint32_t word = record_word(f->kind, c->n_payload, c->n_trailer);
    atomic_store_explicit(&r->word, f->returns << RECORD_RETURNS_SHIFT | word,
                          memory_order_relaxed);
}

const struct record *filing_put(struct chunk_log *log, uint32_t slot, const struct filing *f)
{
    uint32_t need = filing_bytes(f);
    struct record *r = chunk_log_reserve(log, need);

    if (r == NULL)
        return NULL;
    filing_write(f, slot, r);
    chunk_log_commit(log, need);
    return r;
}

/* As it would be with another word. */
static struct filing filing_as(const struct record *r, uint32_t word)
{
    const uint8_t *payload = (const uint8_t *)(r + 1);

    return (struct filing){.meta = r,
                           .seq = r->seq,
                           .kind = record_kind_of(word),
                           .returns = record_returns_of(word),
                           .content = {.payload = payload,
                                       .n_payload = record_length_of(word),
                                       .trailer = payload + record_length_of(word),
                                       .n_trailer = record_trailer_length_of(word)}};
}

struct filing filing_of(const struct record *r)
{
    return filing_as(r, record_word_of(r));
}

struct filing filing_of_returned(const struct record *r)
{
    return filing_as(r, record_word_returned(record_word_of(r)));
}
