/* SPDX-License-Identifier: MIT */
/*
 * Messages that are given to an endpoint again, a batch at a time: what QuarantineReplay and
 * SpoolReplay have in common. Embedded in what a method keeps of its call.
 */
#ifndef MSGD_DAEMON_CONTROL_REPLAY_H
#define MSGD_DAEMON_CONTROL_REPLAY_H

#include "daemon/base/error.h"
#include "daemon/control/call.h"
#include "daemon/data/worker.h"

struct replay {
    struct call *call;
    /* What is given; the number of each is that which it has where it is from. */
    struct batch batch;
    bool is_datagrams; /* as in struct injection */
    uint64_t accepted, refused;
    uint64_t next; /* the number of the one that found no room, and ended it; 0: none */
    void (*accepted_one)(struct replay *replay, uint64_t number); /* NULL: nobody asks */
    void (*go_on)(struct replay *replay);                         /* the batch is empty again */
};

/* Memory for the batch. 0 or -ENOMEM. */
int replay_init(struct replay *replay) MUST_USE;
void replay_deinit(struct replay *replay);

/* Adds to the batch, whatever the word of `meta` is. False: there is no room. */
bool replay_add(struct replay *replay, const struct record *meta, const void *bytes, uint32_t n);
/*
 * Gives the batch, which is not empty, to the endpoint of that name, and calls go_on when that is
 * over. False: there is no such endpoint at present, or no memory.
 */
bool replay_give(struct replay *replay, const char *name) MUST_USE;
/* Nobody has the batch: all of it is refused. */
void replay_refuse(struct replay *replay);

/* The reply with what all of them say; more may be added before call_finish. NULL: there is nobody
 * left to answer, and the call has ended. */
struct json_writer *replay_begin_reply(struct replay *replay);

#endif
