/* SPDX-License-Identifier: MIT */
/* msgsend --ack and msgsend --reply: messages whose fate is awaited, many at a time. */
#ifndef MSGD_TOOLS_SEND_ACKNOWLEDGED_H
#define MSGD_TOOLS_SEND_ACKNOWLEDGED_H

#include "tools/send_options.h"

/* All of it. Returns the exit code. */
int send_acknowledged(const struct send_options *options);

#endif
