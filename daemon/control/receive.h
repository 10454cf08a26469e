/* SPDX-License-Identifier: MIT */
/* A Receive call: messages as replies, in bounded windows. */
#ifndef MSGD_DAEMON_CONTROL_RECEIVE_H
#define MSGD_DAEMON_CONTROL_RECEIVE_H

#include "daemon/control/origins.h"

#include <stdbool.h>
#include <stdint.h>

struct desk;
struct ending;
struct holder;
struct receive;

/* The endpoint is there (again): opens a receiver and begins to fetch. */
void receive_connect(struct receive *receive);
/* The endpoint has been closed and will be opened again: waits for receive_connect. */
void receive_disconnect(struct receive *receive);
/* The holder is going: no more messages, and no answer. */
void receive_lose_holder(struct receive *receive);
/* Ends the call with an error; its holder leaves. */
void receive_end(struct receive *receive, const struct ending *ending);

/* How a snapshot names this consumer; NULL while there is no endpoint. */
const void *receive_key(const struct receive *receive);

/* Is the message handed over and not released? Calls with ack manual only. */
bool receive_holds(const struct receive *receive, uint64_t seq);
/* Releases everything up to seq, in the order of handing over. */
void receive_release(struct receive *receive, uint64_t seq);
/* A message that was handed over; NULL: not known (any more). */
struct origin *receive_find_origin(struct receive *receive, uint64_t seq);

#endif
