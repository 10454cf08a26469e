/* SPDX-License-Identifier: MIT */
/* What a predecessor had registered, taken up at start. */
#ifndef MSGD_DAEMON_CONTROL_RESTORE_H
#define MSGD_DAEMON_CONTROL_RESTORE_H

#include "daemon/base/error.h"
#include "daemon/base/list.h"
#include "daemon/core/registered.h"
#include "daemon/core/table.h"
#include "daemon/store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct control;
struct desk;

/* A registration of a predecessor. */
struct past {
    struct list link; /* in `all`, or in `outdated`, or its desk's */
    struct table_link by_name;
    uint64_t number;
    struct registered was;
    struct store_spooled spooled; /* what is on disk of it; endpoint 0: nothing was ever */
    struct remembered_ids *ids;   /* of that, the youngest first; owned */
};

/* Returns NULL; NULL is fine. */
struct past *past_free(struct past *past);

/* All of them. Zeroed: none. */
struct restored {
    struct table by_name;
    struct list all;      /* the oldest first */
    struct list outdated; /* of a name that has a later one, too */
    /* While the database is read: all, by number; made when it is needed. */
    struct numbered_past *numbered;
    size_t n_numbered;
};

/* Reads what the database has. Before store_start. 0 or -errno. */
int restore_load(struct control *control) MUST_USE;
/* Registers again what the configuration does not have. */
void restore_names(struct control *control);
/* What is known of a name that was not taken up yet, or NULL. */
struct past *restore_find(const struct control *control, const char *name);
/* A static name's desk goes on where its past ended, if there is one: number, generation, address,
 * lease. Before it is opened. */
void restore_static(struct desk *desk);
/* The desk has been opened, or goes: its past has no part in it any more. */
void restore_end_past(struct desk *desk);
/* Is there a desk that has not been opened yet, and has a past? */
bool restore_is_awaited(const struct control *control);
/* What nobody took up is let go of. Once, or not at all. */
void restore_finish(struct control *control);

#endif
