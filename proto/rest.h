/* SPDX-License-Identifier: MIT */
/*
 * A pause after something was tried in vain, longer each time: what is never worth it is hardly
 * ever tried. No clock: times are given, in nanoseconds.
 */
#ifndef MSGD_PROTO_REST_H
#define MSGD_PROTO_REST_H

#include <stdbool.h>
#include <stdint.h>

struct rest {
    uint64_t until_ns;
    uint64_t next_ns; /* how long the next one is */
};

void rest_init(struct rest *r);
/* From now on: 10 ms, then twice as long each time, up to a second. */
void rest_begin(struct rest *r, uint64_t now_ns);
/* It was worth it: the next rest is a short one. */
void rest_shorten(struct rest *r);

static inline bool rest_is_over(const struct rest *r, uint64_t now_ns)
{
    return now_ns >= r->until_ns;
}

#endif
