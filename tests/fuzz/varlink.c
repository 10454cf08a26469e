/* SPDX-License-Identifier: MIT */
/* A call or reply that was parsed, written and parsed again is the same. */
#include "proto/varlink.h"
#include "tests/fuzz/fuzz.h"

static void write_parameters(struct json_writer *w, json_t *parameters)
{
    const char *key;
    json_t *value;

    json_object_foreach(parameters, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY);

        HOLDS(text != NULL);
        json_put_raw(w, key, text, strlen(text));
        free(text);
    }
    varlink_end(w);
    HOLDS(w->error == 0 && w->bytes[w->length - 1] == '\0');
}

static void round_trip_call(const uint8_t *data, size_t size, struct json_writer *w)
{
    struct varlink_call a;
    struct varlink_call b;

    if (varlink_call_parse((const char *)data, size, &a) < 0) {
        HOLDS(a.root == NULL);
        return;
    }
    json_writer_reset(w);
    varlink_begin_call(w, a.method, a.oneway, a.more);
    write_parameters(w, a.parameters);
    HOLDS(varlink_call_parse(w->bytes, w->length - 1, &b) == 0);
    HOLDS(strcmp(a.method, b.method) == 0 && a.oneway == b.oneway && a.more == b.more);
    HOLDS(json_equal(a.parameters, b.parameters));
    varlink_call_deinit(&a);
    varlink_call_deinit(&b);
}

static void round_trip_reply(const uint8_t *data, size_t size, struct json_writer *w)
{
    struct varlink_reply a;
    struct varlink_reply b;

    if (varlink_reply_parse((const char *)data, size, &a) < 0) {
        HOLDS(a.root == NULL);
        return;
    }
    json_writer_reset(w);
    if (a.error != NULL)
        varlink_begin_error(w, a.error);
    else
        varlink_begin_reply(w, a.continues);
    write_parameters(w, a.parameters);
    HOLDS(varlink_reply_parse(w->bytes, w->length - 1, &b) == 0);
    HOLDS((a.error == NULL) == (b.error == NULL));
    HOLDS(a.error == NULL ? a.continues == b.continues : strcmp(a.error, b.error) == 0);
    HOLDS(json_equal(a.parameters, b.parameters));
    varlink_reply_deinit(&a);
    varlink_reply_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_writer w;

    json_writer_init(&w);
    round_trip_call(data, size, &w);
    round_trip_reply(data, size, &w);
    json_writer_deinit(&w);
    return 0;
}
