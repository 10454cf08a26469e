/* SPDX-License-Identifier: MIT */
/* Numbered JSON payloads, {"n":17,"pad":"xxx..."}, which flood sends and drain checks. */
#ifndef MSGD_TESTS_PAYLOAD_H
#define MSGD_TESTS_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The shortest payload that holds every number of up to 12 digits. */
#define PAYLOAD_MIN 32u

/* Fills buf with a payload of exactly `size` bytes, PAYLOAD_MIN or more. Not ended by NUL. */
static inline void payload_write(uint64_t n, uint8_t *buf, size_t size)
{
    uint8_t digits[20];
    size_t first = sizeof digits, at = 5;
    do
        digits[--first] = (uint8_t)('0' + n % 10);
    while ((n /= 10) > 0);
    memcpy(buf, "{\"n\":", 5);
    memcpy(buf + at, digits + first, sizeof digits - first);
    at += sizeof digits - first;
    memcpy(buf + at, ",\"pad\":\"", 8);
    at += 8;
    memset(buf + at, 'x', size - at - 2);
    memcpy(buf + size - 2, "\"}", 2);
}

/* Reads the number of a payload and checks every byte of it. False if it is torn. */
static inline bool payload_read(const uint8_t *buf, size_t size, uint64_t *n)
{
    static const char head[] = "{\"n\":", middle[] = ",\"pad\":\"";
    size_t at = sizeof head - 1;
    if (size < PAYLOAD_MIN || memcmp(buf, head, at) != 0)
        return false;
    uint64_t number = 0;
    for (; at < size && buf[at] >= '0' && buf[at] <= '9'; at++)
        number = number * 10 + (uint64_t)(buf[at] - '0');
    if (size - at < sizeof middle + 1 || memcmp(buf + at, middle, sizeof middle - 1) != 0)
        return false;
    for (at += sizeof middle - 1; at < size - 2; at++)
        if (buf[at] != 'x')
            return false;
    *n = number;
    return memcmp(buf + size - 2, "\"}", 2) == 0;
}

#endif
