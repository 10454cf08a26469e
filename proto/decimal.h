/* SPDX-License-Identifier: MIT */
/* Decimal numbers in text, strictly. */
#ifndef MSGD_PROTO_DECIMAL_H
#define MSGD_PROTO_DECIMAL_H

#include <stdint.h>

/*
 * Parses the whole text as a decimal number without sign, spaces or leading zeros.
 * 0, -EINVAL (not such a number), -ERANGE (above max).
 */
int decimal_parse(const char *text, uint32_t max, uint32_t *out)
    __attribute__((warn_unused_result));

/* Writes the number and a NUL, at most 11 bytes. Returns where the NUL is. */
char *decimal_print(char *buf, uint32_t value);

#endif
