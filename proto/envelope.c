/* SPDX-License-Identifier: MIT */
/* A message with its envelope. */
#include "proto/envelope.h"
#include "proto/json_text.h"
#include "proto/text.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

void json_put_one_line(struct json_writer *w, const char *key, const void *text, size_t n)
{
    const char *bytes = text;

    while (n > 0 && is_space(bytes[n - 1]))
        n--;
    while (n > 0 && is_space(*bytes)) {
        bytes++;
        n--;
    }

    json_put_raw(w, key, bytes, n);
    if (w->error != 0)
        return;
    for (char *p = w->bytes + w->length - n; p < w->bytes + w->length; p++) {
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    }
}

static void write_address(struct json_writer *w, const char *key, const struct address *a)
{
    char text[ADDRESS_TEXT_MAX];

    json_put_string(w, key, address_print(a, text));
}

static void write_message(struct json_writer *w, const uint8_t *bytes, size_t n)
{
    if (json_text_is_valid(bytes, n))
        json_put_one_line(w, "message", bytes, n);
    else
        json_put_base64(w, "message_base64", bytes, n);
}

static void write_payload(struct json_writer *w, const uint8_t *bytes, size_t n)
{
    if (utf8_is_valid(bytes, n))
        json_put_string_n(w, "payload", bytes, n);
    else
        json_put_base64(w, "payload_base64", bytes, n);
}

void envelope_write(struct json_writer *w, const struct envelope *e, const char *payload_key)
{
    const struct record *r = e->record;
    const uint8_t *payload = (const uint8_t *)(r + 1);
    uint32_t word = atomic_load_explicit(&r->word, memory_order_relaxed);
    struct address from;
    struct address to;
    struct message_tag tag;
    char time[TIME_TEXT_MAX];

    record_tag(r, &tag);
    record_from(r, &from);
    record_to(r, &to);
    json_put_string(w, "name", e->name);
    json_put_uint(w, "generation", e->generation);
    json_put_uint(w, "seq", r->seq);
    json_put_string(w, "type", message_type_name(tag.type));
    if (tag.n_id > 0)
        json_put_string_n(w, "id", tag.id, tag.n_id);
    else
        json_put_null(w, "id");
    json_put_string(w, "time", time_print(r->time_ns, time));
    write_address(w, "from", &from);
    write_address(w, "to", &to);
    json_put_bool(w, "redelivered", record_kind_of(word) == RECORD_REDELIVERED);
    json_put_uint(w, "deliveries", record_returns_of(word) + 1);
    if (strcmp(payload_key, "message") == 0)
        write_message(w, payload, record_length_of(word));
    else
        write_payload(w, payload, record_length_of(word));
}
