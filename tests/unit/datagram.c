/* SPDX-License-Identifier: MIT */
/* What a datagram may be, by its first byte. */
#include "proto/datagram.h"

#include <criterion/criterion.h>
#include <string.h>

Test(datagram, is_told_by_its_first_byte)
{
    static const char plain[] = "{[\"-0123456789tfn \t\n\r";

    for (int c = 0; c < 256; c++) {
        uint8_t bytes[2] = {(uint8_t)c, 'x'};
        enum datagram_kind wanted = DATAGRAM_UNKNOWN;

        if (c != 0 && strchr(plain, c) != NULL)
            wanted = DATAGRAM_PLAIN;
        else if (c == 0x1e)
            wanted = DATAGRAM_FRAMED;
        else if (c == 'e')
            wanted = DATAGRAM_COMPACT;
        cr_expect_eq(datagram_classify(bytes, 1), wanted, "%02x", (unsigned)c);
        cr_expect_eq(datagram_classify(bytes, 2), wanted, "%02x", (unsigned)c);
    }
}

Test(datagram, without_a_byte_is_unknown)
{
    cr_expect_eq(datagram_classify((const uint8_t *)"{", 0), DATAGRAM_UNKNOWN);
    cr_expect_eq(datagram_classify(NULL, 0), DATAGRAM_UNKNOWN);
}
