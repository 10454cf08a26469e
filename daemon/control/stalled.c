/* SPDX-License-Identifier: MIT */
/* Consumers that have stalled, on endpoints with on_stall "away". */
#include "daemon/control/stalled.h"

#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/holders.h"
#include "daemon/control/state.h"
#include "daemon/control/survey.h"

#include <stdio.h>

static bool has_stalled(const struct holder *holder, const struct snapshot *s)
{
    const void *key = holder_key(holder);

    for (uint32_t i = 0; i < s->n_consumers && i < MAX_CONSUMER_ROWS; i++)
        if (key && s->consumers[i].key == key)
            return s->consumers[i].is_stalled;
    return false;
}

static struct holder *find_stalled(const struct desk *desk, const struct snapshot *s)
{
    list_for_each(at, next, &desk->holders)
    {
        struct holder *holder = list_member(at, struct holder, of_desk);

        if (has_stalled(holder, s))
            return holder;
    }
    return NULL;
}

static bool end_stalled(void *context, const struct desk *desk, const struct snapshot *s)
{
    const struct settings *settings = &desk->entry->settings;
    char reason[96];
    struct ending ending = {.error = "io.msgd.TryAgain", .reason = reason};
    struct holder *holder;

    (void)context;
    if (!s || settings->on_stall != STALL_AWAY)
        return true;
    snprintf(reason, sizeof(reason), "has stalled: its consumer released nothing for %u s",
             settings->stall_s);
    /* One that is closed may take others of the list along, so each time from the start. */
    while ((holder = find_stalled(desk, s)) != NULL) {
        control_complain(desk->control, "%s %s (pid %d)", desk->name, reason,
                         (int)holder->connection->peer.pid);
        holder_end(holder, &ending);
    }
    return true;
}

static void done(void *context, int status)
{
    /* What could not be looked at is told again. */
    (void)context;
    (void)status;
}

void stalled_end(struct desk *desk)
{
    struct survey_order order = {.row = end_stalled, .done = done};

    if (name_list_add(&order.names, desk->name) == 0)
        survey_begin(desk->control, &order);
}
