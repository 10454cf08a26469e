/* SPDX-License-Identifier: MIT */
/* What Varlink calls and replies look like. Frames are in varlink_frames.c. */
#include "proto/varlink.h"
#include "proto/json_input.h"

#include <errno.h>
#include <string.h>

/* 0 and *out, an object; -EINVAL or -ENOMEM. */
static int load_object(const char *text, size_t n, json_t **out)
{
    json_error_t error;
    json_t *root;
    int r = json_input_parse(text, n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &root, &error);

    if (r < 0)
        return r;
    if (!json_is_object(root)) {
        json_decref(root);
        return -EINVAL;
    }
    *out = root;
    return 0;
}

/* A boolean member; absent and null are false. 0 or -EINVAL. */
static int get_flag(const json_t *root, const char *key, bool *out)
{
    const json_t *value = json_object_get(root, key);

    *out = json_is_true(value);
    return value == NULL || json_is_boolean(value) || json_is_null(value) ? 0 : -EINVAL;
}

/*
 * A string member, kept by root; absent and null are NULL. A NUL inside would cut it short for
 * whoever compares it, so it is none. 0 or -EINVAL.
 */
static int get_text(const json_t *root, const char *key, const char **out)
{
    const json_t *value = json_object_get(root, key);

    *out = json_string_value(value);
    if (value == NULL || json_is_null(value))
        return 0;
    return *out != NULL && strlen(*out) == json_string_length(value) ? 0 : -EINVAL;
}

/* The member `parameters`, made up as {} where it is absent or null. 0, -EINVAL or -ENOMEM. */
static int get_parameters(json_t *root, json_t **out)
{
    json_t *value = json_object_get(root, "parameters");

    if (value == NULL || json_is_null(value)) {
        value = json_object();
        if (json_object_set_new(root, "parameters", value) < 0)
            return -ENOMEM;
    }
    *out = value;
    return json_is_object(value) ? 0 : -EINVAL;
}

static int read_call(struct varlink_call *call)
{
    int r = get_parameters(call->root, &call->parameters);

    if (r < 0)
        return r;
    if (get_text(call->root, "method", &call->method) < 0 || call->method == NULL ||
        get_flag(call->root, "oneway", &call->oneway) < 0 ||
        get_flag(call->root, "more", &call->more) < 0 ||
        get_flag(call->root, "upgrade", &call->upgrade) < 0)
        return -EINVAL;
    return 0;
}

int varlink_call_parse(const char *text, size_t n, struct varlink_call *out)
{
    struct varlink_call call = {0};
    int r = load_object(text, n, &call.root);

    if (r == 0)
        r = read_call(&call);
    if (r < 0)
        varlink_call_deinit(&call);
    *out = call;
    return r;
}

void varlink_call_deinit(struct varlink_call *call)
{
    json_decref(call->root);
    *call = (struct varlink_call){0};
}

static int read_reply(struct varlink_reply *reply)
{
    int r = get_parameters(reply->root, &reply->parameters);

    if (r < 0)
        return r;
    if (get_text(reply->root, "error", &reply->error) < 0 ||
        get_flag(reply->root, "continues", &reply->continues) < 0)
        return -EINVAL;
    return 0;
}

int varlink_reply_parse(const char *text, size_t n, struct varlink_reply *out)
{
    struct varlink_reply reply = {0};
    int r = load_object(text, n, &reply.root);

    if (r == 0)
        r = read_reply(&reply);
    if (r < 0)
        varlink_reply_deinit(&reply);
    *out = reply;
    return r;
}

void varlink_reply_deinit(struct varlink_reply *reply)
{
    json_decref(reply->root);
    *reply = (struct varlink_reply){0};
}

void varlink_begin_call(struct json_writer *w, const char *method, bool oneway, bool more)
{
    json_begin_object(w, NULL);
    json_put_string(w, "method", method);
    if (oneway)
        json_put_bool(w, "oneway", true);
    if (more)
        json_put_bool(w, "more", true);
    json_begin_object(w, "parameters");
}

void varlink_begin_reply(struct json_writer *w, bool continues)
{
    json_begin_object(w, NULL);
    if (continues)
        json_put_bool(w, "continues", true);
    json_begin_object(w, "parameters");
}

void varlink_begin_error(struct json_writer *w, const char *name)
{
    json_begin_object(w, NULL);
    json_put_string(w, "error", name);
    json_begin_object(w, "parameters");
}

void varlink_end(struct json_writer *w)
{
    json_end_object(w);
    json_end_object(w);
    json_put_raw_bytes(w, "", 1);
    w->wants_comma = false;
}
