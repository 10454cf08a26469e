/* SPDX-License-Identifier: MIT */
/*
 * The JSON validator of the data path: json_walk.h has the idea. Here: what comes before it, and
 * the choice of the instruction set, which is made at the first text.
 *
 * White space is cut off at both ends. Objects, arrays and strings then go to the walk; it relies
 * on the text's last byte being what ends them, for then no number or word can run into the end.
 * Numbers and words at the top, short and rare, go to json_text_check.c.
 */
#include "proto/json_text.h"
#include "proto/json_variants.h"

#include <stdatomic.h>
#include <string.h>

#define BLOCK_BYTES 64

_Static_assert(JSON_TEXT_SLACK >= BLOCK_BYTES - 1, "the last block may hold one byte of text");

static json_walk choose;
static json_row choose_row;
static _Atomic(json_walk *) chosen = choose;
static _Atomic(json_row *) chosen_row = choose_row;

static size_t no_row(const struct json_texts *texts)
{
    (void)texts;
    return 0;
}

static const struct json_variant *choose_both(void)
{
    const struct json_variant *best = json_variants;

    while (!best->is_usable())
        best++;
    atomic_store_explicit(&chosen, best->walk, memory_order_relaxed);
    atomic_store_explicit(&chosen_row, best->row != NULL ? best->row : no_row,
                          memory_order_relaxed);
    return best;
}

static bool choose(const uint8_t *p, size_t n, const uint8_t *tail)
{
    return choose_both()->walk(p, n, tail);
}

static size_t choose_row(const struct json_texts *texts)
{
    (void)choose_both();
    return json_text_count_valid(texts);
}

static inline bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool scalar_is_valid(const uint8_t *p, size_t n)
{
    const char *expected;

    json_text_check(p, n, &expected);
    return expected == NULL;
}

/* Of the last block nothing but text is readable: the walk gets a copy. */
static __attribute__((noinline)) bool walk_exact(json_walk *walk, const uint8_t *p, size_t n)
{
    size_t whole = (n - 1) / BLOCK_BYTES * BLOCK_BYTES;
    uint8_t tail[BLOCK_BYTES] = {0};

    memcpy(tail, p + whole, n - whole);
    return walk(p, n, tail);
}

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE bool walk_all(json_walk *walk, const uint8_t *p, size_t n, bool is_padded)
{
    if (!is_padded)
        return walk_exact(walk, p, n);
    return walk(p, n, p + (n - 1) / BLOCK_BYTES * BLOCK_BYTES);
}

/* Any text: white space around it, a string, a number, a word. */
static __attribute__((noinline)) bool other_is_valid(json_walk *walk, const uint8_t *p, size_t n,
                                                     bool is_padded)
{
    const uint8_t *end = p + n;

    while (p < end && is_space(*p))
        p++;
    while (p < end && is_space(end[-1]))
        end--;
    n = (size_t)(end - p);
    if (n < 2 || (*p != '{' && *p != '[' && *p != '"'))
        return scalar_is_valid(p, n);
    if (end[-1] != '"' ? end[-1] != '}' && end[-1] != ']' : *p != '"')
        return false;
    return walk_all(walk, p, n, is_padded);
}

/* Nearly every text begins and ends with a bracket. */
ALWAYS_INLINE bool text_is_valid(json_walk *walk, const uint8_t *p, size_t n, bool is_padded)
{
    if (n < 2 || (p[0] | 0x20) != '{' || (p[n - 1] | 0x20) != '}')
        return other_is_valid(walk, p, n, is_padded);
    return walk_all(walk, p, n, is_padded);
}

bool json_text_is_valid_by(json_walk *walk, const uint8_t *bytes, size_t n, bool is_padded)
{
    return text_is_valid(walk, bytes, n, is_padded);
}

static inline json_walk *best_walk(void)
{
    return atomic_load_explicit(&chosen, memory_order_relaxed);
}

bool json_text_is_valid_padded(const uint8_t *bytes, size_t n)
{
    return text_is_valid(best_walk(), bytes, n, true);
}

size_t json_text_count_valid(const struct json_texts *texts)
{
    return atomic_load_explicit(&chosen_row, memory_order_relaxed)(texts);
}

bool json_text_is_valid(const uint8_t *bytes, size_t n)
{
    return text_is_valid(best_walk(), bytes, n, false);
}
