/* SPDX-License-Identifier: MIT */
/* The bounded tables: copies, sources, answers per prefix, rings, chunks. */
#include "daemon/core/arena.h"
#include "daemon/core/copies.h"
#include "daemon/core/reply_limit.h"
#include "daemon/core/sources.h"
#include "daemon/data/spsc.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

Test(copies, counts_down_and_says_how_it_ended)
{
    struct copies c = {0};
    uint64_t n = copies_slots(1000);

    cr_assert_null(copies_grow(&c, calloc(n, sizeof(struct copy_entry)), n));
    for (uint64_t seq = 1; seq <= 1000; seq++)
        copies_add(&c, seq * 7, 2);
    cr_assert_eq(c.n_entries, 1000);
    for (uint64_t seq = 1000; seq >= 1; seq--) {
        cr_assert_eq(copies_drop(&c, seq * 7, seq % 3 == 0), COPY_HELD);
        cr_assert_eq(copies_drop(&c, seq * 7, false), seq % 3 == 0 ? COPY_DELIVERED : COPY_MISSED);
    }
    cr_assert_eq(c.n_entries, 0);
    free(c.slots);
}

Test(copies, survives_collisions_and_growth)
{
    struct copies c = {0};
    uint64_t n = copies_slots(20);

    cr_assert_null(copies_grow(&c, calloc(n, sizeof(struct copy_entry)), n));
    uint64_t seq = 0;
    while (copies_has_room(&c))
        copies_add(&c, ++seq, 1);
    cr_assert_eq(seq, n / 2);
    struct copy_entry *former = copies_grow(&c, calloc(n * 4, sizeof(struct copy_entry)), n * 4);
    cr_assert_not_null(former);
    free(former);
    while (copies_has_room(&c))
        copies_add(&c, ++seq, 1);
    for (uint64_t i = 1; i <= seq; i += 2)
        cr_assert_eq(copies_drop(&c, i, true), COPY_DELIVERED);
    for (uint64_t i = 2; i <= seq; i += 2)
        cr_assert_eq(copies_drop(&c, i, false), COPY_MISSED);
    cr_assert_eq(c.n_entries, 0);
    struct copy_entry *smaller = calloc(8, sizeof(struct copy_entry));
    cr_assert_eq(copies_grow(&c, smaller, 8), smaller, "a smaller table is given back");
    free(smaller);
    free(c.slots);
}

Test(sources, keeps_the_busiest_in_a_table_that_does_not_grow)
{
    struct sources s = {0};
    uint8_t ip[16] = {0};

    for (int round = 0; round < 1000; round++) {
        for (uint8_t busy = 0; busy < 4; busy++) {
            ip[0] = 1;
            ip[1] = busy;
            sources_count(&s, ip, 1);
        }
        ip[0] = 2;
        ip[1] = (uint8_t)round;
        ip[2] = (uint8_t)(round >> 8);
        sources_count(&s, ip, 1);
        ip[2] = 0;
    }
    sources_sort(&s);
    cr_assert_eq(s.n, SOURCES_MAX);
    uint64_t total = 0;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(s.rows[i].ip[0], 1, "row %d", i);
        cr_assert_leq(s.rows[i].count - s.rows[i].error, 1000);
        cr_assert_geq(s.rows[i].count, 1000);
    }
    for (uint32_t i = 0; i < s.n; i++)
        total += s.rows[i].count;
    cr_assert_eq(total, 5000, "space-saving keeps the sum");
}

Test(reply_limit, gives_each_prefix_its_rate_and_no_more)
{
    struct reply_limit l;
    struct address a, b;
    int n = 0;

    cr_assert_eq(reply_limit_init(&l, 12345), 0);
    cr_assert_eq(address_parse("192.0.2.1:1000", &a), 0);
    cr_assert_eq(address_parse("192.0.2.200:2000", &b), 0);
    for (int i = 0; i < 1000; i++)
        n += reply_limit_take(&l, i % 2 ? &a : &b, 100, 5 * SECOND);
    cr_assert_eq(n, 100, "one /24 shares one bucket: %d", n);
    n = 0;
    for (int i = 0; i < 1000; i++)
        n += reply_limit_take(&l, &a, 100, 5 * SECOND + (uint64_t)i * SECOND / 1000);
    cr_assert_geq(n, 98);
    cr_assert_leq(n, 100);
    cr_assert(!reply_limit_take(&l, &a, 0, 100 * SECOND));
    reply_limit_deinit(&l);
}

Test(spsc, keeps_order_and_bounds_over_many_rounds)
{
    struct spsc s;
    uint64_t in = 0, out = 0;
    unsigned seed = 7;

    cr_assert_eq(spsc_init(&s, 4096), 0);
    for (int i = 0; i < 100000; i++) {
        uint32_t n = 8 + (uint32_t)rand_r(&seed) % 1500, got;
        uint8_t *room = spsc_reserve(&s, n);
        if (room != NULL) {
            memset(room, (int)in, n);
            memcpy(room, &in, sizeof(in));
            spsc_commit(&s, n);
            in++;
        }
        if (room == NULL || rand_r(&seed) % 2) {
            const uint8_t *read = spsc_peek(&s, &got);
            cr_assert_not_null(read, "full and empty at once");
            cr_assert_eq(memcmp(read, &out, sizeof(out)), 0);
            cr_assert_eq(read[got - 1], got > 8 ? (uint8_t)out : read[got - 1]);
            out++;
            spsc_pop(&s);
        }
    }
    cr_assert_gt(out, 10000);
    cr_assert_null(spsc_reserve(&s, 4096), "longer than the ring");
    spsc_deinit(&s);
}

static unsigned n_discarded;

static void note_discard(uint8_t *chunk, size_t bytes)
{
    (void)chunk;
    cr_assert_eq(bytes, RING_CHUNK_BYTES);
    n_discarded++;
}

Test(arena, hands_out_the_warmest_chunk_and_gives_cold_pages_back)
{
    struct arena a;

    n_discarded = 0;
    cr_assert_eq(arena_init(&a, NULL, 32, note_discard), 0);
    for (uint32_t i = 0; i < 32; i++)
        cr_assert_eq(arena_take(&a), i);
    cr_assert_eq(arena_take(&a), RING_HOLE);
    for (uint32_t i = 0; i < 32; i++)
        arena_give(&a, i);
    cr_assert_eq(n_discarded, 32 - ARENA_WARM_CHUNKS);
    cr_assert_eq(arena_resident_chunks(&a), ARENA_WARM_CHUNKS);
    cr_assert_eq(arena_take(&a), 31);
    for (int i = 0; i < 1000; i++)
        arena_give(&a, arena_take(&a));
    cr_assert_eq(n_discarded, 32 - ARENA_WARM_CHUNKS, "steady use touches no page");
    arena_deinit(&a);
}
