/* SPDX-License-Identifier: MIT */
/* Plain answers: datagrams that come back. */
#ifndef MSGD_TOOLS_SEND_REPLY_H
#define MSGD_TOOLS_SEND_REPLY_H

#include "proto/address.h"

#include <stddef.h>

/* Forgets answers that came too late for what they answered. */
void send_reply_drain(int fd);

/*
 * Waits for an answer. Returns its length; *from: who answered; -ETIMEDOUT; -ECONNREFUSED; -errno.
 */
long send_reply_receive(int fd, void *room, size_t n_room, int timeout_ms, struct address *from)
    __attribute__((warn_unused_result));

#endif
