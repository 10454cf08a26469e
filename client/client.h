/* SPDX-License-Identifier: MIT */
/* What a struct msgd is made of. */
#ifndef MSGD_CLIENT_CLIENT_H
#define MSGD_CLIENT_CLIENT_H

#include "client/busy_wait.h"
#include "client/connection.h"
#include "client/enrolment.h"
#include "client/failure.h"
#include "client/inbox.h"
#include "client/msgd.h"
#include "client/registration.h"

#include <stdbool.h>
#include <stdint.h>

enum client_state {
    CLIENT_LOST,      /* no connection; the next attempt is at next_attempt */
    CLIENT_ENROLLING, /* connected, and telling msgd what is registered */
    CLIENT_UP,
    CLIENT_STREAMING, /* a call with "more" has the connection for good */
};

struct msgd {
    enum client_state state;
    char *path; /* of the control socket */
    struct connection connection;
    struct registrations registrations;
    struct enrolment enrolment;
    struct daemon_identity daemon;
    struct inbox inbox;
    struct busy_wait busy_wait;
    struct failure failure;
    int epoll;            /* what msgd_fd gives: watches the control socket, the timer, every wake
                             descriptor; event.data.fd says which */
    int timer;            /* for the next attempt, and for looking again where msgd was busy */
    int64_t next_attempt; /* CLOCK_MONOTONIC, ns */
    int64_t up_since;
    uint32_t delay_ms; /* before the attempt after the next failure */
    uint32_t jitter;   /* state of a generator */
    bool is_suspect;   /* msgd has closed a connection that was in order */
    /* Something that was registered when msgd detached this consumer; NULL: it has not since. */
    const char *detached_name;
};

/* What an enrolment of m works with. */
static inline struct enrolment_tools client_tools(struct msgd *m)
{
    return (struct enrolment_tools){
        .connection = &m->connection,
        .registrations = &m->registrations,
        .inbox = &m->inbox,
        .daemon = &m->daemon,
        .failure = &m->failure,
        .epoll = m->epoll,
    };
}

#endif
