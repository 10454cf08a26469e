/* SPDX-License-Identifier: MIT */
/* Quantiles of many durations in little memory. */
#include "tools/quantiles.h"

/* Values below 16 have a bucket each; above, the four bits behind the highest one tell. */
static uint32_t bucket_of(uint64_t value)
{
    if (value < QUANTILES_STEPS)
        return (uint32_t)value;
    uint32_t shift = 59u - (uint32_t)__builtin_clzll(value);
    return (shift + 1) * QUANTILES_STEPS + (uint32_t)((value >> shift) - QUANTILES_STEPS);
}

/* The largest value of a bucket. */
static uint64_t top_of(uint32_t bucket)
{
    if (bucket < QUANTILES_STEPS)
        return bucket;
    uint32_t shift = bucket / QUANTILES_STEPS - 1;
    uint64_t least = (uint64_t)(QUANTILES_STEPS + bucket % QUANTILES_STEPS) << shift;
    return least + ((UINT64_C(1) << shift) - 1);
}

void quantiles_add(struct quantiles *q, uint64_t value)
{
    q->n++;
    q->buckets[bucket_of(value)]++;
    if (value > q->max)
        q->max = value;
}

uint64_t quantiles_at(const struct quantiles *q, double part)
{
    double wanted = part * (double)q->n;
    uint64_t n = 0;
    for (uint32_t i = 0; i < QUANTILES_BUCKETS; i++) {
        n += q->buckets[i];
        if (q->buckets[i] > 0 && (double)n >= wanted)
            return top_of(i) < q->max ? top_of(i) : q->max;
    }
    return q->max;
}
