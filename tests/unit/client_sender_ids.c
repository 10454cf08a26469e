/* SPDX-License-Identifier: MIT */
/* The table of ids that are texts. */
#include "client/sender_ids.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(client_sender_ids, finds_what_was_added_and_not_what_was_removed)
{
    struct sender_ids ids;

    cr_assert_eq(sender_ids_init(&ids, 2, 1), 0);
    cr_expect_eq(sender_ids_find(&ids, "a", 1), 0);
    sender_ids_add(&ids, "a", 1, 7);
    sender_ids_add(&ids, "ab", 2, 8);
    cr_expect_eq(sender_ids_find(&ids, "a", 1), 7);
    cr_expect_eq(sender_ids_find(&ids, "ab", 2), 8);
    cr_expect_eq(sender_ids_find(&ids, "b", 1), 0);
    cr_expect_eq(sender_ids_find(&ids, "", 0), 0);
    sender_ids_remove(&ids, "a", 1);
    cr_expect_eq(sender_ids_find(&ids, "a", 1), 0);
    cr_expect_eq(sender_ids_find(&ids, "ab", 2), 8);
    sender_ids_deinit(&ids);
}

/* A full table of many seeds: searches pass over what others have left. */
Test(client_sender_ids, agrees_with_a_plain_table)
{
    enum { N = 64, TEXTS = 200 };
    static char texts[TEXTS][16];

    for (int i = 0; i < TEXTS; i++)
        snprintf(texts[i], sizeof texts[i], "id-%d", i);
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint64_t plain[TEXTS] = {0}, x = seed + 1;
        struct sender_ids ids;
        int n = 0;

        cr_assert_eq(sender_ids_init(&ids, N, seed), 0);
        for (int step = 0; step < 2000; step++) {
            x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
            int i = (int)((x >> 33) % TEXTS);
            size_t length = strlen(texts[i]);
            if (plain[i] != 0) {
                sender_ids_remove(&ids, texts[i], length);
                plain[i] = 0, n--;
            } else if (n < N) {
                plain[i] = (uint64_t)step + 1, n++;
                sender_ids_add(&ids, texts[i], length, plain[i]);
            }
            i = (int)((x >> 20) % TEXTS);
            cr_assert_eq(sender_ids_find(&ids, texts[i], strlen(texts[i])), plain[i]);
        }
        sender_ids_deinit(&ids);
    }
}
