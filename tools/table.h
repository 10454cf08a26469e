/* SPDX-License-Identifier: MIT */
/* Tables of text that fit a terminal. */
#ifndef MSGD_TOOLS_TABLE_H
#define MSGD_TOOLS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_MAX_COLUMNS 10

struct table_column {
    const char *title;
    bool is_number;   /* stands at the right */
    size_t min_width; /* may be cut down to this; 0: never cut */
};

/* How text is laid out. */
struct layout {
    size_t width; /* 0: as wide as it gets */
    size_t indent;
    bool has_utf8;
    bool has_colour;
};

struct table {
    const struct table_column *columns;
    size_t n_columns;
    char **cells; /* n_rows * n_columns */
    size_t n_rows;
    size_t capacity; /* in rows */
};

/* columns must outlive the table. At most TABLE_MAX_COLUMNS. */
void table_init(struct table *t, const struct table_column *columns, size_t n_columns);
void table_deinit(struct table *t);

/* Copies n_columns texts; NULL stands for "". 0 or -ENOMEM. */
int table_add(struct table *t, const char *const *cells) __attribute__((warn_unused_result));

/*
 * Prints the titles and the rows. Where they are too wide, columns that may be cut are, the widest
 * first; a text that is cut loses its middle, since names often differ at their ends.
 */
void table_print(const struct table *t, const struct layout *layout, FILE *out);

/* Prints a paragraph, broken at spaces; lines after the first are indented by `hanging` more. */
void layout_print(const struct layout *layout, const char *text, size_t hanging, FILE *out);

#endif
