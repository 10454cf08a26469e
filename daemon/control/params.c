/* SPDX-License-Identifier: MIT */
/* The parameters of a call, checked. */
#include "daemon/control/params.h"

#include "proto/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* UDP's largest payload over IPv4. */
#define PAYLOAD_MAX 65507u

static bool is_array_of_strings(const json_t *value)
{
    size_t i;
    json_t *element;

    if (!json_is_array(value))
        return false;
    json_array_foreach(value, i, element) if (!json_is_string(element) ||
                                              strlen(json_string_value(element)) !=
                                                  json_string_length(element)) return false;
    return true;
}

static bool has_no_nul(const json_t *value)
{
    return strlen(json_string_value(value)) == json_string_length(value);
}

/* False: not of that type. */
static bool store(const struct param *param, json_t *value)
{
    switch (param->type) {
    case PARAM_STRING:
        if (!json_is_string(value) || !has_no_nul(value))
            return false;
        *(const char **)param->out = json_string_value(value);
        return true;
    case PARAM_TEXT:
        *(json_t **)param->out = value;
        return json_is_string(value);
    case PARAM_STRINGS:
        *(json_t **)param->out = value;
        return is_array_of_strings(value);
    case PARAM_INT:
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return false;
        *(int64_t *)param->out = json_integer_value(value);
        return true;
    case PARAM_BOOL:
        *(bool *)param->out = json_is_true(value);
        return json_is_boolean(value);
    }
    return false;
}

static const struct param *find(const char *key, const struct param *params, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(params[i].key, key) == 0)
            return &params[i];
    return NULL;
}

static const char *find_missing(const json_t *object, const struct param *params, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(object, params[i].key);

        if (params[i].is_required && (!value || json_is_null(value)))
            return params[i].key;
    }
    return NULL;
}

bool params_parse(struct call *call, const struct param *params, size_t n)
{
    const char *key, *bad = NULL;
    json_t *value;

    json_object_foreach(call->in.parameters, key, value)
    {
        const struct param *param = find(key, params, n);

        if (!bad && (!param || (!json_is_null(value) && !store(param, value))))
            bad = key;
    }
    if (!bad)
        bad = find_missing(call->in.parameters, params, n);
    if (bad)
        call_invalid_parameter(call, bad);
    return !bad;
}

static void answer_too_large(struct call *call, size_t n_bytes)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.TooLarge");

    json_put_uint(w, "limit", PAYLOAD_MAX);
    json_put_uint(w, "bytes", n_bytes);
    call_finish(call);
}

/* 0; -EINVAL; -ENOMEM. */
static int decode(json_t *text, json_t *base64, uint8_t **bytes, size_t *n_bytes)
{
    const char *value = json_string_value(text ? text : base64);
    size_t n = json_string_length(text ? text : base64);

    *bytes = malloc(n + 1);
    if (!*bytes)
        return -ENOMEM;
    if (base64)
        return base64_decode(value, n, *bytes, n_bytes);
    memcpy(*bytes, value, n);
    *n_bytes = n;
    return 0;
}

bool params_payload(struct call *call, json_t *text, json_t *base64, uint8_t **bytes,
                    size_t *n_bytes)
{
    int r = -EINVAL;

    *bytes = NULL;
    if (!text == !base64) {
        call_invalid_parameter(call, text ? "payload_base64" : "payload");
        return false;
    }
    r = decode(text, base64, bytes, n_bytes);
    if (r == 0 && *n_bytes <= PAYLOAD_MAX)
        return true;
    free(*bytes);
    *bytes = NULL;
    if (r == -EINVAL)
        call_invalid_parameter(call, "payload_base64");
    else if (r < 0)
        call_try_again(call, "no memory");
    else
        answer_too_large(call, *n_bytes);
    return false;
}
