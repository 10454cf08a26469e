/* SPDX-License-Identifier: MIT */
/* docs/protocol.md, "Framed datagrams", is what the code reads: its tables, and every example. */
#include "proto/frame.h"
#include "proto/frame_table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *page;

static void read_page(void)
{
    FILE *f = fopen(PROTOCOL_PAGE, "r");
    size_t n = 0;

    cr_assert_not_null(f, "cannot open " PROTOCOL_PAGE);
    cr_assert_gt(getdelim(&page, &n, '\0', f), 0);
    fclose(f);
}

static void free_page(void)
{
    free(page);
}

TestSuite(frame_page, .init = read_page, .fini = free_page);

/* What stands between two marks, as a string of its own. */
static char *between(const char *begin, const char *end)
{
    char *from = strstr(page, begin);

    cr_assert_not_null(from, "%s", begin);
    from += strlen(begin);
    return strndup(from, (size_t)(strstr(from, end) - from));
}

static size_t n_rows(const char *table)
{
    size_t n = 0;

    for (const char *at = table; (at = strstr(at, "\n| `")) != NULL; at++)
        n++;
    return n;
}

/* Behind the first cell of a row. */
static const char *row_of(const char *table, const char *name, size_t n_name)
{
    char cell[64];

    snprintf(cell, sizeof cell, "\n| `%.*s` | ", (int)n_name, name);

    const char *at = strstr(table, cell);

    cr_assert_not_null(at, "%.*s has no row", (int)n_name, name);
    return at + strlen(cell);
}

Test(frame_page, has_every_member)
{
    char *table = between("<!-- frame members begin -->", "<!-- frame members end -->");

    for (size_t i = 0; i < FRAME_N_MEMBERS; i++)
        row_of(table, FRAME_MEMBERS[i].name, FRAME_MEMBERS[i].n_name);
    cr_expect_eq(n_rows(table), FRAME_N_MEMBERS);
    free(table);
}

/* The bits of the members named up to the first ';' or '|'. */
static uint32_t members_in(const char *cell)
{
    uint32_t bits = 0;

    while (*cell != ';' && *cell != '|') {
        if (*cell++ != '`')
            continue;

        size_t n = strcspn(cell, "`");

        for (size_t i = 0; i < FRAME_N_MEMBERS; i++) {
            const struct frame_member_row *m = &FRAME_MEMBERS[i];

            if (m->n_name == n && memcmp(m->name, cell, n) == 0)
                bits |= m->value == VALUE_ACK ? FRAME_HAS_ACK : m->bit;
        }
        cell += n + 1;
    }
    return bits;
}

static enum frame_body body_in(const char *row)
{
    const char *end = strchr(row, '\n');

    if (memcmp(end - 7, " none |", 7) == 0)
        return BODY_NONE;
    return memcmp(end - 10, " ignored |", 10) == 0 ? BODY_IGNORED : BODY_MESSAGE;
}

Test(frame_page, has_every_type_with_what_it_requires)
{
    char *table = between("<!-- frame types begin -->", "<!-- frame types end -->");

    for (size_t i = 0; i < FRAME_OTHER; i++) {
        const struct frame_type_row *type = &FRAME_TYPES[i];
        const char *row = row_of(table, type->name, type->n_name);

        cr_expect_eq(members_in(row), type->required, "%s", type->name);
        cr_expect_eq(body_in(row), type->body, "%s", type->name);
    }
    cr_expect_eq(n_rows(table), FRAME_OTHER);
    free(table);
}

/* Up to the end of the line, with <RS> and <LF> as the bytes that they stand for. */
static size_t example_bytes(const char *line, uint8_t *out)
{
    size_t n = 0;

    while (*line != '\n') {
        if (strncmp(line, "<RS>", 4) == 0 || strncmp(line, "<LF>", 4) == 0) {
            out[n++] = line[1] == 'R' ? FRAME_START : '\n';
            line += 4;
        } else {
            out[n++] = (uint8_t)*line++;
        }
    }
    return n;
}

Test(frame_page, has_examples_that_are_what_they_say)
{
    static const char begin[] = "\n    <RS>{";
    bool is_shown[FRAME_OTHER + 1] = {false};
    uint8_t bytes[1024];
    struct frame f;

    for (const char *at = page; (at = strstr(at, begin)) != NULL; at += 5) {
        size_t n = example_bytes(at + 5, bytes);
        bool is_before_crc = memmem(bytes, n, "\"00000000\"", 10) != NULL;
        int result = frame_parse(bytes, n, &f);

        cr_assert_eq(result, is_before_crc ? FRAME_MALFORMED : 0, "%.*s", (int)n,
                     (const char *)bytes);
        is_shown[is_before_crc ? FRAME_OTHER : f.type] = true;
    }
    for (size_t i = 0; i <= FRAME_OTHER; i++)
        cr_expect(is_shown[i], "%s", frame_type_name(i));
}

static size_t length_of(enum frame_type type, size_t n_id, const char *reason)
{
    static const char id[] = "0123456789abcdef.999999999999999999900000000000000000000000000000";
    uint8_t buf[512];
    struct frame f = {.type = type,
                      .members = FRAME_HAS_ID | FRAME_HAS_WISH | FRAME_HAS_COUNT,
                      .wish = FRAME_RELEASED,
                      .count = FRAME_COUNT_MAX,
                      .id.text = {(const uint8_t *)id, n_id}};

    if (type == FRAME_NACK) {
        f.members = FRAME_HAS_ID | FRAME_HAS_REASON;
        f.reason = (struct frame_slice){(const uint8_t *)reason, strlen(reason)};
        f.is_retry = true;
    }
    return frame_write(&f, buf, sizeof buf);
}

/* The lengths that senders are told to pad to are those of the longest answers. */
Test(frame_page, has_lengths_that_leave_room_for_the_answers)
{
    static const struct {
        size_t n_id;
        size_t least;
    } cases[] = {{36, 128}, {FRAME_ID_MAX, 160}};

    cr_expect_not_null(strstr(page, "id of source and number | 128 bytes |"));
    cr_expect_not_null(strstr(page, "the same, text id | 160 bytes |"));
    for (size_t i = 0; i < 2; i++) {
        cr_expect_leq(length_of(FRAME_ACK, cases[i].n_id, NULL), cases[i].least);
        cr_expect_leq(length_of(FRAME_NACK, cases[i].n_id, "malformed_frame"), cases[i].least);
    }
}
