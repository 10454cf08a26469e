/* SPDX-License-Identifier: MIT */
/* Which messages of a `copy` endpoint are held by how many consumers. */
#include "daemon/core/copies.h"

#include <stddef.h>

static uint64_t slot_of(const struct copies *c, uint64_t seq)
{
    return seq * UINT64_C(0x9e3779b97f4a7c15) >> 20 & (c->n_slots - 1);
}

uint64_t copies_slots(uint64_t entries)
{
    uint64_t n = 64;

    while (n < entries * 2 + 2)
        n *= 2;
    return n;
}

static void place(struct copies *c, struct copy_entry entry)
{
    uint64_t i = slot_of(c, entry.seq);

    while (c->slots[i].seq != 0)
        i = (i + 1) & (c->n_slots - 1);
    c->slots[i] = entry;
}

struct copy_entry *copies_grow(struct copies *c, struct copy_entry *slots, uint64_t n_slots)
{
    if (n_slots <= c->n_slots)
        return slots;

    struct copies grown = {.slots = slots, .n_slots = n_slots, .n_entries = c->n_entries};
    for (uint64_t i = 0; i < c->n_slots; i++)
        if (c->slots[i].seq != 0)
            place(&grown, c->slots[i]);
    struct copy_entry *former = c->slots;
    *c = grown;
    return former;
}

void copies_add(struct copies *c, uint64_t seq, uint32_t n_holders)
{
    place(c, (struct copy_entry){.seq = seq, .n_holders = n_holders});
    c->n_entries++;
}

/* Removes slot i and closes the gap behind it (Knuth, volume 3, algorithm 6.4 R). */
static void remove_slot(struct copies *c, uint64_t i)
{
    uint64_t mask = c->n_slots - 1;

    c->slots[i].seq = 0;
    for (uint64_t j = (i + 1) & mask; c->slots[j].seq != 0; j = (j + 1) & mask) {
        uint64_t home = slot_of(c, c->slots[j].seq);
        if (((j - home) & mask) >= ((j - i) & mask)) {
            c->slots[i] = c->slots[j];
            c->slots[j].seq = 0;
            i = j;
        }
    }
    c->n_entries--;
}

enum copy_outcome copies_drop(struct copies *c, uint64_t seq, bool is_released)
{
    uint64_t i = slot_of(c, seq);

    while (c->slots[i].seq != seq)
        i = (i + 1) & (c->n_slots - 1);

    struct copy_entry *entry = &c->slots[i];
    entry->is_released = entry->is_released || is_released;
    if (--entry->n_holders > 0)
        return COPY_HELD;
    enum copy_outcome outcome = entry->is_released ? COPY_DELIVERED : COPY_MISSED;
    remove_slot(c, i);
    return outcome;
}
