/* SPDX-License-Identifier: MIT */
/* Tables of text that fit a terminal. */
#include "tools/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2

void table_init(struct table *t, const struct table_column *columns, size_t n_columns)
{
    *t = (struct table){.columns = columns, .n_columns = n_columns};
}

void table_deinit(struct table *t)
{
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){0};
}

static int reserve(struct table *t)
{
    if (t->n_rows < t->capacity)
        return 0;
    size_t capacity = t->capacity == 0 ? 16 : t->capacity * 2;
    char **cells = reallocarray(t->cells, capacity * t->n_columns, sizeof *cells);
    if (cells == NULL)
        return -ENOMEM;
    t->cells = cells;
    t->capacity = capacity;
    return 0;
}

int table_add(struct table *t, const char *const *cells)
{
    int error = reserve(t);
    if (error != 0)
        return error;
    char **row = t->cells + t->n_rows * t->n_columns;
    for (size_t i = 0; i < t->n_columns; i++) {
        row[i] = strdup(cells[i] != NULL ? cells[i] : "");
        if (row[i] != NULL)
            continue;
        while (i-- > 0)
            free(row[i]);
        return -ENOMEM;
    }
    t->n_rows++;
    return 0;
}

static size_t total_width(const struct table *t, const size_t *widths)
{
    size_t total = (t->n_columns - 1) * GAP;
    for (size_t i = 0; i < t->n_columns; i++)
        total += widths[i];
    return total;
}

static void measure(const struct table *t, size_t *widths)
{
    for (size_t c = 0; c < t->n_columns; c++)
        widths[c] = strlen(t->columns[c].title);
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++) {
        size_t n = strlen(t->cells[i]);
        if (n > widths[i % t->n_columns])
            widths[i % t->n_columns] = n;
    }
}

/* Takes from the widest column that may be cut until the table fits or none is left. */
static void shrink(const struct table *t, size_t *widths, size_t room)
{
    while (total_width(t, widths) > room) {
        size_t widest = t->n_columns;
        for (size_t c = 0; c < t->n_columns; c++) {
            size_t least = t->columns[c].min_width;
            if (least != 0 && widths[c] > least &&
                (widest == t->n_columns || widths[c] > widths[widest]))
                widest = c;
        }
        if (widest == t->n_columns)
            return;
        widths[widest]--;
    }
}

static void print_cut(const char *text, size_t width, const struct layout *layout, FILE *out)
{
    size_t n = strlen(text), kept = width - 1, tail = kept / 2;
    fprintf(out, "%.*s%s%s", (int)(kept - tail), text, layout->has_utf8 ? "\xe2\x80\xa6" : "~",
            text + n - tail);
}

static void print_cell(const char *text, size_t width, bool is_number, bool is_last,
                       const struct layout *layout, FILE *out)
{
    if (strlen(text) > width && width > 0)
        print_cut(text, width, layout, out);
    else if (is_number)
        fprintf(out, "%*s", (int)width, text);
    else
        fprintf(out, "%-*s", is_last ? 0 : (int)width, text);
    if (!is_last)
        fprintf(out, "%*s", GAP, "");
}

/* A cell of column c: of row i, or the column's title where i is the number of rows. */
static const char *text_of(const struct table *t, size_t i, size_t c)
{
    return i == t->n_rows ? t->columns[c].title : t->cells[i * t->n_columns + c];
}

/* Row i (the titles: the number of rows), without spaces at its end. */
static void print_row(const struct table *t, size_t i, const size_t *widths,
                      const struct layout *layout, FILE *out)
{
    size_t n = t->n_columns;
    while (n > 1 && text_of(t, i, n - 1)[0] == '\0')
        n--;
    for (size_t c = 0; c < n; c++)
        print_cell(text_of(t, i, c), widths[c], t->columns[c].is_number, c + 1 == n, layout, out);
}

void table_print(const struct table *t, const struct layout *layout, FILE *out)
{
    size_t widths[TABLE_MAX_COLUMNS];
    measure(t, widths);
    if (layout->width > layout->indent)
        shrink(t, widths, layout->width - layout->indent);
    fprintf(out, "%*s%s", (int)layout->indent, "", layout->has_colour ? "\033[1m" : "");
    print_row(t, t->n_rows, widths, layout, out);
    fprintf(out, "%s\n", layout->has_colour ? "\033[0m" : "");
    for (size_t i = 0; i < t->n_rows; i++) {
        fprintf(out, "%*s", (int)layout->indent, "");
        print_row(t, i, widths, layout, out);
        fputc('\n', out);
    }
}

void layout_print(const struct layout *layout, const char *text, size_t hanging, FILE *out)
{
    size_t column = layout->indent, gap = 0;
    fprintf(out, "%*s", (int)layout->indent, "");
    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        if (layout->width > 0 && column + gap + n > layout->width && gap > 0) {
            column = layout->indent + hanging;
            fprintf(out, "\n%*s", (int)column, "");
            gap = 0;
        }
        fprintf(out, "%*s%.*s", (int)gap, "", (int)n, text);
        column += gap + n;
        text += n;
        gap = strspn(text, " ");
        text += gap;
    }
    fputc('\n', out);
}
