/* SPDX-License-Identifier: MIT */
/* Which connection is a consumer of which endpoint. */
#ifndef MSGD_DAEMON_CONTROL_HOLDERS_H
#define MSGD_DAEMON_CONTROL_HOLDERS_H

#include "daemon/base/error.h"
#include "daemon/base/list.h"
#include "daemon/core/registry.h"
#include "daemon/data/worker.h"

#include <stdbool.h>
#include <stdint.h>

struct call;
struct connection;
struct desk;
struct receive;

enum holder_kind {
    HOLDER_IDLE,      /* has registered the name and takes no messages yet */
    HOLDER_ATTACHED,  /* through the connection's link, under `slot` */
    HOLDER_RECEIVING, /* through a Receive call */
};

struct holder {
    struct list of_connection; /* connection->holders */
    struct list of_desk;       /* desk->holders */
    struct connection *connection;
    struct desk *desk;
    enum holder_kind kind;
    bool is_waiting; /* ATTACHED: to be told to the worker when the endpoint is open */
    uint32_t slot;
    struct receive *receive;
};

/* The connection's part in it; NULL: none. */
struct holder *holder_find(const struct desk *desk, const struct connection *c);
/* What its worker calls it in a snapshot; NULL: nothing yet. */
const void *holder_key(const struct holder *holder);
/* Makes the connection a consumer; it must not be one. 0 or -ENOMEM. */
int holder_join(struct holder **out, struct desk *desk, struct connection *c) MUST_USE;
/* Has the worker forget an attached one, which stays a holder. 0 or -ENOMEM. */
int holder_detach(struct holder *holder) MUST_USE;
/* One consumer less. For an attached one the worker has been told, or will be with the link. */
void holder_leave(struct holder *holder);

/*
 * Attaches: makes the connection's memory on that worker if it has none yet (*is_new_link then).
 * Where the endpoint is not open yet, messages follow when it is. 0 or -errno.
 */
int holder_attach(struct holder *holder, bool *is_new_link) MUST_USE;

/* The connection is no consumer of anything any more: for when it is closed, or as good as. */
void holders_leave(struct connection *c);

/* The endpoint has been opened (again): connects those who wait for it. */
void holders_connect(struct desk *desk);

/* Why a consumer is ended by others. */
struct ending {
    const char *error;  /* of a Receive call: NoSuchEndpoint, NameTaken or TryAgain of io.msgd */
    const char *reason; /* follows the name: "was released" */
    const struct owner *by; /* NameTaken: who has it now */
};

/* Answers a call that goes on until it is ended so, and ends it. */
void ending_answer(struct call *call, const char *name, const struct ending *ending);

/* Ends one consumer, and with it its connection unless it is a Receive. */
void holder_end(struct holder *holder, const struct ending *ending);
/* Has one of them turned out to be dead? It has left then, and everything else that it held. */
bool holders_probe(struct desk *desk);

/*
 * Ends all consumers of a desk. A Receive ends with an error; any other's connection is closed (how
 * else would a reader of shared memory know?), but not `but` (may be NULL). A connection that is
 * closed leaves everything else that it holds, too.
 */
void holders_end(struct desk *desk, const struct connection *but, const struct ending *ending);
/*
 * The endpoint has been closed and will be opened again: Receive calls wait for it, connections
 * that are attached are closed, but not `but` (may be NULL), which has to attach again.
 */
void holders_end_attached(struct desk *desk, const struct connection *but, const char *reason);

#endif
