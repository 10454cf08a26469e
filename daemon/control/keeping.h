/* SPDX-License-Identifier: MIT */
/* What outlives msgd of each registered name: its registration in the database, its sockets in the
 * stash. */
#ifndef MSGD_DAEMON_CONTROL_KEEPING_H
#define MSGD_DAEMON_CONTROL_KEEPING_H

#include "daemon/base/error.h"
#include "daemon/data/worker.h"

#include <stdint.h>

struct control;
struct desk;
struct endpoint;

/* Begins to write; what is there has been loaded. 0 or -errno. */
int keeping_open(struct control *control) MUST_USE;
/* Writes nothing more. What was posted is carried out; it counts as a handle until then. */
void keeping_close(struct control *control);

/* Has the registration written as it is now. */
void keeping_save(struct desk *desk);
/* A predecessor's sockets for the endpoint of that number: the first n. */
void keeping_take_sockets(struct control *control, uint64_t number, struct kept_socket *sockets,
                          unsigned n);
/* Puts the endpoint's sockets into the stash, but for those of the n that were taken from there. */
void keeping_hold_sockets(struct desk *desk, struct endpoint *endpoint,
                          const struct kept_socket *taken, unsigned n);
/* The stash holds none for the endpoint of that number, which had n at most. */
void keeping_drop_sockets(struct control *control, uint64_t number, unsigned n);
/* Neither is kept any more: the endpoint of that number, with n sockets at most, leaves. */
void keeping_end(struct control *control, uint64_t number, unsigned n);
/* Nor are its messages: it has left. */
void keeping_forget_messages(struct control *control, uint64_t number);

#endif
