/* SPDX-License-Identifier: MIT */
/* Snapshots of many endpoints, a slice at a time, so that memory stays small and no worker is held
 * up. */
#ifndef MSGD_DAEMON_CONTROL_SURVEY_H
#define MSGD_DAEMON_CONTROL_SURVEY_H

#include "daemon/base/error.h"
#include "daemon/core/settings.h"
#include "daemon/data/worker.h"

#include <stdbool.h>
#include <stddef.h>

struct control;
struct desk;

/* Names of endpoints. Zeroed to begin with. */
struct name_list {
    char (*names)[NAME_BYTES_MAX + 1];
    size_t n;
    size_t capacity;
};

int name_list_add(struct name_list *list, const char *name) MUST_USE;
/* Every registered name. */
int name_list_all(struct name_list *list, const struct control *control) MUST_USE;
void name_list_deinit(struct name_list *list);

/* snapshot: NULL for an endpoint that is not bound. False: no more of them. */
typedef bool (*survey_row)(void *context, const struct desk *desk, const struct snapshot *snapshot);
/* 0: all rows were given; -ECANCELED (row said so, or msgd stops), -ENOMEM. */
typedef void (*survey_done)(void *context, int status);

struct survey_order {
    struct name_list names; /* taken; those that are gone when their turn comes are passed over */
    survey_row row;
    survey_done done;
    void *context;
};

/* done runs once, maybe before this returns. */
void survey_begin(struct control *control, struct survey_order *order);

#endif
