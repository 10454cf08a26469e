/* SPDX-License-Identifier: MIT */
/* What a struct msgd_feed is made of. */
#ifndef MSGD_CLIENT_FEED_H
#define MSGD_CLIENT_FEED_H

#include "client/failure.h"
#include "client/feed_socket.h"
#include "client/msgd.h"

#include <stdbool.h>
#include <sys/types.h>

/* What gathers before it leaves: it stays in a processor's cache, and fills some trains. */
#define FEED_BYTES     (128u * 1024)
#define FEED_DATAGRAMS 256u

struct feed_datagram {
    uint32_t at; /* in bytes */
    uint32_t length;
    uint32_t n_messages;
};

struct msgd_feed {
    pid_t pid; /* of the process that may use it */
    struct failure failure;
    struct feed_socket socket;
    bool is_batch, is_raw;
    size_t max_batch_bytes; /* 0: as much as the path takes */
    struct feed_datagram datagrams[FEED_DATAGRAMS];
    uint32_t n_datagrams, n_gone; /* of the datagrams the first n_gone have left */
    size_t length;                /* of what has gathered */
    size_t batch_at;              /* where the batch in hand begins */
    uint32_t n_batch;             /* its messages; 0: none is in hand */
    int told;                     /* the first error since the last flush, for the next one */
    struct msgd_feed_figures figures;
    uint8_t bytes[FEED_BYTES];
};

/* Is this the process that opened it? 0 or -ESTALE. */
int feed_check_process(struct msgd_feed *f) __attribute__((warn_unused_result));

/* Ends the batch in hand: it is a datagram that waits. */
void feed_close_batch(struct msgd_feed *f);

/* Sends what waits, and no batch in hand. 0: nothing waits any more; -EAGAIN, -ENOBUFS: there is no
 * room in the kernel. Other errors are counted, and kept for the next flush. */
int feed_send(struct msgd_feed *f) __attribute__((warn_unused_result));

/* Was what was sent refused? Looks once if the target is local, else waits the linger. 0, or the
 * error with a sentence. */
int feed_settle(struct msgd_feed *f) __attribute__((warn_unused_result));

#endif
