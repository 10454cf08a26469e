/* SPDX-License-Identifier: MIT */
/* Memory for batches of messages. */
#include "daemon/control/batch_memory.h"

#include "proto/json_text.h"

#include <errno.h>
#include <sys/mman.h>

/* Whoever reads a text reads a little further. */
#define MAPPED_BYTES (BATCH_BYTES + JSON_TEXT_SLACK)

int batch_memory_new(struct batch *batch)
{
    void *bytes =
        mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *batch = (struct batch){0};
    if (bytes == MAP_FAILED)
        return -ENOMEM;
    batch->bytes = bytes;
    batch->capacity = BATCH_BYTES;
    return 0;
}

void batch_memory_free(struct batch *batch)
{
    if (batch->bytes)
        munmap(batch->bytes, MAPPED_BYTES);
    *batch = (struct batch){0};
}

const struct record *batch_record(const struct batch *batch, size_t offset, size_t *next)
{
    const struct record *record = (const void *)(batch->bytes + offset);
    uint32_t word = atomic_load_explicit(&record->word, memory_order_relaxed);

    *next = offset + record_bytes(record_content_of(word));
    return record;
}
