/* SPDX-License-Identifier: MIT */
/* What a datagram may be, told by its first byte. */
#include "proto/datagram.h"

enum datagram_kind datagram_classify(const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return DATAGRAM_UNKNOWN;
    switch (bytes[0]) {
    case '{':
    case '[':
    case '"':
    case '-':
    case '0' ... '9':
    case 't':
    case 'f':
    case 'n':
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        return DATAGRAM_PLAIN;
    case 0x1e:
        return DATAGRAM_FRAMED;
    case 'e':
        return DATAGRAM_COMPACT;
    default:
        return DATAGRAM_UNKNOWN;
    }
}
