/* SPDX-License-Identifier: MIT */
/* Encoding and decoding undo each other, and no two texts decode to the same bytes. */
#include "proto/base64.h"
#include "tests/fuzz/fuzz.h"

static void decode_then_encode(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(base64_decoded_max(size) + 1);
    char *text = malloc(size + 1);
    size_t n;

    HOLDS(bytes != NULL && text != NULL);
    if (base64_decode((const char *)data, size, bytes, &n) == 0) {
        HOLDS(n <= base64_decoded_max(size) && base64_encoded_length(n) == size);
        base64_encode(bytes, n, text);
        HOLDS(memcmp(text, data, size) == 0);
    }
    free(text);
    free(bytes);
}

static void encode_then_decode(const uint8_t *data, size_t size)
{
    size_t length = base64_encoded_length(size);
    char *text = malloc(length + 1);
    uint8_t *bytes = malloc(base64_decoded_max(length) + 1);
    size_t n;

    HOLDS(bytes != NULL && text != NULL);
    base64_encode(data, size, text);
    HOLDS(base64_decode(text, length, bytes, &n) == 0);
    HOLDS(n == size && memcmp(bytes, data, size) == 0);
    free(bytes);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_then_encode(data, size);
    encode_then_decode(data, size);
    return 0;
}
