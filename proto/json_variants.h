/* SPDX-License-Identifier: MIT */
/* The JSON validator for each instruction set. For json_text.c, which chooses, and for tests. */
#ifndef MSGD_PROTO_JSON_VARIANTS_H
#define MSGD_PROTO_JSON_VARIANTS_H

#include "proto/json_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Is this JSON? n is at least 2; the first byte is '{', '[' or '"', and the last is '}' or ']', or
 * '"' if the first is. tail: 64 readable bytes, of which the first 1 to 64 are the text from the
 * last multiple of 64 on. Of p only the n bytes are read.
 */
typedef bool json_walk(const uint8_t *p, size_t n, const uint8_t *tail);

/*
 * How many of the first have been walked side by side and are objects or arrays, all of them valid,
 * without white space around them. 0: each is to be asked by itself. Only the texts are read.
 */
typedef size_t json_row(const struct json_texts *texts);

json_row json_row_avx512;
json_walk json_walk_avx512;
json_walk json_walk_avx512_short; /* for json_walk_avx512 */
json_walk json_walk_avx2;
json_walk json_walk_sse2;
json_walk json_walk_neon;
json_walk json_walk_portable;

struct json_variant {
    const char *name;
    bool (*is_usable)(void); /* on this processor */
    json_walk *walk;
    json_row *row; /* NULL: it has none */
};

/* The best first; the last is usable everywhere. */
extern const struct json_variant json_variants[];
extern const size_t n_json_variants;

/* json_text_is_valid_padded and json_text_is_valid, by this walk. */
bool json_text_is_valid_by(json_walk *walk, const uint8_t *bytes, size_t n, bool is_padded);

#endif
