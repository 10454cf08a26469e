/* SPDX-License-Identifier: MIT */
/* Gathering what check-host judges. */
#ifndef MSGD_TOOLS_HOST_FACTS_H
#define MSGD_TOOLS_HOST_FACTS_H

#include "client/msgd.h"
#include "tools/check_host.h"

/* m: NULL where msgd cannot be reached; *out has the defaults then. */
void host_facts_gather(struct msgd *m, struct host_facts *out);

#endif
