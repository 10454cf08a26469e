/* SPDX-License-Identifier: MIT */
/*
 * Between mailboxes and the database: what core/spool.h has for the disk is posted, what is on disk
 * comes back when there is room, and what is finished is deleted. Worker, unless said otherwise.
 */
#ifndef MSGD_DAEMON_DATA_SPOOLING_H
#define MSGD_DAEMON_DATA_SPOOLING_H

#include "daemon/base/error.h"
#include "daemon/base/list.h"
#include "daemon/core/spool.h"
#include "daemon/data/loop.h"
#include "daemon/store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct endpoint;
struct spooling; /* a worker's */

/* An endpoint's, where something of it goes to disk; made on the control thread. */
struct endpoint_spooling {
    struct endpoint *endpoint;
    struct list urgent;  /* something is to be posted now */
    struct list patient; /* something is to be posted soon, unless it is finished by then */
    struct list hungry;  /* something is to come back */
    struct list kept;    /* something is on disk */
    struct list late;    /* something was to go there when there was no room */
    struct task refill;
    struct task catch_up;
    unsigned n_appends; /* under way */
    bool is_due;        /* what is to be posted has waited long enough */
    bool is_reading;
    bool is_trimming;
    bool is_expiring;
    bool is_forgetting;
    uint64_t on_disk; /* the highest number that ever was on disk */
    uint64_t trimmed; /* up to here all has been deleted */
    uint64_t trimming;
    struct store_job trim;
    struct store_job expire;
    struct store_job forget;
    struct remembered_ids *ids; /* of messages on disk, until the endpoint begins; owned */
};

/* Ids that the database remembers of an endpoint. */
struct remembered_ids {
    struct remembered_ids *next;
    size_t n_bytes;
    uint8_t bytes[];
};

void remembered_ids_free(struct remembered_ids *ids);

/* Control. NULL: no memory. */
struct endpoint_spooling *endpoint_spooling_new(struct endpoint *e);
/* Control. Returns NULL; NULL is fine. */
struct endpoint_spooling *endpoint_spooling_free(struct endpoint_spooling *sp);

/* A worker's; before its thread runs. 0 or -errno. */
int spooling_open(struct worker *w) MUST_USE;
/* Lets go of the database, then calls done; once no endpoint is left. */
void spooling_close(struct worker *w, void (*done)(struct worker *w));
/* When the thread does not run (any more). */
void spooling_close_now(struct worker *w);
void spooling_free(struct worker *w);

/* The endpoint has been recovered. */
void spooling_begin(struct endpoint *e);
/* struct mailbox_options.disk_refusal. */
int spooling_refusal(void *endpoint);
/* A message has been filed. On the data path. */
void spooling_note(struct endpoint *e);
/* Something may come back: a consumer has come, or gone. */
void spooling_look(struct endpoint *e);
/* After each batch: posts what is urgent, fetches what there is room for. */
void spooling_flush(struct worker *w);

/* The endpoint is removed, and what is on disk with it; or it is left for a successor, with what it
 * needs on disk. */
void spooling_end(struct endpoint *e);
/* After spooling_end: posts what is left for a successor. True: something is still under way. */
bool spooling_settle(struct endpoint *e);
/* Nothing is, and it is about to be freed. */
void spooling_gone(struct endpoint *e);

#endif
