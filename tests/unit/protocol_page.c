/* SPDX-License-Identifier: MIT */
/* The layouts in docs/protocol.md, "Shared memory", are those that the code was compiled with. */
#include "proto/ring.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct field {
    const char *name;
    size_t offset;
    size_t bytes;
};

#define FIELD(type, member)                                                           \
    {                                                                                 \
#member, offsetof(struct type, member), sizeof(((struct type *)NULL)->member) \
    }

static const struct field header[] = {
    FIELD(ring_header, magic),          FIELD(ring_header, version),
    FIELD(ring_header, chunk_bytes),    FIELD(ring_header, table_entries),
    FIELD(ring_header, arena_bytes),    FIELD(ring_header, chunks_offset),
    FIELD(ring_header, n_chunks),       FIELD(ring_header, outgoing_bytes),
    FIELD(ring_header, head),           FIELD(ring_header, tail),
    FIELD(ring_header, epoch),          FIELD(ring_header, state),
    FIELD(ring_header, outgoing_taken), FIELD(ring_header, doorbell_wanted),
    FIELD(ring_header, release_wanted), FIELD(ring_header, table),
};

static const struct field page[] = {
    FIELD(ring_page, taken),
    FIELD(ring_page, released),
    FIELD(ring_page, waiting),
};

static const struct field record[] = {
    FIELD(record, word),    FIELD(record, slot),      FIELD(record, seq),
    FIELD(record, time_ns), FIELD(record, from_port), FIELD(record, to_port),
    FIELD(record, scope),   FIELD(record, from_ip),   FIELD(record, to_ip),
};

static const struct field outgoing[] = {
    FIELD(outgoing_record, length), FIELD(outgoing_record, kind),  FIELD(outgoing_record, position),
    FIELD(outgoing_record, slot),   FIELD(outgoing_record, scope), FIELD(outgoing_record, ip),
    FIELD(outgoing_record, port),
};

static const struct {
    const char *section;
    const struct field *fields;
    size_t n_fields;
} layouts[] = {
    {"\n### Arena\n", header, sizeof(header) / sizeof(header[0])},
    {"\n### Page\n", page, sizeof(page) / sizeof(page[0])},
    {"\n### Record\n", record, sizeof(record) / sizeof(record[0])},
    {"\n### Outgoing ring\n", outgoing, sizeof(outgoing) / sizeof(outgoing[0])},
};

static char *read_page(void)
{
    FILE *f = fopen(PROTOCOL_PAGE, "r");
    char *text = NULL;
    size_t n = 0;

    cr_assert_not_null(f, "cannot open " PROTOCOL_PAGE);
    cr_assert_gt(getdelim(&text, &n, '\0', f), 0);
    fclose(f);
    return text;
}

/* The row of a field within its section: "| offset | width | `name` |". */
static void check_field(const char *section, const struct field *f)
{
    char cell[64], wanted[128];

    snprintf(cell, sizeof(cell), "| `%s` |", f->name);
    const char *at = strstr(section, cell);
    cr_assert_not_null(at, "%s is not in its table", f->name);
    while (at > section && at[-1] != '\n')
        at--;
    if (f->bytes <= 8)
        snprintf(wanted, sizeof(wanted), "| %zu | %zu", f->offset, f->bytes * 8);
    else
        snprintf(wanted, sizeof(wanted), "| %zu | ", f->offset);
    cr_assert(strncmp(at, wanted, strlen(wanted)) == 0, "%s: the code has %s", f->name, wanted);
}

Test(protocol_page, has_the_layouts_of_the_code)
{
    char *text = read_page();

    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        const char *section = strstr(text, layouts[i].section);
        cr_assert_not_null(section, "no section %s", layouts[i].section);
        for (size_t j = 0; j < layouts[i].n_fields; j++)
            check_field(section, &layouts[i].fields[j]);
    }
    free(text);
}

/* The number in the row of a field: digits, with commas between thousands. */
static unsigned long number_in_row(const char *text, const char *name)
{
    char cell[64], digits[32] = "";
    size_t n = 0;

    snprintf(cell, sizeof(cell), "| `%s` | ", name);
    const char *at = strstr(text, cell);
    cr_assert_not_null(at, "%s has no row", name);
    for (at += strlen(cell); *at != ' ' && *at != ';' && n < sizeof(digits) - 1; at++)
        if (*at != ',')
            digits[n++] = *at;
    return strtoul(digits, NULL, 0);
}

Test(protocol_page, has_the_numbers_of_the_code)
{
    static const struct {
        const char *name;
        unsigned long value;
    } cases[] = {
        {"magic", RING_MAGIC},
        {"version", RING_VERSION},
        {"chunk_bytes", RING_CHUNK_BYTES},
        {"table_entries", RING_TABLE_ENTRIES},
        {"outgoing_bytes", RING_OUTGOING_BYTES},
    };
    char *text = read_page();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_eq(number_in_row(text, cases[i].name), cases[i].value, "%s", cases[i].name);
    free(text);
}
