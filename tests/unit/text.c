/* SPDX-License-Identifier: MIT */
/* UTF-8 and times. */
#include "proto/text.h"

#include <criterion/criterion.h>
#include <string.h>

/* The definition: what encoding a scalar value gives. */
static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }

    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(0xf00 >> n | c);
    return n;
}

Test(utf8, takes_every_scalar_value_and_no_surrogate)
{
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint8_t bytes[4];
        size_t n = encode(c, bytes);
        bool is_surrogate = c >= 0xd800 && c < 0xe000;

        cr_assert_eq(utf8_sequence_length(bytes, n), is_surrogate ? 0 : n, "U+%04X", c);
        cr_assert_eq(utf8_is_valid(bytes, n), !is_surrogate, "U+%04X", c);
        cr_assert(n == 1 || utf8_sequence_length(bytes, n - 1) == 0, "U+%04X cut short", c);
    }
}

Test(utf8, takes_no_other_sequence_of_three_bytes)
{
    unsigned n_valid = 0;

    for (unsigned i = 0; i < 1u << 24; i++) {
        uint8_t bytes[3] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

        n_valid += utf8_sequence_length(bytes, 3) == 3;
    }
    cr_expect_eq(n_valid, 0x10000 - 0x800 - 0x800);
}

Test(utf8, finds_a_fault_anywhere)
{
    uint8_t text[64];

    for (size_t n = 0; n <= sizeof text; n++) {
        memset(text, 'a', sizeof text);
        cr_expect(utf8_is_valid(text, n));
        for (size_t i = 0; i < n; i++) {
            text[i] = 0xff;
            cr_expect(!utf8_is_valid(text, n), "%zu of %zu", i, n);
            text[i] = '\0';
        }
    }
}

Test(time, prints_nine_digits_of_a_second)
{
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000000Z"},
        {1795417447123456789, "2026-11-23T07:04:07.123456789Z"},
        {951827696000000001, "2000-02-29T12:34:56.000000001Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {-1000000000, "1969-12-31T23:59:59.000000000Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[TIME_TEXT_MAX];

        cr_expect_str_eq(time_print(cases[i].ns, text), cases[i].text);
    }
}
