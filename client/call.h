/* SPDX-License-Identifier: MIT */
/* One call on the control socket, waiting for its reply. */
#ifndef MSGD_CLIENT_CALL_H
#define MSGD_CLIENT_CALL_H

#include "client/client.h"

/*
 * Makes sure that there is a connection which a call can be written to, m->connection.out.
 * 0; -EBUSY (a call with "more" has it); -ENOTCONN...: msgd is not there, and did not come back
 * within two seconds. With a sentence.
 */
int call_prepare(struct msgd *m) __attribute__((warn_unused_result));

/*
 * Sends the one call of `method` that stands in m->connection.out, and waits for its reply.
 * subject: the endpoint's name for the sentence, or NULL. *reply is to be ended by
 * varlink_reply_deinit. 0, or a negative errno with its sentence; the connection is then lost
 * unless the reply itself was the error.
 */
int call_finish(struct msgd *m, const char *method, const char *subject,
                struct varlink_reply *reply) __attribute__((warn_unused_result));

/*
 * The whole call of a method whose one parameter is a name: call_prepare and call_finish.
 */
int call_about(struct msgd *m, const char *method, const char *name, struct varlink_reply *reply)
    __attribute__((warn_unused_result));

/* Notes why the connection failed during `method`, and lets go of it. Returns the errno to return.
 */
int call_lost(struct msgd *m, const char *method, int error);

#endif
