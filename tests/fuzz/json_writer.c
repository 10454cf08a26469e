/* SPDX-License-Identifier: MIT */
/* Whatever is written is JSON, and jansson reads back the values that went in. */
#include "proto/json_writer.h"
#include "proto/json_text.h"
#include "proto/text.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <math.h>

struct values {
    int64_t integer;
    double real;
    const uint8_t *bytes;
    size_t n_bytes;
};

static void write_all(struct json_writer *w, const struct values *v, const char *key)
{
    json_begin_object(w, NULL);
    json_put_string_n(w, "bytes", v->bytes, v->n_bytes);
    json_begin_array(w, "numbers");
    json_put_int(w, NULL, v->integer);
    json_put_uint(w, NULL, (uint64_t)v->integer >> 1);
    json_put_double(w, NULL, v->real);
    json_end_array(w);
    json_put_base64(w, "base64", v->bytes, v->n_bytes);
    json_begin_object(w, "words");
    json_put_bool(w, "flag", v->integer < 0);
    json_put_null(w, "null");
    json_put_string(w, "none", NULL);
    json_end_object(w);
    json_put_string(w, key, key);
    json_end_object(w);
}

static void compare_numbers(const json_t *numbers, const struct values *v)
{
    const json_t *real = json_array_get(numbers, 2);

    HOLDS(json_integer_value(json_array_get(numbers, 0)) == v->integer);
    HOLDS(json_integer_value(json_array_get(numbers, 1)) == (v->integer >> 1 & INT64_MAX));
    HOLDS(isfinite(v->real) ? json_number_value(real) == v->real : json_is_null(real));
}

static void compare(const json_t *root, const struct values *v)
{
    const json_t *bytes = json_object_get(root, "bytes");

    HOLDS(json_is_string(bytes));
    if (utf8_is_valid(v->bytes, v->n_bytes))
        HOLDS(json_string_length(bytes) == v->n_bytes &&
              memcmp(json_string_value(bytes), v->bytes, v->n_bytes) == 0);
    compare_numbers(json_object_get(root, "numbers"), v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct values v = {0};
    struct json_writer w;

    if (size < 16)
        return 0;
    memcpy(&v.integer, data, 8);
    memcpy(&v.real, data + 8, 8);
    v.bytes = data + 16;
    v.n_bytes = size - 16;

    char *key = fuzz_text(v.bytes, v.n_bytes);

    json_writer_init(&w);
    write_all(&w, &v, key);
    HOLDS(w.error == 0 && json_text_is_valid((const uint8_t *)w.bytes, w.length));

    json_t *root = json_loadb(w.bytes, w.length, JSON_ALLOW_NUL, NULL);

    HOLDS(root != NULL);
    if (json_object_size(root) == 5) /* else the key is one of the others */
        compare(root, &v);
    json_decref(root);
    json_writer_deinit(&w);
    free(key);
    return 0;
}
