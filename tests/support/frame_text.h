/* SPDX-License-Identifier: MIT */
/* Framed datagrams from their text. */
#ifndef MSGD_TESTS_SUPPORT_FRAME_TEXT_H
#define MSGD_TESTS_SUPPORT_FRAME_TEXT_H

#include "proto/crc32c.h"
#include "proto/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_CRC_ZEROS "\"crc\":\"00000000\""

/*
 * RS header LF body in memory of exactly its length, so that reading past it is seen; free it. The
 * checksum takes the place of eight '0's.
 */
static inline uint8_t *frame_from_text(const char *header, const char *body, size_t *n)
{
    size_t n_header = strlen(header);
    size_t n_body = strlen(body);
    uint8_t *bytes = malloc(n_header + n_body + 2);
    const char *zeros = strstr(header, FRAME_CRC_ZEROS);
    char digits[9];

    *n = n_header + n_body + 2;
    bytes[0] = FRAME_START;
    memcpy(bytes + 1, header, n_header);
    bytes[1 + n_header] = '\n';
    memcpy(bytes + 2 + n_header, body, n_body);
    if (zeros != NULL) {
        snprintf(digits, sizeof digits, "%08x", (unsigned)crc32c(0, bytes, *n));
        memcpy(bytes + 1 + (zeros - header) + 7, digits, 8);
    }
    return bytes;
}

#endif
