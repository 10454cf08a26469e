/* SPDX-License-Identifier: MIT */
/* Every way of validating gives the same answer, and jansson's is only ever stricter where it is
 * known to be. */
#include "proto/json_text.h"
#include "proto/json_variants.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/json_row.h"

#include <jansson.h>

/* What follows the text may be anything; most harmful is what would go on with it. */
static void agree_padded(json_walk *walk, const uint8_t *data, size_t size, bool valid)
{
    static const char slacks[] = "\"}]0[ e\xbf";
    uint8_t *padded = malloc(size + JSON_TEXT_SLACK);

    HOLDS(padded != NULL);
    if (size > 0)
        memcpy(padded, data, size);
    for (size_t i = 0; i < sizeof slacks; i++) {
        memset(padded + size, slacks[i], JSON_TEXT_SLACK);
        HOLDS(json_text_is_valid_by(walk, padded, size, true) == valid);
    }
    HOLDS(json_text_is_valid_padded(padded, size) == valid);
    free(padded);
}

/* Exactly as much memory as may be read. */
static void agree_row(json_row *row, const uint8_t *data, size_t size, bool valid)
{
    uint8_t *texts = malloc(row_bytes(size, ROW_GAP));

    HOLDS(texts != NULL);
    HOLDS(row_agrees(row, data, size, valid, texts));
    free(texts);
}

/* What is cut into texts of one size is a row only of those that are valid by themselves. */
static void agree_cut(json_row *row, const uint8_t *data, size_t size)
{
    for (size_t n_texts = 2; n_texts <= ROW_TEXTS; n_texts *= 2) {
        size_t each = size / n_texts;
        size_t n = row(&(struct json_texts){data, each, each, n_texts});

        for (size_t i = 0; i < n; i++)
            HOLDS(json_text_is_valid(data + i * each, each));
    }
}

/* Not where there is a NUL byte: jansson 2.14 passes over one that follows a number. */
static void agree_with_jansson(const uint8_t *data, size_t size, const char *expected)
{
    if (memchr(data, '\0', size) != NULL)
        return;

    json_error_t error;
    json_t *root = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (expected != NULL)
        HOLDS(root == NULL || strstr(expected, "levels of nesting") != NULL);
    else if (root == NULL)
        HOLDS(json_error_code(&error) == json_error_numeric_overflow ||
              json_error_code(&error) == json_error_null_byte_in_key ||
              strstr(error.text, "Unicode") != NULL);
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *expected;
    size_t at = json_text_check(data, size, &expected);

    HOLDS(at <= size && (expected != NULL || at == size));
    HOLDS(json_text_is_valid(data, size) == (expected == NULL));
    for (size_t i = 0; i < n_json_variants; i++) {
        json_walk *walk = json_variants[i].walk;

        if (!json_variants[i].is_usable())
            continue;
        HOLDS(json_text_is_valid_by(walk, data, size, false) == (expected == NULL));
        agree_padded(walk, data, size, expected == NULL);
        if (json_variants[i].row == NULL)
            continue;
        agree_cut(json_variants[i].row, data, size);
        if (size >= 2)
            agree_row(json_variants[i].row, data, size, expected == NULL);
    }
    agree_with_jansson(data, size, expected);
    return 0;
}
