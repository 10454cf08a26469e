/* SPDX-License-Identifier: MIT */
/* One Varlink call, from its frame to its last reply. */
#ifndef MSGD_DAEMON_CONTROL_CALL_H
#define MSGD_DAEMON_CONTROL_CALL_H

#include "daemon/base/list.h"
#include "daemon/control/outgoing.h"
#include "proto/varlink.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct control;
struct method;

/*
 * Lives from dispatch until call_finish, call_end or call_abandon, which may come long after
 * the method's function has returned. When the connection closes before, `connection` becomes NULL
 * and `cancel` runs, if it is set; a call without `cancel` waits for something that always comes
 * back, and is ended then.
 */
struct call {
    struct list link;   /* connection->calls */
    struct list parked; /* some list of those who wait for the same thing */
    struct control *control;
    struct connection *connection; /* NULL: closed */
    const struct method *method;
    struct varlink_call in;
    struct json_writer writer;
    /* A `more` call that goes on until its connection closes; oneway calls may pass it. */
    bool is_stream;
    /* May wait for as long as others please: a hang-up ends it at once. */
    bool is_unbounded;
    void (*cancel)(struct call *call);
    /* A reply whose mark this is has been written to the socket whole. */
    void (*written)(struct call *call, uint64_t mark);
    /* Everything queued on the connection has been written. */
    void (*drained)(struct call *call);
    void *state; /* the method's own */
};

/*
 * A reply: begin, write the members of its parameters, finish. call_finish sends it and ends the
 * call; the call is not to be used after it. A reply to a oneway call goes nowhere.
 */
struct json_writer *call_begin_reply(struct call *call);
void call_finish(struct call *call);
/* The same, with descriptors that travel with the reply's first byte. They stay the caller's, and
 * open until the connection closes. */
void call_finish_with_descriptors(struct call *call, const int *descriptors, size_t n);

/* The same with one descriptor, which is taken. */
void call_finish_with_gift(struct call *call, int descriptor);

/* One of many replies: the call goes on after call_send. */
struct json_writer *call_begin_continued(struct call *call);
void call_send(struct call *call);

/* The name of the error; then its parameters, then call_finish. */
struct json_writer *call_begin_error(struct call *call, const char *name);

/* Ends the call without a reply. */
void call_end(struct call *call);

/* Is there still somebody to answer? */
bool call_is_live(const struct call *call);

/* For the method table: takes `in` and leaves it zeroed. NULL: no memory. */
struct call *call_new(struct control *control, struct connection *connection,
                      struct varlink_call *in);

/* ---- Errors ---- */

void call_invalid_parameter(struct call *call, const char *parameter);
void call_not_permitted(struct call *call, const char *rule);
void call_no_such_endpoint(struct call *call, const char *name);
void call_try_again(struct call *call, const char *reason);
/* A negative errno that is nobody's fault: TryAgain with what was being done and what the system
 * said. */
void call_system_error(struct call *call, int error, const char *what);

#endif
