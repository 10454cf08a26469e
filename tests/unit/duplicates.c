/* SPDX-License-Identifier: MIT */
/* Which framed messages have been kept already, against a model that remembers everything. */
#include "daemon/core/duplicates.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct duplicates_options small = {.key = {{1, 2}}, .max_sources = 4};
static struct duplicates d;

static struct frame_id numbered(uint64_t source, uint64_t number)
{
    static char text[FRAME_ID_MAX];
    struct frame_id id;

    frame_id_read(text, frame_id_print(source, number, text), &id);
    cr_assert(id.is_numbered && id.source == source && id.number == number);
    return id;
}

static struct frame_id text_id(const char *text)
{
    struct frame_id id;

    frame_id_read(text, strlen(text), &id);
    cr_assert_not(id.is_numbered);
    return id;
}

static enum duplicate look(uint64_t endpoint, struct frame_id id, uint64_t now_ms)
{
    return duplicates_look(&d, &(struct message_key){endpoint, &id}, now_ms);
}

/* Keeps it if it is new. */
static enum duplicate send(uint64_t endpoint, struct frame_id id, uint64_t now_ms)
{
    enum duplicate outcome = look(endpoint, id, now_ms);

    if (outcome == DUPLICATE_NOT)
        duplicates_keep(&d, &(struct message_key){endpoint, &id}, now_ms);
    return outcome;
}

static void release(uint64_t endpoint, struct frame_id id, uint64_t now_ms)
{
    duplicates_release(&d, &(struct message_key){endpoint, &id}, now_ms);
}

static void forget(uint64_t endpoint, struct frame_id id)
{
    duplicates_forget(&d, &(struct message_key){endpoint, &id});
}

static void open_small(void)
{
    cr_assert_eq(duplicates_init(&d, &small), 0);
}

static void close_small(void)
{
    duplicates_deinit(&d);
}

TestSuite(duplicates, .init = open_small, .fini = close_small);

Test(duplicates, a_message_is_kept_once_and_remembers_its_release)
{
    struct frame_id ids[] = {numbered(7, 1), text_id("once")};

    for (size_t i = 0; i < 2; i++) {
        if (i == 0)
            ids[0] = numbered(7, 1);
        cr_expect_eq(send(1, ids[i], 0), DUPLICATE_NOT);
        cr_expect_eq(send(1, ids[i], 0), DUPLICATE_KEPT);
        cr_expect_eq(send(2, ids[i], 0), DUPLICATE_NOT, "another endpoint");
        release(1, ids[i], 1);
        cr_expect_eq(send(1, ids[i], 1), DUPLICATE_RELEASED);
        cr_expect_eq(send(2, ids[i], 1), DUPLICATE_KEPT);
        forget(2, ids[i]);
        cr_expect_eq(look(2, ids[i], 1), DUPLICATE_NOT);
        cr_expect_eq(look(2, ids[i], 1), DUPLICATE_NOT, "looking changes nothing");
        cr_expect_eq(send(2, ids[i], 1), DUPLICATE_NOT);
        cr_expect_eq(send(2, ids[i], 1), DUPLICATE_KEPT);
    }
}

Test(duplicates, what_was_not_kept_does_not_move_the_window)
{
    cr_expect_eq(send(1, numbered(7, 10), 0), DUPLICATE_NOT);
    cr_expect_eq(look(1, numbered(7, 1000000), 0), DUPLICATE_NOT);
    cr_expect_eq(send(1, numbered(7, 9), 0), DUPLICATE_NOT);
    cr_expect_eq(send(1, numbered(7, 10), 0), DUPLICATE_KEPT);
}

Test(duplicates, numbers_before_the_window_have_been_answered)
{
    static const struct {
        const char *name;
        uint64_t number;
        enum duplicate outcome;
    } rows[] = {
        {"the highest", 10000, DUPLICATE_KEPT},
        {"one that was left out", 9999, DUPLICATE_NOT},
        {"the first of the window", 10000 - 4095, DUPLICATE_NOT},
        {"the last before it", 10000 - 4096, DUPLICATE_RELEASED},
        {"the very first", 1, DUPLICATE_RELEASED},
        {"the one with the same bit", 10000 + 4096, DUPLICATE_NOT},
        {"which moves the window", 10000, DUPLICATE_RELEASED},
        {"the largest", INT64_MAX, DUPLICATE_NOT},
        {"the largest again", INT64_MAX, DUPLICATE_KEPT},
        {"its window", INT64_MAX - 4095, DUPLICATE_NOT},
        {"before it", INT64_MAX - 4096, DUPLICATE_RELEASED},
    };

    cr_expect_eq(send(1, numbered(7, 10000), 0), DUPLICATE_NOT);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(send(1, numbered(7, rows[i].number), 0), rows[i].outcome, "%s", rows[i].name);
}

Test(duplicates, a_full_table_takes_nothing_new_until_somebody_has_been_silent_for_long)
{
    for (uint64_t source = 1; source <= 4; source++)
        cr_expect_eq(send(1, numbered(source, 1), source), DUPLICATE_NOT);
    cr_expect_eq(send(1, numbered(5, 1), 100), DUPLICATE_NO_ROOM);
    cr_expect_eq(send(1, numbered(1, 2), 100), DUPLICATE_NOT, "who is there goes on");
    cr_expect_eq(send(1, text_id("five"), 100), DUPLICATE_NOT, "texts have their own table");
    cr_expect_eq(send(1, numbered(5, 1), 2 + DUPLICATES_LIFE_MS - 1), DUPLICATE_NO_ROOM);
    cr_expect_eq(send(1, numbered(5, 1), 2 + DUPLICATES_LIFE_MS), DUPLICATE_NOT);
    cr_expect_eq(look(1, numbered(2, 1), 2 + DUPLICATES_LIFE_MS), DUPLICATE_NO_ROOM,
                 "it has given way");
    cr_expect_eq(look(1, numbered(1, 1), 2 + DUPLICATES_LIFE_MS), DUPLICATE_KEPT);
}

Test(duplicates, release_and_forget_of_what_is_not_there_do_nothing)
{
    release(1, numbered(7, 1), 0);
    forget(1, numbered(7, 1));
    release(1, text_id("x"), 0);
    forget(1, text_id("x"));
    cr_expect_eq(send(1, numbered(7, 5000), 0), DUPLICATE_NOT);
    forget(1, numbered(7, 5000 - 4096));
    release(1, numbered(7, 5000 + 4096), 0);
    cr_expect_eq(send(1, numbered(7, 5000), 0), DUPLICATE_KEPT);
}

#define MODEL_NUMBERS 20000

Test(duplicates, does_as_a_model_does_that_remembers_everything)
{
    static uint8_t state[MODEL_NUMBERS]; /* 1 kept, 2 released */
    uint64_t highest = 0;

    srand(3);
    for (int i = 0; i < 200000; i++) {
        uint64_t number = highest + (uint64_t)rand() % 6000;
        number = number > 5000 ? number - 5000 : 1;
        if (number >= MODEL_NUMBERS)
            break;
        bool is_before = highest >= number && highest - number >= DUPLICATES_WINDOW;
        switch (rand() % 4) {
        case 0:
            release(1, numbered(9, number), 0);
            if (number <= highest && !is_before && state[number] == 1)
                state[number] = 2;
            else if (number <= highest && !is_before && state[number] == 0)
                forget(1, numbered(9, number)); /* nobody releases what is not kept */
            break;
        case 1:
            forget(1, numbered(9, number));
            if (!is_before)
                state[number] = 0;
            break;
        default:
            cr_assert_eq(send(1, numbered(9, number), 0),
                         is_before || state[number] == 2 ? DUPLICATE_RELEASED
                         : state[number] == 1            ? DUPLICATE_KEPT
                                                         : DUPLICATE_NOT,
                         "number %lu, highest %lu", number, highest);
            if (!is_before && state[number] == 0)
                state[number] = 1;
            if (number > highest)
                highest = number;
        }
    }
}

Test(frame_id, tells_numbers_from_texts)
{
    static const struct {
        const char *text;
        bool is_numbered;
    } rows[] = {
        {"0123456789abcdef.1", true},
        {"0000000000000000.9223372036854775807", true},
        {"ffffffffffffffff.9223372036854775808", false},
        {"ffffffffffffffff.99999999999999999999", false},
        {"0123456789abcdef.0", false},
        {"0123456789abcdef.01", false},
        {"0123456789abcdef.", false},
        {"0123456789abcdef", false},
        {"0123456789ABCDEF.1", false},
        {"0123456789abcdeg.1", false},
        {"0123456789abcdef.1x", false},
        {"0123456789abcdef:1", false},
        {"x", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct frame_id id;
        char text[FRAME_ID_MAX];
        frame_id_read(rows[i].text, strlen(rows[i].text), &id);
        cr_expect_eq(id.is_numbered, rows[i].is_numbered, "%s", rows[i].text);
        if (!id.is_numbered)
            continue;
        size_t n = frame_id_print(id.source, id.number, text);
        cr_expect(n == strlen(rows[i].text) && memcmp(text, rows[i].text, n) == 0);
    }
}

Test(duplicates, what_is_to_be_on_disk_is_kept_only_once_it_is)
{
    struct frame_id ids[] = {numbered(1, 7), text_id("seven")};

    for (size_t i = 0; i < 2; i++) {
        struct message_key key = {1, &ids[i]};
        cr_assert_eq(look(1, ids[i], 0), DUPLICATE_NOT);
        cr_assert_not(duplicates_commit(&d, &key), "nothing is pending");
        duplicates_pend(&d, &key, 0);
        cr_assert_eq(look(1, ids[i], 1), DUPLICATE_PENDING);
        cr_assert(duplicates_commit(&d, &key));
        cr_assert_eq(look(1, ids[i], 2), DUPLICATE_KEPT);
        cr_assert_not(duplicates_commit(&d, &key));
        release(1, ids[i], 3);
        cr_assert_eq(look(1, ids[i], 4), DUPLICATE_RELEASED);
    }
}

Test(duplicates, what_was_released_before_it_was_on_disk_stays_released)
{
    struct frame_id ids[] = {numbered(1, 7), text_id("seven")};

    for (size_t i = 0; i < 2; i++) {
        struct message_key key = {1, &ids[i]};
        duplicates_pend(&d, &key, 0);
        release(1, ids[i], 1);
        cr_assert_eq(look(1, ids[i], 2), DUPLICATE_RELEASED);
        cr_assert_not(duplicates_commit(&d, &key));
        cr_assert_eq(look(1, ids[i], 3), DUPLICATE_RELEASED);
    }
}
