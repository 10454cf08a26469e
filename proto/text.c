/* SPDX-License-Identifier: MIT */
/* UTF-8 and times as text. */
#include "proto/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

static bool is_continuation(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/*
 * RFC 3629, section 4. Only the second byte has bounds that depend on the first: they exclude the
 * overlong forms (E0, F0), the surrogates (ED) and what lies above U+10FFFF (F4).
 */
size_t utf8_sequence_length(const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return 0;

    uint8_t c = bytes[0];

    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;

    size_t length = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

    if (n < length || bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (!is_continuation(bytes[i]))
            return 0;
    }
    return length;
}

/* Bytes of plain ASCII at the start, in steps of eight. */
static size_t ascii_run(const uint8_t *bytes, size_t n)
{
    size_t i = 0;

    for (; n - i >= 8; i += 8) {
        uint64_t word;

        memcpy(&word, bytes + i, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

bool utf8_is_valid(const uint8_t *bytes, size_t n)
{
    size_t i = 0;

    while (i < n) {
        size_t length = bytes[i] < 0x80 ? ascii_run(bytes + i, n - i) : 0;

        if (length == 0)
            length = utf8_sequence_length(bytes + i, n - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

const char *time_print(int64_t time_ns, char buf[TIME_TEXT_MAX])
{
    int64_t ns = time_ns % NS_PER_S;
    time_t s = (time_t)(time_ns / NS_PER_S);
    struct tm tm;

    if (ns < 0) {
        ns += NS_PER_S;
        s--;
    }
    gmtime_r(&s, &tm);

    size_t n = strftime(buf, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);

    snprintf(buf + n, TIME_TEXT_MAX - n, ".%09ldZ", (long)ns);
    return buf;
}
