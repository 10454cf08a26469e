/* SPDX-License-Identifier: MIT */
/* Quantiles of many durations in little memory, to one part in 16. */
#ifndef MSGD_TOOLS_QUANTILES_H
#define MSGD_TOOLS_QUANTILES_H

#include <stdint.h>

#define QUANTILES_STEPS   16u /* to each power of two */
#define QUANTILES_BUCKETS (61u * QUANTILES_STEPS)

/* Zero is empty. */
struct quantiles {
    uint64_t n;
    uint64_t max;
    uint64_t buckets[QUANTILES_BUCKETS];
};

void quantiles_add(struct quantiles *q, uint64_t value);

/* A value that this part (0 to 1) of all is not above, at most a sixteenth more than the least such
 * value. 0 if there are none. */
uint64_t quantiles_at(const struct quantiles *q, double part);

#endif
