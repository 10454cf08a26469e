/* SPDX-License-Identifier: MIT */
/*
 * Is this one JSON text (RFC 8259)? Exact, without allocation or recursion, and without looking at
 * what the text means: duplicate keys, number ranges and lone surrogate escapes are its reader's
 * business.
 *
 * Any value may stand at the top, with white space around it; there is no byte order mark, nothing
 * after the value, and strings are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF).
 */
#ifndef MSGD_PROTO_JSON_TEXT_H
#define MSGD_PROTO_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Readable bytes that json_text_is_valid_padded needs after the text; their values do not matter.
 */
#define JSON_TEXT_SLACK 64

/* Arrays and objects may nest this deep; one more is invalid. */
#define JSON_TEXT_MAX_DEPTH 128

/* For receive buffers: n bytes of text followed by JSON_TEXT_SLACK readable bytes. */
bool json_text_is_valid_padded(const uint8_t *bytes, size_t n);

/* Texts of one length. */
struct json_texts {
    const uint8_t *first;
    size_t n;      /* bytes of each */
    size_t stride; /* from the beginning of one to that of the next */
    size_t n_texts;
};

/* How many of the first are valid and have been found so at once, which takes less than asking for
 * each. 0: ask. Only the texts are read. */
size_t json_text_count_valid(const struct json_texts *texts);

/* For any memory: never reads past bytes[n - 1]. */
bool json_text_is_valid(const uint8_t *bytes, size_t n);

/*
 * The same answer with the place of the fault, for people: the text is valid if *expected is NULL.
 * Otherwise *expected is a static phrase for what should have stood there, such as "a value" or
 * "',' or '}'", and the offset of the first byte that cannot be there is returned (n: the text ends
 * too early). Returns n for a valid text.
 */
size_t json_text_check(const uint8_t *bytes, size_t n, const char **expected);

#endif
