/* SPDX-License-Identifier: MIT */
/* A pause, longer each time. */
#include "proto/rest.h"

#define FIRST_NS   UINT64_C(10000000)
#define LONGEST_NS UINT64_C(1000000000)

void rest_init(struct rest *r)
{
    *r = (struct rest){.next_ns = FIRST_NS};
}

void rest_begin(struct rest *r, uint64_t now_ns)
{
    r->until_ns = now_ns + r->next_ns;
    r->next_ns = 2 * r->next_ns < LONGEST_NS ? 2 * r->next_ns : LONGEST_NS;
}

void rest_shorten(struct rest *r)
{
    r->next_ns = FIRST_NS;
}
