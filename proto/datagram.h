/* SPDX-License-Identifier: MIT */
/* What a datagram may be, told by its first byte. docs/protocol.md, section "Datagrams". */
#ifndef MSGD_PROTO_DATAGRAM_H
#define MSGD_PROTO_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>

enum datagram_kind {
    DATAGRAM_PLAIN,   /* begins as a JSON text or the white space before one */
    DATAGRAM_FRAMED,  /* 0x1E (RS): a header follows */
    DATAGRAM_COMPACT, /* 'e': a JOSE compact serialization, signed or sealed */
    DATAGRAM_UNKNOWN, /* anything else, and the empty datagram */
};

/* Looks at the first byte only: a plain datagram may still be no JSON. */
enum datagram_kind datagram_classify(const uint8_t *bytes, size_t n);

#endif
