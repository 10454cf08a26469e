/* SPDX-License-Identifier: MIT */
/*
 * Moments of up to 65,535 things that are known by their index, and which of them comes first: a
 * binary heap whose places are known, so that a moment may be changed or taken out.
 */
#ifndef MSGD_PROTO_DUE_H
#define MSGD_PROTO_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DUE_NEVER UINT64_MAX

struct due {
    uint64_t *at;    /* by index */
    uint16_t *place; /* by index: where it stands in order, from 1; 0: it has no moment */
    uint16_t *order; /* from 1: the heap */
    uint16_t n;
};

/* For indexes below capacity, at most 65,535. 0 or -ENOMEM. */
int due_init(struct due *d, size_t capacity) __attribute__((warn_unused_result));
void due_deinit(struct due *d);

/* Its moment from now on. */
void due_set(struct due *d, uint16_t index, uint64_t at);
/* It has none any more. */
void due_clear(struct due *d, uint16_t index);

/* The earliest moment, DUE_NEVER if there is none; *index: whose, untouched then. */
uint64_t due_first(const struct due *d, uint16_t *index);

#endif
