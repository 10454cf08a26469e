/* SPDX-License-Identifier: MIT */
/* CRC-32C: the figures of RFC 3720, appendix B.4, by either way. */
#include "proto/crc32c.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t crc;
    size_t n;
    uint8_t bytes[48];
} cases[] = {
    {"nothing", 0, 0, {0}},
    {"32 zeros", 0x8a9136aa, 32, {0}},
    {"32 ones", 0x62a8ab43, 32, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
    {"growing", 0x46dd794e, 32, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}},
    {"falling", 0x113fdb5c, 32, {31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
                                 15, 14, 13, 12, 11, 10, 9,  8,  7,  6,  5,  4,  3,  2,  1,  0}},
    {"an iSCSI read command",
     0xd9963a56,
     48,
     {0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
      0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0}},
    {"the digits", 0xe3069283, 9, "123456789"},
};

#define N_CASES (sizeof cases / sizeof *cases)

Test(crc32c, is_that_of_the_rfc)
{
    for (size_t i = 0; i < N_CASES; i++) {
        cr_expect_eq(crc32c(0, cases[i].bytes, cases[i].n), cases[i].crc, "%s", cases[i].name);
        cr_expect_eq(crc32c_portable(0, cases[i].bytes, cases[i].n), cases[i].crc, "%s",
                     cases[i].name);
    }
}

Test(crc32c, goes_on_where_it_was)
{
    for (size_t i = 0; i < N_CASES; i++) {
        for (size_t cut = 0; cut <= cases[i].n; cut++) {
            const uint8_t *rest = cases[i].bytes + cut;
            uint32_t first = crc32c(0, cases[i].bytes, cut);

            cr_expect_eq(crc32c(first, rest, cases[i].n - cut), cases[i].crc);
            cr_expect_eq(crc32c_portable(first, rest, cases[i].n - cut), cases[i].crc);
        }
    }
}

Test(crc32c, is_the_same_by_either_way_at_every_length_and_place)
{
    static uint8_t bytes[4096];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    for (size_t begin = 0; begin < 9; begin++) {
        for (size_t n = 0; begin + n <= sizeof bytes; n += n < 100 ? 1 : 37)
            cr_expect_eq(crc32c(7, bytes + begin, n), crc32c_portable(7, bytes + begin, n));
    }
}
