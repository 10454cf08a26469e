/* SPDX-License-Identifier: MIT */
/* Does a row of JSON texts say the same as asking for each? For unit and fuzz tests. */
#ifndef MSGD_TESTS_JSON_ROW_H
#define MSGD_TESTS_JSON_ROW_H

#include "proto/json_variants.h"

#include <string.h>

#define ROW_TEXTS 8 /* as many are walked side by side at most */

static inline void row_fill(uint8_t *text, size_t n)
{
    memset(text, ' ', n);
    text[0] = '[';
    text[n - 1] = ']';
}

/*
 * Puts a text, of two bytes or more, at each place of a row of others that are valid, and at
 * several. texts: room for ROW_TEXTS of them.
 */
static inline bool row_agrees(json_row *row, const void *text, size_t n, bool is_valid,
                              uint8_t *texts)
{
    const uint8_t *bytes = text;
    bool is_for_rows = is_valid && (bytes[0] | 0x20) == '{' && (bytes[n - 1] | 0x20) == '}';

    for (size_t i = 0; i < ROW_TEXTS; i++)
        row_fill(texts + i * n, n);
    size_t at_once = row(texts, n, ROW_TEXTS);
    if ((at_once > 0) != (n <= 256))
        return false;
    for (size_t i = 0; i < at_once; i++) {
        memcpy(texts + i * n, bytes, n);
        if (row(texts, n, ROW_TEXTS) != (is_for_rows ? at_once : 0))
            return false;
        if (i % 2 == 0)
            row_fill(texts + i * n, n);
    }
    return true;
}

#endif
