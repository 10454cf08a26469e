/* SPDX-License-Identifier: MIT */
/*
 * Looking after endpoints whose messages grow too old (ttl_s) or whose consumers may stall
 * (stall_s). The timer runs only while such an endpoint holds something.
 */
#ifndef MSGD_DAEMON_DATA_CARE_H
#define MSGD_DAEMON_DATA_CARE_H

#include "daemon/data/endpoint.h"

/* The worker's loop, before it runs. 0 or -errno. */
int care_init(struct worker *w) MUST_USE;
/* The endpoint is there, or its settings have changed. */
void care_configure(struct endpoint *e);
/* It is being removed. */
void care_leave(struct endpoint *e);
/* Something may have been filed: look soon. */
void care_soon(struct worker *w);

/* For struct aside: messages that consumers do not cope with go to the quarantine. */
bool care_has_room_aside(void *endpoint, const struct record *r);
void care_put_aside(void *endpoint, const struct record *r);

#endif
