/* SPDX-License-Identifier: MIT */
/* Ids that stand by themselves, outside a header. */
#include "proto/frame.h"

#define SOURCE_DIGITS 16u
#define NUMBER_DIGITS 19u

static bool hex_digit(uint8_t c, uint64_t *value)
{
    if (c >= '0' && c <= '9')
        *value = *value << 4 | (uint64_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *value = *value << 4 | (uint64_t)(c - 'a' + 10);
    else
        return false;
    return true;
}

static bool read_source(const uint8_t *p, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < SOURCE_DIGITS; i++)
        if (!hex_digit(p[i], out))
            return false;
    return true;
}

static bool read_number(const uint8_t *p, size_t n, uint64_t *out)
{
    *out = 0;
    if (n == 0 || n > NUMBER_DIGITS || *p == '0')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(p[i] - '0');
    }
    return *out <= INT64_MAX;
}

void frame_id_read(const void *text, size_t n, struct frame_id *out)
{
    const uint8_t *p = text;
    uint64_t source, number;

    *out = (struct frame_id){.text = {p, n}};
    if (n <= SOURCE_DIGITS || p[SOURCE_DIGITS] != '.' || !read_source(p, &source) ||
        !read_number(p + SOURCE_DIGITS + 1, n - SOURCE_DIGITS - 1, &number))
        return;
    out->is_numbered = true;
    out->source = source;
    out->number = number;
}

size_t frame_id_print(uint64_t source, uint64_t number, char text[FRAME_ID_MAX])
{
    char digits[20];
    size_t n = SOURCE_DIGITS, at = sizeof(digits);

    for (size_t i = 0; i < SOURCE_DIGITS; i++)
        text[i] = "0123456789abcdef"[source >> 4 * (SOURCE_DIGITS - 1 - i) & 15];
    text[n++] = '.';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (at < sizeof(digits))
        text[n++] = digits[at++];
    return n;
}
