/* SPDX-License-Identifier: MIT */
/* Messages on stdout. */
#include "tools/message.h"

#include "proto/envelope.h"
#include "proto/json_text.h"

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
