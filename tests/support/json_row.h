/* SPDX-License-Identifier: MIT */
/* Does a row of JSON texts say the same as asking for each? For unit and fuzz tests. */
#ifndef MSGD_TESTS_JSON_ROW_H
#define MSGD_TESTS_JSON_ROW_H

#include "proto/json_variants.h"

#include <string.h>

#define ROW_TEXTS 8 /* as many are walked side by side at most */
#define ROW_GAP   7 /* bytes between two that are apart */

/* Bytes of a row of texts of n bytes. */
static inline size_t row_bytes(size_t n, size_t gap)
{
    return ROW_TEXTS * n + (ROW_TEXTS - 1) * gap;
}

static inline void row_fill(uint8_t *text, size_t n)
{
    memset(text, ' ', n);
    text[0] = '[';
    text[n - 1] = ']';
}

/*
 * Puts a text, of two bytes or more, at each place of a row of others that are valid, and at
 * several. memory: row_bytes of it; between two lies what would do harm.
 */
static inline bool row_agrees_apart(json_row *row, const struct json_texts *text, bool is_valid,
                                    uint8_t *memory)
{
    size_t n = text->n, stride = text->stride;
    struct json_texts texts = {memory, n, stride, ROW_TEXTS};
    bool is_for_rows =
        is_valid && (text->first[0] | 0x20) == '{' && (text->first[n - 1] | 0x20) == '}';

    memset(memory, '"', row_bytes(n, stride - n));
    for (size_t i = 0; i < ROW_TEXTS; i++)
        row_fill(memory + i * stride, n);
    size_t at_once = row(&texts);
    if ((at_once > 0) != (n <= 256))
        return false;
    for (size_t i = 0; i < at_once; i++) {
        memcpy(memory + i * stride, text->first, n);
        if (row(&texts) != (is_for_rows ? at_once : 0))
            return false;
        if (i % 2 == 0)
            row_fill(memory + i * stride, n);
    }
    return true;
}

/* One behind the other, and apart. memory: row_bytes(n, ROW_GAP). Ends where that ends. */
static inline bool row_agrees(json_row *row, const void *text, size_t n, bool is_valid,
                              uint8_t *memory)
{
    struct json_texts one = {text, n, n, 1};
    size_t unused = row_bytes(n, ROW_GAP) - row_bytes(n, 0);

    if (!row_agrees_apart(row, &one, is_valid, memory + unused))
        return false;
    one.stride = n + ROW_GAP;
    return row_agrees_apart(row, &one, is_valid, memory);
}

#endif
