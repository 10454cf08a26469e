/* SPDX-License-Identifier: MIT */
/* An endpoint goes on where its predecessor was stopped. */
#ifndef MSGD_DAEMON_DATA_RECOVERY_H
#define MSGD_DAEMON_DATA_RECOVERY_H

#include "daemon/data/endpoint.h"

/* Before its sockets are watched: makes its ledger right, files what was waiting, and finishes the
 * batch that was in hand. Worker. */
void endpoint_recover(struct endpoint *e);

/* Of a worker, before its thread runs. 0 or -errno. */
int recovery_init(struct worker *w) MUST_USE;

#endif
