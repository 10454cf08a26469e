/* SPDX-License-Identifier: MIT */
/*
 * A shard of an endpoint (settings.shards): sockets at the same address that another worker reads,
 * into a batch of its own, which it hands to the endpoint's worker. Messages, ledger and consumers
 * are the endpoint's worker's alone. The batch is the reader's while it is empty.
 */
#ifndef MSGD_DAEMON_DATA_SHARD_H
#define MSGD_DAEMON_DATA_SHARD_H

#include "daemon/data/endpoint.h"

struct shard {
    struct endpoint *endpoint;
    struct worker *worker; /* the reader's; NULL: nobody reads yet */
    struct endpoint_socket sockets[2];
    struct shared_memory memory; /* outlives the process */
    uint64_t key;                /* of it in the vault */
    struct receive_batch *batch;
    _Atomic int n_packets;       /* in the batch; not 0: it is the endpoint's worker's */
    _Atomic bool is_awaited;     /* the reader has more: ring when it is empty */
    struct event_source filled;  /* eventfd; the endpoint's worker is rung */
    struct event_source emptied; /* eventfd; the reader is rung */
    unsigned unread;             /* the reader's: a bit for each socket that may hold something */
    struct unwatched unwatched;
    struct command start;
    struct command stop;
};

/* Makes n of them, without sockets. Control. 0 or -errno, then they are to be closed as well. */
int shards_open(struct endpoint *e, uint32_t n) MUST_USE;
/* Nobody reads them (any more); their sockets are closed. Control. */
void shards_close(struct endpoint *e);

/* Stops the readers; `then` is posted to the endpoint's worker when none reads any more. Control.
 */
void shards_stop(struct endpoint *e, struct command *then);

/* Listens to the readers. The endpoint's worker. 0 or -errno. */
int shards_hear(struct endpoint *e) MUST_USE;
/* Files what the readers have read. */
void shards_take(struct endpoint *e);
/* Files what the readers, which have stopped, had read, and hears no more. */
void shards_settle(struct endpoint *e);

#endif
