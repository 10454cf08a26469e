/* SPDX-License-Identifier: MIT */
/* One Receive call: a consumer whose messages stay in msgd's own memory. */
#ifndef MSGD_DAEMON_DATA_RECEIVER_H
#define MSGD_DAEMON_DATA_RECEIVER_H

#include "daemon/data/endpoint.h"

struct receiver {
    struct consumer consumer; /* owner: this */
    struct lane lane;
    struct worker *worker;
    struct endpoint *endpoint;
    struct join_memory memory;
    bool is_ended; /* it gets nothing more */
    bool has_left; /* and has handed on what it had */
    bool is_closing;
    struct task leave;
    struct departure departure;

    struct fetch_request {
        struct batch *batch;
        size_t max;
        fetch_done done;
        void *context;
        int status;
    } request;      /* control's until it is posted and after `done`, else the worker's */
    bool has_fetch; /* the worker's: a request waits for messages */

    _Atomic uint64_t n_to_release; /* since it was opened; control only raises it */
    uint64_t n_released;           /* the worker's */
    _Atomic bool is_release_posted;

    struct command join;
    struct command fetch;
    struct command release;
    struct command close;
};

/* Completes a pending fetch if there is something. */
void receiver_serve(struct receiver *r);
/* It gets nothing more; what it holds is taken back, or dropped (as in departure_begin). */
void receiver_leave(struct receiver *r, int drop);

#endif
