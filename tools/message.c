/* SPDX-License-Identifier: MIT */
/* Messages on stdout. */
#include "tools/message.h"

#include "proto/base64.h"
#include "proto/envelope.h"
#include "proto/json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

static uint64_t number_at(const json_t *json, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(json, key));
}

static int read_payload(const json_t *json, struct message *out, unsigned char **bytes)
{
    const json_t *payload = json_object_get(json, "payload");
    const char *base64 = json_string_value(json_object_get(json, "payload_base64"));
    if (json_is_string(payload)) {
        out->data = json_string_value(payload);
        out->length = json_string_length(payload);
        return 0;
    }
    if (base64 == NULL)
        return -EPROTO;
    size_t n = strlen(base64);
    *bytes = malloc(base64_decoded_max(n) + 1);
    if (*bytes == NULL)
        return -ENOMEM;
    out->data = *bytes;
    return base64_decode(base64, n, *bytes, &out->length) == 0 ? 0 : -EPROTO;
}

int message_read(const json_t *json, struct message *out, unsigned char **bytes)
{
    *bytes = NULL;
    *out = (struct message){
        .name = text_at(json, "name"),
        .generation = number_at(json, "generation"),
        .seq = number_at(json, "seq"),
        .type = text_at(json, "type"),
        .id = text_at(json, "id"),
        .n_id = strlen(text_at(json, "id")),
        .time = text_at(json, "time"),
        .from = text_at(json, "from"),
        .to = text_at(json, "to"),
        .is_redelivered = json_is_true(json_object_get(json, "redelivered")),
        .deliveries = number_at(json, "deliveries"),
    };
    int error = read_payload(json, out, bytes);
    if (error != 0) {
        free(*bytes);
        *bytes = NULL;
    }
    return error;
}

static bool is_control(uint8_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

/* Raw bytes must not steer the terminal that shows them. */
static void put_harmless(struct json_writer *w, const uint8_t *bytes, size_t n)
{
    size_t done = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_control(bytes[i]))
            continue;
        json_put_raw_bytes(w, bytes + done, i - done);
        json_put_raw_bytes(w, "?", 1);
        done = i + 1;
    }
    json_put_raw_bytes(w, bytes + done, n - done);
}

void message_write_line(struct json_writer *w, const void *data, size_t length, bool is_terminal)
{
    const uint8_t *bytes = data;
    if (json_text_is_valid(bytes, length)) {
        w->wants_comma = false;
        json_put_one_line(w, NULL, data, length);
    } else if (is_terminal) {
        put_harmless(w, bytes, length);
    } else {
        json_put_raw_bytes(w, bytes, length);
    }
    if (w->length == 0 || w->error != 0 || w->bytes[w->length - 1] != '\n' || length == 0)
        json_put_raw_bytes(w, "\n", 1);
}

void message_put(struct json_writer *w, const void *data, size_t length)
{
    if (json_text_is_valid(data, length))
        json_put_one_line(w, "message", data, length);
    else
        json_put_base64(w, "message_base64", data, length);
}

void message_write_envelope(struct json_writer *w, const struct message *m)
{
    w->wants_comma = false;
    json_begin_object(w, NULL);
    json_put_string(w, "name", m->name);
    json_put_uint(w, "generation", m->generation);
    json_put_uint(w, "seq", m->seq);
    json_put_string(w, "type", m->type);
    if (m->n_id > 0)
        json_put_string_n(w, "id", m->id, m->n_id);
    else
        json_put_null(w, "id");
    json_put_string(w, "time", m->time);
    json_put_string(w, "from", m->from);
    json_put_string(w, "to", m->to);
    json_put_bool(w, "redelivered", m->is_redelivered);
    json_put_uint(w, "deliveries", m->deliveries);
    message_put(w, m->data, m->length);
    if (m->missed != NULL)
        json_put_uint(w, "missed", *m->missed);
    json_end_object(w);
    json_put_raw_bytes(w, "\n", 1);
}
