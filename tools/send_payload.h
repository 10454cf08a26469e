/* SPDX-License-Identifier: MIT */
/* What msgsend sends: lines or a whole file, checked before they go. */
#ifndef MSGD_TOOLS_SEND_PAYLOAD_H
#define MSGD_TOOLS_SEND_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that fits a UDP datagram over IPv4. */
#define PAYLOAD_MAX 65507

/* Bytes for the sentence that payload_check writes. */
#define PAYLOAD_FAULT_MAX 256

/*
 * May these bytes be sent? is_raw: whatever they are, as long as they fit.
 * True, or false and fault says what is wrong and where.
 */
bool payload_check(const void *bytes, size_t n, bool is_raw, char fault[PAYLOAD_FAULT_MAX]);

/* The same for a JSON text of any length. */
bool payload_check_json(const void *bytes, size_t n, char fault[PAYLOAD_FAULT_MAX]);

/* Is there nothing but white space? Such lines of input are passed over. */
bool payload_is_blank(const uint8_t *bytes, size_t n);

/* A whole file. */
struct payload {
    uint8_t bytes[PAYLOAD_MAX + 1];
    size_t n;
    bool is_too_large; /* bytes hold its beginning */
};

/* Reads everything as one payload, or as much of it as shows that it is too large. 0 or -errno. */
int payload_read_all(int fd, struct payload *out) __attribute__((warn_unused_result));

#endif
