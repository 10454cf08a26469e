/* SPDX-License-Identifier: MIT */
/* Base64 as in RFC 4648, section 4, strictly: padded, no line ends, no other alphabet. */
#ifndef MSGD_PROTO_BASE64_H
#define MSGD_PROTO_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Characters that n bytes become, without a NUL. SIZE_MAX if that does not fit a size_t. */
size_t base64_encoded_length(size_t n);

/* Writes base64_encoded_length(n) characters to out, and no NUL. */
void base64_encode(const uint8_t *bytes, size_t n, char *out);

/* Bytes that n characters become at most. */
static inline size_t base64_decoded_max(size_t n)
{
    return n / 4 * 3;
}

/*
 * Decodes n characters to out, which has room for base64_decoded_max(n) bytes; *n_out says how many
 * were written. 0, or -EINVAL for a length that is no multiple of 4, a character outside the
 * alphabet, padding that is not at the end, or unused bits that are not zero.
 */
int base64_decode(const char *text, size_t n, uint8_t *out, size_t *n_out)
    __attribute__((warn_unused_result));

#endif
