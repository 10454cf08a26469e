/* SPDX-License-Identifier: MIT */
/* The busiest sources of an endpoint in a table that does not grow (space-saving, Metwally et al.
 * 2005). */
#ifndef MSGD_DAEMON_CORE_SOURCES_H
#define MSGD_DAEMON_CORE_SOURCES_H

#include <stdint.h>

#define SOURCES_MAX 16

/* Zeroed: free. */
struct source {
    uint8_t ip[16]; /* canonical, as in struct address */
    uint64_t count; /* too high by at most `error` */
    uint64_t error;
};

/* Zeroed: empty. */
struct sources {
    uint32_t n;
    uint32_t last; /* where the last one was found */
    struct source rows[SOURCES_MAX];
};

/* n messages more from there. */
void sources_count(struct sources *s, const uint8_t ip[16], uint64_t n);
/* Puts the busiest first. */
void sources_sort(struct sources *s);

#endif
