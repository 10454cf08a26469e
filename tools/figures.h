/* SPDX-License-Identifier: MIT */
/* Numbers, bytes and times as people read them. */
#ifndef MSGD_TOOLS_FIGURES_H
#define MSGD_TOOLS_FIGURES_H

#include <stdint.h>

/* Bytes for any of these texts, NUL included. */
#define FIGURE_MAX 40

/* "999", "12.3k", "4.0M": at most 5 characters below 10^15. Returns buf. */
const char *figure_count(uint64_t n, char buf[FIGURE_MAX]);

/* With commas: "1,204,332". Returns buf. */
const char *figure_exact(uint64_t n, char buf[FIGURE_MAX]);

/* "512 B", "1.0 MiB". Returns buf. */
const char *figure_bytes(uint64_t n, char buf[FIGURE_MAX]);

/* "45 s", "4 min 12 s", "3 h 5 min", "2 d 4 h". Returns buf. */
const char *figure_duration(int64_t seconds, char buf[FIGURE_MAX]);

/* "0", "0.5", "12", "1.2k": events a second. Returns buf. */
const char *figure_rate(double rate, char buf[FIGURE_MAX]);

/* Seconds since 1970 of an RFC 3339 time in UTC ("2026-11-23T07:04:07.123Z"), or -1. NULL is -1. */
int64_t figure_seconds(const char *rfc3339);

#endif
