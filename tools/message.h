/* SPDX-License-Identifier: MIT */
/* How a message looks on stdout: a line for people and pipes, or its envelope as JSON. */
#ifndef MSGD_TOOLS_MESSAGE_H
#define MSGD_TOOLS_MESSAGE_H

#include "proto/json_writer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message {
    const char *name;
    uint64_t generation;
    uint64_t seq;
    const char *type; /* "plain", "send", "request", "reply" */
    const char *id;   /* n_id bytes; n_id 0: it has none */
    size_t n_id;
    const char *time; /* RFC 3339 */
    const char *from; /* "ip:port" */
    const char *to;
    bool is_redelivered;
    uint64_t deliveries;    /* this time included */
    const uint64_t *missed; /* of a tap, else NULL */
    const void *data;       /* length bytes */
    size_t length;
};

/*
 * Reads a message as Tap and SpoolRead give it. What is missing is 0 or "". *out points into json
 * and *bytes, which is to be freed (NULL is fine). 0, -ENOMEM, -EPROTO: it has no payload.
 */
int message_read(const json_t *json, struct message *out, unsigned char **bytes)
    __attribute__((warn_unused_result));

/*
 * Appends the payload and a line end. A JSON text comes on one line: CR and LF, which can only be
 * white space there, become spaces, and outer white space goes. Anything else comes as it is, with
 * a line end if it has none; where is_terminal, control characters in it become '?'.
 */
void message_write_line(struct json_writer *w, const void *data, size_t length, bool is_terminal);

/*
 * Appends the envelope as one line of JSON: name, generation, seq, type, id, time, from, to,
 * redelivered, deliveries, message (the text itself) or message_base64 (what is not JSON), and
 * missed for a tap.
 */
void message_write_envelope(struct json_writer *w, const struct message *m);

/* Appends "message" or "message_base64" as a member of the object in hand. */
void message_put(struct json_writer *w, const void *data, size_t length);

#endif
