/* SPDX-License-Identifier: MIT */
/*
 * Who hears of an endpoint's sessions: a Listen call, or a Receive call, which is also given their
 * messages. Each visit goes to one greeter, in turn, a Listen before a Receive.
 */
#ifndef MSGD_DAEMON_CONTROL_GREETER_H
#define MSGD_DAEMON_CONTROL_GREETER_H

#include "daemon/base/list.h"
#include "proto/json_writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct desk;
struct ending;
struct visit;

/* Zeroed: hears nothing. */
struct greeter {
    struct list of_desk; /* desk->greeters */
    struct list visits;
    struct list waiting; /* bridges that have more when the connection has been written out */
    struct desk *desk;
    struct call *call;
    bool takes_messages;
};

void greeter_join(struct greeter *g, struct desk *desk, struct call *call, bool takes_messages);
/* Refuses what it has been offered and not answered, ends what it reads. Safe on one that has not
 * joined. */
void greeter_leave(struct greeter *g);
/* Everything queued on its connection has been written. */
void greeter_drained(struct greeter *g);

/* Whose turn it is; NULL: nobody listens. */
struct greeter *greeter_pick(struct desk *desk);

void greeter_tell_connect(struct greeter *g, struct visit *visit);
void greeter_tell_open(struct greeter *g, struct visit *visit);
void greeter_tell_finish(struct greeter *g, const struct visit *visit);
void greeter_tell_close(struct greeter *g, const struct visit *visit);
/* Appends an event to a text of many; the caller sends it. */
void greeter_write_message(const struct greeter *g, const struct visit *visit,
                           struct json_writer *w, const void *text, size_t n);

/* Ends every Listen of a desk. */
void listens_end(struct desk *desk, const struct ending *ending);

#endif
