/* SPDX-License-Identifier: MIT */
/* Base64, strictly. */
#include "proto/base64.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(base64, encodes_and_decodes_the_vectors_of_rfc_4648)
{
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const char *plain = vectors[i][0];
        const char *encoded = vectors[i][1];
        size_t length = base64_encoded_length(strlen(plain));
        char text[16] = {0};
        uint8_t bytes[16];
        size_t n;

        cr_expect_eq(length, strlen(encoded));
        base64_encode((const uint8_t *)plain, strlen(plain), text);
        cr_expect_str_eq(text, encoded);
        cr_expect_eq(base64_decode(encoded, length, bytes, &n), 0);
        cr_expect(n == strlen(plain) && memcmp(bytes, plain, n) == 0);
    }
}

Test(base64, refuses_everything_else)
{
    static const char *const cases[] = {
        "Z",    "Zg",   "Zg=",    "Zg==Zg==", "Zm8=Zm8=", "Zh==", "Zm9=", "Z===", "====",
        "=Zg=", "Zg=A", "Zm9v\n", "Zm 9",     "Zm9v Zm9", "Zm9-", "Zm9_", "Zm9.", "Zm\xc3\xa9",
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[16];
        size_t n;

        cr_expect_eq(base64_decode(cases[i], strlen(cases[i]), bytes, &n), -EINVAL, "%s", cases[i]);
    }
}

Test(base64, keeps_every_byte)
{
    uint8_t bytes[256];
    uint8_t back[256];
    char text[344];
    size_t n;

    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    for (size_t length = 0; length <= 256; length++) {
        base64_encode(bytes, length, text);
        cr_expect_eq(base64_decode(text, base64_encoded_length(length), back, &n), 0);
        cr_expect(n == length && memcmp(bytes, back, n) == 0);
    }
    cr_expect_eq(base64_encoded_length(SIZE_MAX), SIZE_MAX);
}
