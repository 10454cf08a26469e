/* SPDX-License-Identifier: MIT */
/* The arguments of options: text to values, and what was meant by a word that is none. */
#include "tools/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXPECTED(...) (snprintf(expected, OPTIONS_ERROR_MAX, __VA_ARGS__), OPTIONS_WRONG)

static void *member_of(const struct option_spec *spec, void *values)
{
    return (char *)values + spec->offset;
}

/* A decimal integer without sign, and what follows it. */
static bool digits_parse(const char *text, int64_t *value, const char **rest)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    *rest = end;
    return errno == 0;
}

static bool suffix_parse(const char *text, int64_t *factor)
{
    static const char letters[] = "KMG";
    *factor = 1;
    if (*text == '\0')
        return true;
    char upper = (char)(*text >= 'a' ? *text - 'a' + 'A' : *text);
    const char *at = strchr(letters, upper);
    if (at == NULL)
        return false;
    for (const char *l = letters; l <= at; l++)
        *factor *= 1024;
    return text[1] == '\0' || strcmp(text + 1, "iB") == 0;
}

static int integer_parse(const struct option_spec *spec, const char *text, void *values,
                         char *expected)
{
    int64_t value = 0, factor = 1;
    const char *rest = "";
    bool is_good = digits_parse(text, &value, &rest);
    if (is_good && spec->kind == OPTION_BYTES)
        is_good = suffix_parse(rest, &factor);
    else if (is_good)
        is_good = *rest == '\0';
    if (!is_good || (double)value * (double)factor < spec->min ||
        (double)value * (double)factor > spec->max)
        return EXPECTED("a number from %.0f to %.0f%s", spec->min, spec->max,
                        spec->kind == OPTION_BYTES ? ", as 65536, 64K or 4M" : "");
    *(int64_t *)member_of(spec, values) = value * factor;
    return 0;
}

static int decimal_parse(const struct option_spec *spec, const char *text, void *values,
                         char *expected)
{
    char *end = NULL;
    bool starts = (*text >= '0' && *text <= '9') || *text == '.';
    double value = starts ? strtod(text, &end) : 0;
    if (!starts || end == text || *end != '\0' || !isfinite(value) || value < spec->min ||
        value > spec->max || strpbrk(text, "xXpP") != NULL)
        return EXPECTED("a number from %g to %g, such as 2 or 0.5", spec->min, spec->max);
    *(double *)member_of(spec, values) = value;
    return 0;
}

static int lease_parse(const struct option_spec *spec, const char *text, void *values,
                       char *expected)
{
    int64_t value = -1;
    const char *rest = "";
    if (strcmp(text, "forever") != 0 &&
        (!digits_parse(text, &value, &rest) || *rest != '\0' || (double)value > spec->max))
        return EXPECTED("seconds from 0 to %.0f, or \"forever\"", spec->max);
    *(int64_t *)member_of(spec, values) = value;
    return 0;
}

static int choice_parse(const struct option_spec *spec, const char *text, void *values,
                        char *expected)
{
    int index = 0;
    size_t n = strlen(text);
    for (const char *word = spec->choices; *word != '\0'; index++) {
        size_t length = strcspn(word, " ");
        if (length == n && memcmp(word, text, n) == 0) {
            *(int *)member_of(spec, values) = index;
            return 0;
        }
        word += length;
        word += *word == ' ';
    }
    return EXPECTED("one of: %s", spec->choices);
}

static int list_append(const struct option_spec *spec, const char *text, void *values)
{
    struct option_list *list = member_of(spec, values);
    const char **items = reallocarray(list->items, list->n + 2, sizeof *items);
    if (items == NULL)
        return -ENOMEM;
    items[list->n++] = text;
    items[list->n] = NULL;
    list->items = items;
    return 0;
}

static int text_parse(const struct option_spec *spec, const char *text, void *values,
                      char *expected)
{
    if (*text == '\0')
        return EXPECTED("%s", spec->argument);
    if (spec->kind == OPTION_LIST)
        return list_append(spec, text, values);
    *(const char **)member_of(spec, values) = text;
    return 0;
}

int option_value_parse(const struct option_spec *spec, const char *text, void *values,
                       char expected[OPTIONS_ERROR_MAX])
{
    expected[0] = '\0';
    switch (spec->kind) {
    case OPTION_FLAG:
        return EXPECTED("nothing");
    case OPTION_TEXT:
    case OPTION_LIST:
        return text_parse(spec, text, values, expected);
    case OPTION_INTEGER:
    case OPTION_BYTES:
        return integer_parse(spec, text, values, expected);
    case OPTION_DECIMAL:
        return decimal_parse(spec, text, values, expected);
    case OPTION_LEASE:
        return lease_parse(spec, text, values, expected);
    case OPTION_CHOICE:
        return choice_parse(spec, text, values, expected);
    }
    return EXPECTED("something else");
}

#define NEAREST_MAX 40

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* The optimal string alignment distance; both at most NEAREST_MAX long. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][NEAREST_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        before[j] = last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = smallest(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (is_swap && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[m];
}

const char *options_nearest(const char *word, size_t n, const char *const *candidates,
                            size_t n_candidates)
{
    const char *best = NULL, *begun = NULL;
    size_t least = SIZE_MAX, n_begun = 0;
    for (size_t i = 0; i < n_candidates && n <= NEAREST_MAX; i++) {
        size_t m = strlen(candidates[i]);
        if (m > NEAREST_MAX)
            continue;
        if (n >= 2 && n < m && memcmp(candidates[i], word, n) == 0) {
            begun = candidates[i];
            n_begun++;
        }
        size_t d = distance(word, n, candidates[i], m);
        if (d < least && d <= 2 && d * 3 <= m) {
            least = d;
            best = candidates[i];
        }
    }
    return best != NULL ? best : n_begun == 1 ? begun : NULL;
}
