/* SPDX-License-Identifier: MIT */
/* Tap calls: copies of live messages as replies. */
#ifndef MSGD_DAEMON_CONTROL_TAP_H
#define MSGD_DAEMON_CONTROL_TAP_H

struct desk;
struct ending;
struct tap;

/* For worker_events: there is something to read. */
void tap_has_news(struct tap *tap);

/* Ends every Tap of a desk. */
void taps_end(struct desk *desk, const struct ending *ending);

#endif
