/* SPDX-License-Identifier: MIT */
/* The data path: batches from a socket, each datagram checked, counted, filed. */
#ifndef MSGD_DAEMON_DATA_INTAKE_H
#define MSGD_DAEMON_DATA_INTAKE_H

#include "daemon/data/endpoint.h"

#include <stdbool.h>

/* The buffers of a worker for one recvmmsg; they begin with a struct batch_head. */
size_t receive_batch_bytes(void);
/* In memory of so many bytes, zeroed but for the head. */
struct receive_batch *receive_batch_init(void *memory);
/* Where the worker says which message it is about to count as ended. */
struct end_intent *receive_batch_intent(struct receive_batch *b);
/* Finishes a batch that a predecessor had in hand for e, but for the first n_done messages. */
void intake_resume(struct receive_batch *b, struct endpoint *e, uint64_t n_done);

/* Files a batch that a predecessor's shard had read for e. */
void intake_resume_all(struct receive_batch *b, struct endpoint *e);

/* A shard reads; what it does not file itself is filed by intake_take. Returns how many packets
 * were read, or -errno. */
int intake_fill(struct receive_batch *b, struct endpoint_socket *s) MUST_USE;
/* Files what a shard has read: n packets. The endpoint's worker. */
void intake_take(struct receive_batch *b, struct endpoint *e, int n);

/* Reads what is there, a bounded number of batches so that other endpoints get their turn. False:
 * something may be left. */
bool intake_read(struct receive_batch *b, struct endpoint_socket *s) MUST_USE;
/* Reads until the socket is empty (bounded too): before it is closed. */
void intake_drain(struct receive_batch *b, struct endpoint_socket *s);

/* One datagram. meta: from, to, time and scope filled. bytes: JSON_TEXT_SLACK more of them are
 * readable. */
struct arrival {
    struct record meta;
    const uint8_t *bytes;
    size_t n_bytes;
    bool is_truncated;
    bool is_valid_text; /* it has been found to be JSON, and begins with a bracket */
    uint64_t n_done;    /* of its messages, the first: nothing more is to become of them */
    bool is_kept;       /* given again: refused, it stays where it is, and nobody is answered */
    bool is_message;    /* by itself, whatever it begins with */
};

/* Into the mailbox and the taps. As mailbox_put. */
int intake_file(struct endpoint *e, struct filing *f) MUST_USE;
#define RECEIVE_BATCH_DATAGRAMS 64

/*
 * Reads one batch from another socket than an endpoint's: `seen` is called for each datagram, whose
 * meta has only its source. Returns how many packets were read, or -errno.
 */
typedef void (*datagram_seen)(void *context, const struct arrival *a);
int receive_batch_read(struct receive_batch *b, int descriptor, datagram_seen seen, void *context);

/* Counts what has become of a message, and keeps evidence. Returns outcome. */
int intake_count(struct endpoint *e, const struct arrival *a, int outcome);

/* Checks and files it. MESSAGE_KEPT or the drop reason; counts all but `datagrams`. */
int intake_datagram(struct endpoint *e, const struct arrival *a) MUST_USE;

#endif
