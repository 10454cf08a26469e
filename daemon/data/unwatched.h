/* SPDX-License-Identifier: MIT */
/*
 * Endpoints, and shards of them, whose sockets cannot be watched at present (no memory, or
 * fs.epoll.max_user_watches): read from time to time until they can be.
 */
#ifndef MSGD_DAEMON_DATA_UNWATCHED_H
#define MSGD_DAEMON_DATA_UNWATCHED_H

#include "daemon/base/error.h"
#include "daemon/base/list.h"

struct worker;

struct unwatched {
    struct list link; /* the worker's; not linked: it is watched */
    const char *name; /* of the endpoint */
    int (*watch)(struct unwatched *u);
    void (*read)(struct unwatched *u);
};

/* 0 or -errno. */
int unwatched_init(struct worker *w) MUST_USE;
/* Watches, or reads until it can. list_remove(&u->link) ends that. */
void unwatched_begin(struct worker *w, struct unwatched *u);

#endif
