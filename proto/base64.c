/* SPDX-License-Identifier: MIT */
/* Base64 as in RFC 4648, section 4. */
#include "proto/base64.h"

#include <errno.h>
#include <stdbool.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_length(size_t n)
{
    size_t groups = n / 3 + (n % 3 != 0);

    return groups > SIZE_MAX / 4 ? SIZE_MAX : groups * 4;
}

void base64_encode(const uint8_t *bytes, size_t n, char *out)
{
    for (; n > 0; out += 4) {
        size_t taken = n < 3 ? n : 3;
        uint32_t group = (uint32_t)bytes[0] << 16;

        if (taken > 1)
            group |= (uint32_t)bytes[1] << 8;
        if (taken > 2)
            group |= bytes[2];
        out[0] = ALPHABET[group >> 18];
        out[1] = ALPHABET[group >> 12 & 63];
        out[2] = taken > 1 ? ALPHABET[group >> 6 & 63] : '=';
        out[3] = taken > 2 ? ALPHABET[group & 63] : '=';
        bytes += taken;
        n -= taken;
    }
}

/* 0 to 63, or -1. */
static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes n_digits (2 to 4) of one group; false for a wrong digit or unused bits that are set. */
static bool decode_group(const char *text, size_t n_digits, uint8_t *out)
{
    uint32_t group = 0;

    for (size_t i = 0; i < n_digits; i++) {
        int value = digit_value(text[i]);

        if (value < 0)
            return false;
        group |= (uint32_t)value << (18 - 6 * i);
    }
    for (size_t i = 0; i + 1 < n_digits; i++)
        out[i] = (uint8_t)(group >> (16 - 8 * i));
    return n_digits == 4 || (group & (0xffffffu >> 8 * (n_digits - 1))) == 0;
}

int base64_decode(const char *text, size_t n, uint8_t *out, size_t *n_out)
{
    size_t written = 0;

    if (n % 4 != 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i += 4) {
        size_t n_digits = 4;

        if (i + 4 == n && text[i + 3] == '=')
            n_digits = text[i + 2] == '=' ? 2 : 3;
        if (!decode_group(text + i, n_digits, out + written))
            return -EINVAL;
        written += n_digits - 1;
    }
    *n_out = written;
    return 0;
}
