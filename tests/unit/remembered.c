/* SPDX-License-Identifier: MIT */
/* Ids as the database keeps them. */
#include "daemon/core/remembered.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint8_t bytes[4096];

struct seen {
    unsigned n;
    char last[FRAME_ID_MAX + 1];
};

static void see(void *context, const struct frame_id *first, uint32_t count)
{
    struct seen *s = context;

    s->n += count;
    if (first->is_numbered)
        snprintf(s->last, sizeof(s->last), "%016lx.%lu", first->source, first->number + count - 1);
    else
        snprintf(s->last, sizeof(s->last), "%.*s", (int)first->text.n, first->text.bytes);
}

static void add(struct remembered *r, const char *text)
{
    struct frame_id id;

    frame_id_read(text, strlen(text), &id);
    cr_assert(remembered_add(r, &id), "%s did not fit", text);
}

Test(remembered, ids_come_back_as_they_were)
{
    struct remembered r = {.bytes = bytes, .capacity = sizeof(bytes)};
    struct seen s = {0};

    add(&r, "order 17");
    add(&r, "00000000000000aa.4");
    cr_assert_eq(remembered_each(r.bytes, r.n, see, &s), 0);
    cr_assert_eq(s.n, 2);
    cr_assert_str_eq(s.last, "00000000000000aa.4");
}

Test(remembered, consecutive_numbers_of_a_source_take_the_room_of_one)
{
    struct remembered r = {.bytes = bytes, .capacity = sizeof(bytes)};
    struct seen s = {0};
    char text[FRAME_ID_MAX + 1];

    for (int i = 1; i <= 1000; i++) {
        snprintf(text, sizeof(text), "00000000000000aa.%d", i);
        add(&r, text);
    }
    cr_assert_lt(r.n, 30);
    add(&r, "00000000000000ab.1001");
    add(&r, "00000000000000aa.1002");
    cr_assert_eq(remembered_each(r.bytes, r.n, see, &s), 0);
    cr_assert_eq(s.n, 1002);
    cr_assert_str_eq(s.last, "00000000000000aa.1002");
}

Test(remembered, says_when_there_is_no_room)
{
    struct remembered r = {.bytes = bytes, .capacity = REMEMBERED_MAX};
    struct frame_id id;

    add(&r, "a");
    frame_id_read("0123456789012345678901234567890123456789012345678901234567890123", 64, &id);
    cr_assert_not(remembered_add(&r, &id));
    cr_assert_eq(r.n, 3);
}

Test(remembered, what_cannot_be_is_refused)
{
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {{"\003", 1}, {"\002", 1}, {"\002\005ab", 4}, {"\002\377a", 3}, {"\001\001\002", 3}};
    struct remembered r = {.bytes = bytes, .capacity = sizeof(bytes)};
    struct seen s = {0};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert_eq(remembered_each((const uint8_t *)rows[i].bytes, rows[i].n, see, &s), -EBADMSG,
                     "row %zu", i);
    add(&r, "00000000000000aa.4");
    memset(r.bytes + 17, 0xff, 4); /* a run of 4 thousand millions */
    cr_assert_eq(remembered_each(r.bytes, r.n, see, &s), -EBADMSG);
    cr_assert_eq(s.n, 0);
}
