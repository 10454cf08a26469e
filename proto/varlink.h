/* SPDX-License-Identifier: MIT */
/*
 * Varlink (https://varlink.org): frames on a byte stream, and what calls and replies look like.
 * A frame is one JSON object followed by a NUL.
 */
#ifndef MSGD_PROTO_VARLINK_H
#define MSGD_PROTO_VARLINK_H

#include "proto/json_writer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stream bytes in, frames out. An idle one holds no memory. */
struct varlink_frames {
    char *bytes;
    size_t start;   /* of the first frame that has not been given out */
    size_t scanned; /* no NUL from start up to here */
    size_t length;  /* bytes in hand, from 0 */
    size_t capacity;
    size_t limit;
};

/* limit: bytes of the longest frame, its NUL not counted; at least 1. */
void varlink_frames_init(struct varlink_frames *f, size_t limit);
void varlink_frames_deinit(struct varlink_frames *f);

/*
 * Makes room for reading more of the stream; call it when varlink_frames_next has given NULL.
 * *room has place for *n_room bytes: `want` where the limit allows it, at least 1.
 * 0, -EMSGSIZE (the frame in hand is longer than the limit), -ENOMEM.
 */
int varlink_frames_reserve(struct varlink_frames *f, size_t want, uint8_t **room, size_t *n_room)
    __attribute__((warn_unused_result));

/*
 * Says that n bytes (at most *n_room) were read into the room; 0 where the read gave nothing, so
 * that an idle connection's memory goes back.
 */
void varlink_frames_commit(struct varlink_frames *f, size_t n);

/*
 * The next whole frame; *length does not count its NUL. The caller may write in it, and it is valid
 * until the next call with these frames. NULL: no whole frame is in hand.
 */
char *varlink_frames_next(struct varlink_frames *f, size_t *length);

/* Has a frame begun whose end is still to come? */
bool varlink_frames_has_partial(const struct varlink_frames *f);

struct varlink_call {
    json_t *root;
    const char *method; /* in root */
    json_t *parameters; /* in root or made up; always an object */
    bool oneway;
    bool more;
    bool upgrade;
};

/*
 * Parses one frame's text as a call. Unknown members beside `parameters` are ignored.
 * 0 and *out to be ended by varlink_call_deinit; -EINVAL (not a call), -ENOMEM, and *out is zero.
 */
int varlink_call_parse(const char *text, size_t n, struct varlink_call *out)
    __attribute__((warn_unused_result));
void varlink_call_deinit(struct varlink_call *call);

struct varlink_reply {
    json_t *root;
    json_t *parameters; /* in root or made up; always an object */
    const char *error;  /* in root; NULL: none */
    bool continues;
};

/* Parses one frame's text as a reply. As varlink_call_parse. */
int varlink_reply_parse(const char *text, size_t n, struct varlink_reply *out)
    __attribute__((warn_unused_result));
void varlink_reply_deinit(struct varlink_reply *reply);

/*
 * Writers: each opens a frame up to {"parameters":{, so that the members of `parameters` are
 * written next, and varlink_end closes both objects and appends the NUL. Many frames may follow
 * each other in one writer.
 */
void varlink_begin_call(struct json_writer *w, const char *method, bool oneway, bool more);
void varlink_begin_reply(struct json_writer *w, bool continues);
void varlink_begin_error(struct json_writer *w, const char *name);
void varlink_end(struct json_writer *w);

#endif
