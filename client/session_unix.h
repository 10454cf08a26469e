/* SPDX-License-Identifier: MIT */
/* The server's side of a session: the Unix stream that msgd hands over with Accept. */
#ifndef MSGD_CLIENT_SESSION_UNIX_H
#define MSGD_CLIENT_SESSION_UNIX_H

#include "client/session.h"

/* What an offer said of a session. */
struct session_offer {
    const char *id;
    const char *peer;
    const char *identity; /* NULL: none */
};

/* Begins with a stream socket, which it takes in any case. 0, or -errno with a sentence. */
int session_unix_open(struct msgd_session **out, int fd, const struct session_offer *offer,
                      struct failure *failure) __attribute__((warn_unused_result));

#endif
