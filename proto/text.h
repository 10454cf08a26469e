/* SPDX-License-Identifier: MIT */
/* UTF-8 and times as text. */
#ifndef MSGD_PROTO_TEXT_H
#define MSGD_PROTO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Well-formed UTF-8 by RFC 3629; U+0000 is allowed, and so is an empty text. */
bool utf8_is_valid(const uint8_t *bytes, size_t n);

/*
 * Length of the well-formed UTF-8 sequence that starts at bytes[0], 1 to 4, or 0 if there is none
 * within n bytes.
 */
size_t utf8_sequence_length(const uint8_t *bytes, size_t n);

/* Bytes for time_print, NUL included. */
#define TIME_TEXT_MAX 32

/*
 * Writes a time in nanoseconds since 1970 as RFC 3339 in UTC with nine digits of a second,
 * "2026-11-23T07:04:07.123456789Z". Any int64_t is in the years 1677 to 2262. Returns buf.
 */
const char *time_print(int64_t time_ns, char buf[TIME_TEXT_MAX]);

#endif
