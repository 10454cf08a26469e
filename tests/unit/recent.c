/* SPDX-License-Identifier: MIT */
/* The table of what was used recently, and the hash that spreads it. */
#include "daemon/core/recent.h"
#include "daemon/core/keyed_hash.h"

#include <criterion/criterion.h>

struct row {
    struct recent_entry at;
    uint64_t value;
};

static bool is_value(const void *entry, const void *key)
{
    return ((const struct row *)entry)->value == *(const uint64_t *)key;
}

static struct row *find(const struct recent *t, uint64_t hash, uint64_t value)
{
    return recent_find(t, hash, is_value, &value);
}

static void add(struct recent *t, uint64_t hash, uint64_t value, uint64_t now_ms)
{
    struct row *row = recent_add(t, hash, now_ms);

    row->value = value;
}

static const struct recent_options three = {
    .entry_bytes = sizeof(struct row), .capacity = 3, .life_ms = 100};

Test(recent, forgets_nothing_that_is_alive)
{
    struct recent t;

    cr_assert_eq(recent_init(&t, &three), 0);
    for (uint64_t i = 0; i < 3; i++) {
        cr_expect(recent_has_room(&t, i));
        add(&t, i, i, i);
    }
    cr_expect_not(recent_has_room(&t, 99));
    cr_expect(recent_has_room(&t, 100));
    recent_touch(&t, find(&t, 0, 0), 99);
    cr_expect_not(recent_has_room(&t, 100), "the oldest use is now that of 1");
    cr_expect(recent_has_room(&t, 101));
    add(&t, 3, 3, 101);
    cr_expect_null(find(&t, 1, 1));
    cr_expect_not_null(find(&t, 0, 0));
    cr_expect_not_null(find(&t, 2, 2));
    cr_expect_not_null(find(&t, 3, 3));
    recent_deinit(&t);
}

Test(recent, tells_entries_of_one_hash_apart)
{
    struct recent t;

    cr_assert_eq(recent_init(&t, &three), 0);
    for (uint64_t i = 0; i < 3; i++)
        add(&t, 7, i, i);
    for (uint64_t i = 0; i < 3; i++)
        cr_expect_eq(find(&t, 7, i)->value, i);
    cr_expect_null(find(&t, 7, 3));
    /* The first, the last and the middle one of the bucket give way. */
    for (uint64_t i = 3; i < 30; i++) {
        uint64_t now = 1000 * i;
        if (i % 3 == 0)
            recent_touch(&t, find(&t, 7, i - 3), now - 200);
        add(&t, 7, i, now);
        cr_expect_eq(find(&t, 7, i)->value, i);
    }
    recent_deinit(&t);
}

Test(recent, goes_on_when_the_table_has_been_turned_over_many_times)
{
    struct recent_options o = {.entry_bytes = sizeof(struct row), .capacity = 100, .life_ms = 50};
    struct recent t;

    cr_assert_eq(recent_init(&t, &o), 0);
    for (uint64_t i = 0; i < 100000; i++) {
        cr_assert(recent_has_room(&t, i));
        add(&t, i * 0x9e3779b97f4a7c15u, i, i);
        if (i >= 50)
            cr_assert_not_null(find(&t, (i - 50) * 0x9e3779b97f4a7c15u, i - 50));
        if (i >= 100)
            cr_assert_null(find(&t, (i - 100) * 0x9e3779b97f4a7c15u, i - 100));
    }
    recent_deinit(&t);
}

/* From the reference implementation: key 00..0f, input 00..n-1. */
Test(keyed_hash, is_siphash_2_4)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } rows[] = {{0, UINT64_C(0x726fdb47dd0e0e31)},
                {1, UINT64_C(0x74f839c593dc67fd)},
                {7, UINT64_C(0xab0200f58b01d137)},
                {8, UINT64_C(0x93f5f5799a932462)},
                {15, UINT64_C(0xa129ca6149be45e5)}};
    const struct hash_key key = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
    uint8_t bytes[16];

    for (uint8_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = i;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(keyed_hash(&key, bytes, rows[i].n), rows[i].hash, "of %zu bytes", rows[i].n);
}
