/* SPDX-License-Identifier: MIT */
/* Arrays in the order of the number that each of their members begins with (a uint64_t). */
#ifndef MSGD_DAEMON_CORE_NUMBERED_H
#define MSGD_DAEMON_CORE_NUMBERED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t numbered_at(const void *all, size_t size, size_t i)
{
    uint64_t number;

    memcpy(&number, (const uint8_t *)all + i * size, sizeof(number));
    return number;
}

/* The first of n members of `size` bytes whose number is not below `number`; n: none. */
static inline size_t numbered_find(const void *all, size_t n, size_t size, uint64_t number)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (numbered_at(all, size, middle) < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
