/* SPDX-License-Identifier: MIT */
/* The latest replies to requests, in a bounded circle. */
#include "daemon/core/reply_cache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hash_key key = {{3, 4}};

static struct message_key key_of(uint64_t endpoint, struct frame_id *id, const char *text)
{
    frame_id_read(text, strlen(text), id);
    return (struct message_key){endpoint, id};
}

static void put(struct reply_cache *c, const char *id_text, const void *bytes, uint32_t n)
{
    struct frame_id id;
    struct message_key k = key_of(1, &id, id_text);

    reply_cache_put(c, &k, bytes, n);
}

static const void *find(const struct reply_cache *c, const char *id_text, uint32_t *n)
{
    struct frame_id id;
    struct message_key k = key_of(1, &id, id_text);

    return reply_cache_find(c, &k, n);
}

Test(reply_cache, gives_back_what_was_put)
{
    struct reply_cache c;
    struct frame_id id;
    uint32_t n;

    cr_assert_eq(reply_cache_init(&c, &key, 4096), 0);
    cr_expect_null(find(&c, "a", &n));
    put(&c, "a", "one", 3);
    put(&c, "b", "", 0);
    cr_expect(memcmp(find(&c, "a", &n), "one", 3) == 0 && n == 3);
    cr_expect(find(&c, "b", &n) != NULL && n == 0);
    struct message_key k = key_of(2, &id, "a");
    cr_expect_null(reply_cache_find(&c, &k, &n), "another endpoint");
    put(&c, "a", "two", 3);
    cr_expect(memcmp(find(&c, "a", &n), "two", 3) == 0 && n == 3, "the latest one");
    reply_cache_deinit(&c);
}

Test(reply_cache, holds_nothing_where_there_is_no_room)
{
    struct reply_cache c;
    char bytes[1024] = {0};
    uint32_t n;

    cr_assert_eq(reply_cache_init(&c, &key, 0), 0);
    put(&c, "a", bytes, 0);
    cr_expect_null(find(&c, "a", &n));
    reply_cache_deinit(&c);
    cr_assert_eq(reply_cache_init(&c, &key, 4096), 0);
    put(&c, "a", bytes, 1000);
    cr_expect_null(find(&c, "a", &n), "more than a quarter");
    put(&c, "a", bytes, 900);
    cr_expect_not_null(find(&c, "a", &n));
    reply_cache_deinit(&c);
}

Test(reply_cache, keeps_the_latest_of_very_many)
{
    struct reply_cache c;
    uint8_t bytes[2000];
    char id[32];
    uint32_t n;

    srand(1);
    cr_assert_eq(reply_cache_init(&c, &key, 64 * 1024), 0);
    for (unsigned i = 0; i < 50000; i++) {
        uint32_t length = (uint32_t)rand() % sizeof(bytes);
        memset(bytes, (int)i, length);
        snprintf(id, sizeof(id), "%016x.%u", i % 7, i + 1);
        put(&c, id, bytes, length);
        for (unsigned back = 0; back < 25 && back <= i; back += 8) {
            snprintf(id, sizeof(id), "%016x.%u", (i - back) % 7, i - back + 1);
            const uint8_t *found = find(&c, id, &n);
            cr_assert_not_null(found, "%s", id);
            for (uint32_t at = 0; at < n; at++)
                cr_assert_eq(found[at], (uint8_t)(i - back));
        }
        cr_assert_leq(c.head - c.tail, c.capacity);
    }
    snprintf(id, sizeof(id), "%016x.%u", 0, 1);
    cr_expect_null(find(&c, id, &n), "the oldest has gone");
    reply_cache_deinit(&c);
}
