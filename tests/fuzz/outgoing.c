/* SPDX-License-Identifier: MIT */
/*
 * Whatever a consumer leaves in its outgoing ring, msgd stays inside it and goes forward, and what
 * was put comes out. Input: a start and a fill (2 bytes each, in records), then raw bytes of the
 * ring.
 */
#include "proto/ring.h"
#include "tests/fuzz/fuzz.h"

static struct ring_outgoing *ring;
static struct ring_header *arena;

/* Everything between taken and head, as long as it can be. */
static void read_all(uint64_t taken, uint64_t head)
{
    static uint8_t payload[RING_MAX_PAYLOAD];

    while (taken < head) {
        struct outgoing_record o;
        uint32_t n = ring_outgoing_get(ring, taken, head - taken, &o, payload);
        if (n == 0)
            return;
        HOLDS(n % 64 == 0 && n <= head - taken);
        HOLDS(o.kind == OUTGOING_SKIP ||
              taken % RING_OUTGOING_BYTES + sizeof o + o.length <= RING_OUTGOING_BYTES);
        taken += n;
    }
}

/* One answer, put by the consumer's side at any place of the ring. */
static void put_and_get(uint64_t taken, const uint8_t *data, size_t size)
{
    static uint8_t payload[RING_MAX_PAYLOAD];
    struct outgoing_record in = {.kind = OUTGOING_REPLY, .length = (uint32_t)size, .position = 64};
    struct outgoing_record out;

    ring->head = arena->outgoing_taken = taken;
    HOLDS(ring_outgoing_put(ring, arena, &in, data) >= 0);
    uint32_t n = ring_outgoing_get(ring, taken, ring->head - taken, &out, payload);
    if (n > 0 && out.kind == OUTGOING_SKIP) {
        taken += n;
        n = ring_outgoing_get(ring, taken, ring->head - taken, &out, payload);
    }
    HOLDS(n > 0 && taken + n == ring->head && out.kind == OUTGOING_REPLY);
    HOLDS(out.length == size && memcmp(payload, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    if (ring == NULL) {
        ring = aligned_alloc(64, sizeof *ring + RING_OUTGOING_BYTES);
        arena = aligned_alloc(64, sizeof *arena);
        HOLDS(ring != NULL && arena != NULL);
        memset(ring->bytes, 0, RING_OUTGOING_BYTES);
        memset((void *)arena, 0, sizeof *arena);
    }
    uint64_t taken = (data[0] + data[1] * UINT64_C(256)) * 64;
    uint64_t head = taken + (data[2] + data[3] * UINT64_C(256)) % (RING_OUTGOING_BYTES / 64) * 64;
    uint64_t offset = taken % RING_OUTGOING_BYTES;

    data += 4;
    size -= 4;
    for (size_t i = 0; i < size; i++)
        ring->bytes[(offset + i) % RING_OUTGOING_BYTES] = data[i];
    read_all(taken, head);
    put_and_get(taken, data, size);
    return 0;
}
