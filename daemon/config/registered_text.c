/* SPDX-License-Identifier: MIT */
/* Registrations of version 1 of the database. */
#include "daemon/config/registered_text.h"

#include "daemon/config/settings_json.h"

#include <errno.h>
#include <jansson.h>

static int parse_address(const json_t *object, struct address *out)
{
    const char *text = json_string_value(json_object_get(object, "address"));
    json_int_t port = json_integer_value(json_object_get(object, "port"));

    if (!text || port < 0 || port > UINT16_MAX || address_parse_ip(text, out) < 0)
        return -EBADMSG;
    out->port = (uint16_t)port;
    return 0;
}

static int parse(const json_t *object, struct registered *out)
{
    struct settings_error error;
    int r = parse_address(object, &out->address);

    out->uid = (uid_t)json_integer_value(json_object_get(object, "uid"));
    out->generation = (uint64_t)json_integer_value(json_object_get(object, "generation"));
    out->since_wall_ns = json_integer_value(json_object_get(object, "since"));
    out->is_static = json_is_true(json_object_get(object, "static"));
    if (r == 0)
        r = settings_from_json(json_object_get(object, "settings"), FROM_REGISTER, UINT64_MAX,
                               &out->settings, NULL, &error);
    return r > 0 ? -EBADMSG : r;
}

int registered_load_any(struct registered *r, const void *bytes, size_t n)
{
    struct registered loaded = {.uid = 0};
    const char *text = bytes;

    if (n == 0 || text[0] != '{')
        return registered_load(r, bytes, n);

    json_t *object = json_loadb(text, n, 0, NULL);
    int result = object ? parse(object, &loaded) : -EBADMSG;

    json_decref(object);
    if (result == 0)
        *r = loaded;
    return result;
}
