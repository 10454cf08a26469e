/* SPDX-License-Identifier: MIT */
/* JSON texts to validate, made from a seed: the same in every run and on every machine. */
#ifndef MSGD_BENCH_VALIDATOR_TEXTS_H
#define MSGD_BENCH_VALIDATOR_TEXTS_H

#include <stddef.h>
#include <stdint.h>

/* n_texts texts, each with JSON_TEXT_SLACK readable bytes after it. */
struct texts {
    uint8_t *memory;
    size_t *offsets;
    size_t *lengths;
    size_t n_texts;
    size_t n_bytes; /* of all texts together */
};

enum texts_kind {
    TEXTS_MIXED,     /* what programs log and measure: every text has a shape of its own */
    TEXTS_SAME,      /* one of these, over and over */
    TEXTS_STRING,    /* one long string */
    TEXTS_NESTING,   /* objects and arrays in each other */
    TEXTS_NUMBERS,   /* an array of numbers of all forms */
    TEXTS_NON_ASCII, /* strings in scripts other than Latin */
    TEXTS_INDENTED,  /* mixed, a member a line */
};

/* About total_bytes bytes of texts of `size` bytes each. Exits where there is no memory. */
void texts_init(struct texts *t, enum texts_kind kind, size_t size, size_t total_bytes);
void texts_deinit(struct texts *t);

#endif
