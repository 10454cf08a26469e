/* SPDX-License-Identifier: MIT */
/*
 * Registering and attaching many names over one connection: calls are written while earlier replies
 * are still to come, at most ENROLMENT_WINDOW of them, and replies are read whenever there are
 * some, so that neither side can wait for the other with both socket buffers full.
 *
 * A name's Attach is sent when its Register has been accepted, not before: an Attach that follows a
 * refused Register could make us consumer of somebody else's endpoint of the same name.
 */
#ifndef MSGD_CLIENT_ENROLMENT_H
#define MSGD_CLIENT_ENROLMENT_H

#include "client/connection.h"
#include "client/failure.h"
#include "client/inbox.h"
#include "client/registration.h"

#include <stdbool.h>
#include <stddef.h>

#define ENROLMENT_WINDOW 256u /* replies under way; a power of two */

enum enrolment_step {
    ENROLMENT_IDENTIFY,
    ENROLMENT_REGISTER,
    ENROLMENT_ATTACH,
    ENROLMENT_UNDO,
};

/* Which msgd it is that answers, to tell one that was restarted from one that closed a connection.
 */
struct daemon_identity {
    char since[40]; /* "": not known */
    int64_t pid;
    bool is_current; /* the present connection's */
};

/* A reply that is to come; they come in the order of the calls. */
struct expected_reply {
    struct registration *registration; /* NULL for ENROLMENT_IDENTIFY */
    enum enrolment_step step;
};

/* What an enrolment works with; all of it belongs to the struct msgd. */
struct enrolment_tools {
    struct connection *connection;
    struct registrations *registrations;
    struct inbox *inbox;
    struct daemon_identity *daemon;
    struct failure *failure; /* gets the sentence of the first that was refused */
    int epoll;               /* wake descriptors of new links are added here */
};

/* A zeroed one is done. */
struct enrolment {
    struct registration **todo; /* owned */
    size_t n_todo;
    size_t next;     /* the first whose first call has not been written */
    bool is_again;   /* on a new connection: what is refused is lost */
    bool is_suspect; /* msgd has closed the former connection: was it the one that answers now? */
    bool has_asked;  /* for msgd's identity */
    int refused;     /* errno of the first that was refused, or 0 */
    struct expected_reply expected[ENROLMENT_WINDOW]; /* a circle */
    size_t first_expected;
    size_t n_expected;
};

enum enrolment_outcome {
    ENROLMENT_DONE = 0,
    ENROLMENT_WAITS = 1,
    ENROLMENT_DETACHED =
        2, /* nothing was registered: it was this very msgd that closed the former connection */
};

/* Begins with names that want something. Keeps todo (malloc), and frees it at the end. */
void enrolment_begin(struct enrolment *e, struct registration **todo, size_t n_todo, bool is_again);
/* Forgets what is left; what was ours before stays so. Safe on one that is done. */
void enrolment_cancel(struct enrolment *e, struct registrations *all);

/*
 * Writes and reads as far as it goes without waiting. An enum enrolment_outcome, or a negative
 * errno after which the connection is of no use: what the socket said, -EPROTO, -EAGAIN (msgd wants
 * to be asked again later), -EMFILE or -ENOMEM (no room for a link); t->failure then has the
 * sentence for those that are not the socket's.
 */
int enrolment_advance(struct enrolment *e, const struct enrolment_tools *t)
    __attribute__((warn_unused_result));

#endif
