/* SPDX-License-Identifier: MIT */
/* Asks every JSON validator the same question, with nothing readable where it must not read. */
#ifndef MSGD_TESTS_UNIT_JSON_TEXT_FIXTURE_H
#define MSGD_TESTS_UNIT_JSON_TEXT_FIXTURE_H

#include "proto/json_text.h"
#include "proto/json_variants.h"
#include "tests/support/json_row.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_ROW_TEXT 300 /* longer ones are in no row */

struct text {
    const char *name;
    const char *bytes;
    size_t n;
};

/* A page that nobody may read, with memory before it. */
struct fence {
    uint8_t *memory;
    size_t n;
};

static inline struct fence fence_new(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct fence f = {.n = (n + page - 1) / page * page};

    f.memory = mmap(NULL, f.n + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(f.memory, MAP_FAILED);
    cr_assert_eq(mprotect(f.memory + f.n, page, PROT_NONE), 0);
    return f;
}

static inline uint8_t *fence_put(struct fence *f, const void *bytes, size_t n, size_t slack)
{
    uint8_t *start = f->memory + f->n - slack - n;

    memcpy(start, bytes, n);
    return start;
}

/* With nothing readable after what it may read. */
static inline void variant_says(const struct json_variant *v, struct fence *f, const struct text *t,
                                bool is_valid)
{
    static const char slacks[] = "\"}]0 [e\xbf\\t";
    uint8_t *text = fence_put(f, t->bytes, t->n, 0);

    cr_assert_eq(json_text_is_valid_by(v->walk, text, t->n, false), is_valid, "%s: %s, exact",
                 t->name, v->name);
    text = fence_put(f, t->bytes, t->n, JSON_TEXT_SLACK);
    for (size_t i = 0; i < sizeof slacks; i++) {
        memset(text + t->n, slacks[i], JSON_TEXT_SLACK);
        cr_assert_eq(json_text_is_valid_by(v->walk, text, t->n, true), is_valid,
                     "%s: %s, padded, %02x", t->name, v->name, (unsigned char)slacks[i]);
    }
    if (v->row == NULL || t->n < 2 || t->n > MAX_ROW_TEXT)
        return;
    text = f->memory + f->n - row_bytes(t->n, ROW_GAP);
    cr_assert(row_agrees(v->row, t->bytes, t->n, is_valid, text), "%s: %s, row", t->name, v->name);
}

/* Every variant that this processor has, and the plain one. */
static inline bool all_say(const char *name, const void *bytes, size_t n)
{
    static struct fence f;
    struct text t = {name, bytes, n};
    const char *expected;

    if (f.memory == NULL)
        f = fence_new(131072);

    uint8_t *text = fence_put(&f, bytes, n, 0);
    size_t at = json_text_check(text, n, &expected);
    bool is_valid = expected == NULL;

    cr_assert(at <= n && (!is_valid || at == n), "%s: fault at %zu of %zu", name, at, n);
    cr_assert_eq(json_text_is_valid(text, n), is_valid, "%s: exact", name);
    for (size_t i = 0; i < n_json_variants; i++) {
        if (json_variants[i].is_usable())
            variant_says(&json_variants[i], &f, &t, is_valid);
    }
    return is_valid;
}

static inline unsigned next_random(unsigned *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

#endif
