/* SPDX-License-Identifier: MIT */
/* A message with its envelope, as Receive, Tap and the tools show it. docs/protocol.md, "Envelope".
 */
#ifndef MSGD_PROTO_ENVELOPE_H
#define MSGD_PROTO_ENVELOPE_H

#include "proto/json_writer.h"
#include "proto/ring.h"

#include <stdint.h>

struct envelope {
    const char *name;
    uint64_t generation;
    const struct record *record; /* followed by its payload and trailer */
};

/*
 * Writes the members of an envelope, without braces: name, generation, seq, type, id (null where it
 * has none), time, from, to, redelivered, deliveries, and the text under payload_key:
 *
 * "payload": a JSON string that holds the text byte for byte; payload_base64 if it is not UTF-8.
 * "message": the text itself, if it is JSON, on one line: CR and LF, which can only be white space
 *            there, become spaces, and outer white space goes; otherwise message_base64.
 */
void envelope_write(struct json_writer *w, const struct envelope *e, const char *payload_key);

/*
 * Writes a JSON text on one line, as "message" does, as the value of key. For anything that
 * json_text_is_valid accepts.
 */
void json_put_one_line(struct json_writer *w, const char *key, const void *text, size_t n);

#endif
