/* SPDX-License-Identifier: MIT */
/* What waits to be written to a control connection: text, descriptors, and marks in the text. */
#ifndef MSGD_DAEMON_CONTROL_OUTGOING_H
#define MSGD_DAEMON_CONTROL_OUTGOING_H

#include "daemon/base/error.h"
#include "proto/json_writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTGOING_MAX_DESCRIPTORS 8

struct call;

/* "Everything up to here has been written": told to the call that sent it. */
struct mark {
    size_t end; /* bytes of the text, from its start */
    uint64_t value;
};

struct outgoing_chunk;

/* Zeroed to begin with. */
struct outgoing {
    struct outgoing_chunk *first;
    struct outgoing_chunk *last;
    size_t n_bytes; /* not written yet */
};

void outgoing_deinit(struct outgoing *o);

/* What is to be queued. */
struct outgoing_item {
    struct json_writer *text; /* taken: left empty */
    const int *descriptors;   /* sent with the first byte; must stay open until then */
    bool gives_descriptors;   /* taken: closed once they are sent */
    size_t n_descriptors;
    struct mark *marks; /* n_marks of them, growing; taken (free) */
    size_t n_marks;
    struct call *call; /* whom the marks are for */
};

/* It is not to be sent: what it gives is let go of. Its text stays. */
void outgoing_drop(struct outgoing_item *item);
/* 0 or -ENOMEM; the item is taken in both cases. */
int outgoing_add(struct outgoing *o, struct outgoing_item *item) MUST_USE;

/* The call is gone: nobody is told of its marks any more. */
void outgoing_forget_call(struct outgoing *o, const struct call *call);

/*
 * Writes as much as the socket takes and reports each mark that was passed. 0: all written; 1: the
 * socket is full; or -errno. *n_written: bytes that went out.
 */
int outgoing_flush(struct outgoing *o, int fd, void (*passed)(struct call *call, uint64_t mark),
                   size_t *n_written) MUST_USE;

#endif
