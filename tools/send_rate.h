/* SPDX-License-Identifier: MIT */
/* Holds messages back to so many a second. */
#ifndef MSGD_TOOLS_SEND_RATE_H
#define MSGD_TOOLS_SEND_RATE_H

#include <stdint.h>

struct send_rate {
    double rate;     /* a second; 0: no limit */
    int64_t next_ns; /* when the next one may go */
};

/* On the clock of the next function. */
int64_t send_rate_now(void);

/* How long the next message has to wait. */
int64_t send_rate_left_ns(struct send_rate *r, int64_t now_ns);

/* One goes now. */
void send_rate_take(struct send_rate *r);

#endif
