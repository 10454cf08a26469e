/* SPDX-License-Identifier: MIT */
/*
 * Living through a restart of msgd. When the control socket hangs up, links end (what was handed
 * out of them stays readable), and the client connects again, first at once, then with a delay that
 * doubles from 10 ms to 1 s, and registers everything again under the same names and ports.
 *
 * Where the same msgd answers that had hung up, it was no restart: it has detached this consumer
 * (another one has replaced it, say), and to register again would be to fight for the name. Then
 * nothing is registered any more, and m->detached_name is set.
 */
#ifndef MSGD_CLIENT_RECONNECT_H
#define MSGD_CLIENT_RECONNECT_H

#include "client/client.h"

enum reconnect_cause {
    LOST_BY_MSGD, /* it has hung up, or ended a link */
    LOST_BY_US,   /* it is there, and the connection is of no use */
};

/* The connection serves no more: lets go of it, and plans the next attempt. */
void reconnect_lose(struct msgd *m, enum reconnect_cause cause);

/* The first connection has been made: watches it. 0 or -errno. */
int reconnect_adopt(struct msgd *m) __attribute__((warn_unused_result));

/*
 * Goes on as far as it can without waiting; m->epoll wakes whoever waits for more. 0 (see
 * m->state), or a negative errno, said once, with its sentence in m->failure: a registration was
 * refused, or msgd answers but cannot be worked with (the next call tries again).
 */
int reconnect_advance(struct msgd *m) __attribute__((warn_unused_result));

/* Waits until the client is up, at most until the deadline. 0, or what was in the way. */
int reconnect_wait(struct msgd *m, int64_t deadline) __attribute__((warn_unused_result));

/* The descriptor of msgd_fd becomes readable after so long. */
void reconnect_set_timer(struct msgd *m, uint32_t after_ms);

#endif
