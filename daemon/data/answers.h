/* SPDX-License-Identifier: MIT */
/*
 * What msgd itself answers to framed datagrams: acknowledgements, refusals, pongs. None is longer
 * than what it answers, and none goes where an answer cannot or must not go.
 * docs/protocol.md, "No reflection". Acknowledgements wait for the end of the batch, so that those
 * of consecutive numbers go as one.
 */
#ifndef MSGD_DAEMON_DATA_ANSWERS_H
#define MSGD_DAEMON_DATA_ANSWERS_H

#include "daemon/core/mailbox.h"
#include "proto/frame.h"

#include <stddef.h>

struct endpoint;
struct worker;

/* What is answered. */
struct answer_cause {
    struct endpoint *endpoint;
    const struct record *meta; /* from, to and scope: the answer goes back there */
    const struct frame_id *id;
    size_t allowance; /* bytes that the answer may have */
};

/* which: FRAME_STORED or FRAME_RELEASED. */
void answer_ack(const struct answer_cause *c, enum frame_wish which);
void answer_nack(const struct answer_cause *c, enum drop_reason reason);

/* Sends a frame at once, if all of the rules permit. */
void answer_frame(struct endpoint *e, const struct record *meta, const struct frame *f,
                  size_t allowance);

/* struct mailbox_options.settled; context: the struct endpoint. */
void answer_settled(void *context, const struct record *r, int outcome);

/* Answers that wait for the end of the batch. */
struct answers;

/* 0 or -ENOMEM. */
int answers_new(struct answers **out) MUST_USE;
struct answers *answers_free(struct answers *a);
/* Sends what waits. */
void answers_flush(struct worker *w);

#endif
