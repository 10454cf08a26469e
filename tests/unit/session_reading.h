/* SPDX-License-Identifier: MIT */
/* Reading what a session has. */
#ifndef MSGD_TESTS_SESSION_READING_H
#define MSGD_TESTS_SESSION_READING_H

#include "proto/session.h"

#include <string.h>

/* Behind the total bytes that are in out. Returns the new total. */
static inline size_t read_some(struct session *s, uint8_t *out, size_t total)
{
    const uint8_t *piece;
    size_t n;

    while ((piece = session_peek(s, &n)) != NULL) {
        memcpy(out + total, piece, n);
        total += n;
        session_consume(s, n);
    }
    return total;
}

#endif
