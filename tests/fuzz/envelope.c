/* SPDX-License-Identifier: MIT */
/* An envelope is JSON whatever the record holds, and its text is the payload; as `message` on one
 * line. */
#include "proto/envelope.h"
#include "proto/base64.h"
#include "proto/json_text.h"
#include "proto/text.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

static void same_payload(json_t *root, const uint8_t *payload, size_t n)
{
    json_t *text = json_object_get(root, "payload");
    json_t *encoded = json_object_get(root, "payload_base64");

    if (utf8_is_valid(payload, n)) {
        HOLDS(encoded == NULL && json_string_length(text) == n);
        HOLDS(memcmp(json_string_value(text), payload, n) == 0);
        return;
    }

    uint8_t *decoded = malloc(base64_decoded_max(json_string_length(encoded)) + 1);
    size_t length;

    HOLDS(text == NULL && decoded != NULL);
    HOLDS(base64_decode(json_string_value(encoded), json_string_length(encoded), decoded,
                        &length) == 0);
    HOLDS(length == n && memcmp(decoded, payload, n) == 0);
    free(decoded);
}

static void write_one(struct json_writer *w, const struct envelope *e, const char *payload_key)
{
    json_writer_reset(w);
    json_begin_object(w, NULL);
    envelope_write(w, e, payload_key);
    json_end_object(w);
    HOLDS(w->error == 0 && memchr(w->bytes, '\n', w->length) == NULL);
    HOLDS(memchr(w->bytes, '\r', w->length) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < sizeof(struct record) || size > sizeof(struct record) + RING_MAX_PAYLOAD)
        return 0;

    /* The trailer is what the record's last bytes say; ids are printable ASCII. */
    uint32_t n_trailer = data[2] % (RECORD_TRAILER_MAX + 1);

    struct record *r = aligned_alloc(_Alignof(struct record), (size + 63) / 64 * 64);
    size_t n = size - sizeof *r;

    if (n_trailer > n)
        n_trailer = (uint32_t)n;
    n -= n_trailer;
    struct json_writer w;

    HOLDS(r != NULL);
    memcpy((void *)r, data, size);
    r->word = record_word(RECORD_MESSAGE + data[0] % 2, (uint32_t)n, n_trailer);

    for (uint32_t i = RECORD_TRAILER_HEAD; i < n_trailer; i++) {
        char *c = (char *)record_payload(r) + n + i;
        *c = (char)('!' + (uint8_t)*c % ('~' - '!'));
    }

    struct envelope e = {.name = "alarms", .generation = data[1], .record = r};

    json_writer_init(&w);
    write_one(&w, &e, "message");
    if (!json_text_is_valid(record_payload(r), n))
        HOLDS(json_text_is_valid((uint8_t *)w.bytes, w.length));
    write_one(&w, &e, "payload");
    HOLDS(json_text_is_valid((uint8_t *)w.bytes, w.length));

    json_t *root = json_loadb(w.bytes, w.length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

    if (root != NULL) /* a seq above 2^63 is too large for jansson */
        same_payload(root, record_payload(r), n);
    else
        HOLDS(r->seq > INT64_MAX);
    json_decref(root);
    json_writer_deinit(&w);
    free((void *)r);
    return 0;
}
