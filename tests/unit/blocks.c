/* SPDX-License-Identifier: MIT */
#include "proto/blocks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static unsigned n_blocks(const struct blocks *b)
{
    unsigned n = b->spare != NULL;

    for (uint64_t i = 0; b->table != NULL && i <= b->mask; i++)
        n += b->table[i] != NULL;
    return n;
}

Test(blocks, gives_back_what_was_put_across_their_borders)
{
    struct blocks b;
    static uint8_t bytes[40000], got[40000];
    size_t n;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 131 >> 4);
    blocks_init(&b, sizeof bytes);
    cr_assert_eq(blocks_put(&b, 5000, bytes, sizeof bytes), 0);
    blocks_get(&b, 5000, got, sizeof got);
    cr_assert_arr_eq(got, bytes, sizeof bytes);
    cr_assert_eq(*blocks_at(&b, 5000, &n), bytes[0]);
    cr_assert_eq(n, BLOCK_BYTES - 5000);
    cr_assert_eq(*blocks_at(&b, BLOCK_BYTES, &n), bytes[BLOCK_BYTES - 5000]);
    cr_assert_eq(n, BLOCK_BYTES);
    blocks_deinit(&b);
}

Test(blocks, cost_nothing_where_nothing_lies)
{
    struct blocks b;
    uint8_t bytes[1000] = {0};

    blocks_init(&b, 1 << 20);
    cr_assert_null(b.table);
    for (uint64_t at = 0; at < 10 << 20; at += sizeof bytes) {
        cr_assert_eq(blocks_put(&b, at, bytes, sizeof bytes), 0);
        blocks_release(&b, at, at + sizeof bytes);
        cr_assert_leq(n_blocks(&b), 3);
    }
    blocks_trim(&b);
    cr_assert_null(b.table);
    cr_assert_eq(n_blocks(&b), 0);
}

Test(blocks, hold_a_whole_window_wherever_it_begins)
{
    struct blocks b;
    static uint8_t bytes[4 * BLOCK_BYTES], got[4 * BLOCK_BYTES];

    memset(bytes, 'x', sizeof bytes);
    blocks_init(&b, sizeof bytes);
    for (uint64_t at = UINT64_C(1) << 40; at < (UINT64_C(1) << 40) + BLOCK_BYTES; at += 777) {
        bytes[at % sizeof bytes]++;
        cr_assert_eq(blocks_put(&b, at, bytes, sizeof bytes), 0);
        blocks_get(&b, at, got, sizeof got);
        cr_assert_arr_eq(got, bytes, sizeof got);
        blocks_release(&b, at, at + 777);
    }
    blocks_deinit(&b);
}
