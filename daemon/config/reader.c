/* SPDX-License-Identifier: MIT */
/* Reading values of the configuration, each refusal with its place. */
#include "daemon/config/reader.h"
#include "daemon/config/names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int refuse_at(struct reader *r, const struct place *place, enum refused refused,
                     const char *expected)
{
    return document_refuse(r->document, place, refused, r->error, "%s", expected);
}

int reader_refuse(struct reader *r, const struct place *place, const char *format, ...)
{
    char expected[sizeof(r->error->expected)];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(expected, sizeof(expected), format, arguments);
    va_end(arguments);
    return refuse_at(r, place, REFUSED_VALUE, expected);
}

static int refuse_key(struct reader *r, const struct place *place, const struct key *keys)
{
    char expected[sizeof(r->error->expected)] = "one of ";
    size_t n = strlen(expected);

    for (size_t i = 0; keys[i].name && n < sizeof(expected); i++)
        n += (size_t)snprintf(expected + n, sizeof(expected) - n, "%s\"%s\"", i ? ", " : "",
                              keys[i].name);
    return refuse_at(r, place, REFUSED_KEY, expected);
}

static bool has_key(const struct key *keys, const char *name)
{
    while (keys->name && strcmp(keys->name, name) != 0)
        keys++;
    return keys->name != NULL;
}

int reader_object(struct reader *r, json_t *value, const struct place *place,
                  const struct key *keys)
{
    const char *name;
    json_t *member;

    if (!json_is_object(value))
        return reader_refuse(r, place, "an object");
    json_object_foreach(value, name, member)
    {
        const struct place at = {.in = place, .key = name};

        if (!has_key(keys, name))
            return refuse_key(r, &at, keys);
    }
    for (; keys->name; keys++) {
        const struct place at = {.in = place, .key = keys->name};
        int outcome = 0;

        member = json_object_get(value, keys->name);
        if (member)
            outcome = keys->read(r, member, &at);
        if (outcome != 0)
            return outcome;
    }
    return 0;
}

int reader_integer(struct reader *r, json_t *value, const struct place *place, int64_t least,
                   int64_t most, int64_t *out)
{
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value) || n < least || n > most)
        return reader_refuse(r, place, "an integer from %" PRId64 " to %" PRId64, least, most);
    *out = n;
    return 0;
}

int reader_path(struct reader *r, json_t *value, const struct place *place, size_t most, char **out)
{
    const char *text = json_string_value(value);
    char *copy;

    if (!text || text[0] != '/' || strlen(text) > most)
        return reader_refuse(r, place, "an absolute path of at most %zu bytes", most);
    copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*out);
    *out = copy;
    return 0;
}

int reader_ports(struct reader *r, json_t *value, const struct place *place, struct port_span *out)
{
    int64_t ends[2] = {0, 0};

    if (!json_is_array(value) || json_array_size(value) != 2)
        return reader_refuse(r, place, "an array of two ports, the first and the last");
    for (size_t i = 0; i < 2; i++) {
        const struct place at = {.in = place, .index = i};
        int outcome = reader_integer(r, json_array_get(value, i), &at, 1, UINT16_MAX, &ends[i]);

        if (outcome != 0)
            return outcome;
    }
    if (ends[0] > ends[1])
        return reader_refuse(r, place, "a first port that is not above the last");
    *out = (struct port_span){.first = (uint16_t)ends[0], .last = (uint16_t)ends[1]};
    return 0;
}

int reader_texts(struct reader *r, json_t *value, const struct place *place,
                 int (*each)(struct reader *r, const char *text, const struct place *place))
{
    if (!json_is_array(value))
        return reader_refuse(r, place, "an array of texts");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const struct place at = {.in = place, .index = i};
        const char *text = json_string_value(json_array_get(value, i));
        int outcome;

        if (!text || !*text)
            return reader_refuse(r, &at, "a text in quotation marks, not empty");
        outcome = each(r, text, &at);
        if (outcome != 0)
            return outcome;
    }
    return 0;
}

static int refuse_name(struct reader *r, const struct place *place, const char *what,
                       const char *text, int error)
{
    if (error == -ENOMEM)
        return error;
    if (error == -ENOENT)
        return reader_refuse(r, place, "a %s of this host; there is no \"%.64s\"", what, text);
    return reader_refuse(r, place, "a %s that can be looked up; \"%.64s\": %s", what, text,
                         strerrordesc_np(-error));
}

static int append_id(uint32_t **ids, size_t *n_ids, uint32_t id)
{
    uint32_t *bigger = reallocarray(*ids, *n_ids + 1, sizeof(id));

    if (!bigger)
        return -ENOMEM;
    *ids = bigger;
    bigger[(*n_ids)++] = id;
    return 0;
}

int reader_add_user(struct reader *r, const char *text, const struct place *place,
                    struct principals *out)
{
    uid_t uid;
    int error = names_find_user(text, &uid);

    if (error < 0)
        return refuse_name(r, place, "user", text, error);
    return append_id(&out->uids, &out->n_uids, uid);
}

int reader_add_group(struct reader *r, const char *text, const struct place *place,
                     struct principals *out)
{
    gid_t gid;
    int error = names_find_group(text, &gid);

    if (error < 0)
        return refuse_name(r, place, "group", text, error);
    return append_id(&out->gids, &out->n_gids, gid);
}
