/* SPDX-License-Identifier: MIT */
/* Decimal numbers in text, strictly. */
#include "proto/decimal.h"

#include <errno.h>
#include <string.h>

int decimal_parse(const char *text, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;

    if (*text == '\0' || strspn(text, "0123456789") != strlen(text))
        return -EINVAL;
    if (text[0] == '0' && text[1] != '\0')
        return -EINVAL;
    for (; *text != '\0'; text++) {
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > max)
            return -ERANGE;
    }
    *out = (uint32_t)value;
    return 0;
}

char *decimal_print(char *buf, uint32_t value)
{
    char digits[10];
    int n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0)
        *buf++ = digits[--n];
    *buf = '\0';
    return buf;
}
