/* SPDX-License-Identifier: MIT */
/* Collecting what consumers release after the last message that came for them. */
#ifndef MSGD_DAEMON_DATA_SWEEP_H
#define MSGD_DAEMON_DATA_SWEEP_H

#include "daemon/data/link.h"

/* The worker's loop, before it runs. 0 or -errno. */
int sweep_init(struct worker *w) MUST_USE;
/* From now on the link is looked after; until sweep_remove. */
void sweep_add(struct worker *w, struct link *l);
void sweep_remove(struct worker *w, struct link *l);
/* Messages have been filed for a link: look again soon. */
void sweep_soon(struct worker *w);

#endif
