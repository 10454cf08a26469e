/* SPDX-License-Identifier: MIT */
/* Snapshots of many endpoints, a slice at a time. */
#include "daemon/control/survey.h"

#include "daemon/control/desk.h"
#include "daemon/control/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SLICE 128

struct survey {
    struct control *control;
    struct survey_order order;
    size_t at;                  /* names before it are done */
    size_t end;                 /* of the slice in hand */
    struct snapshot *snapshots; /* SLICE of them, in runs of the same worker */
    struct snapshot *of_name[SLICE];
    size_t n_snapshots;
    uint32_t n_pending; /* workers that have not answered yet */
    bool is_posting;
    int status;
};

/* ---- Names ---- */

int name_list_add(struct name_list *list, const char *name)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        void *names = reallocarray(list->names, capacity, sizeof(*list->names));

        if (!names)
            return -ENOMEM;
        list->names = names;
        list->capacity = capacity;
    }
    snprintf(list->names[list->n++], sizeof(*list->names), "%s", name);
    return 0;
}

int name_list_all(struct name_list *list, const struct control *control)
{
    for (struct entry *e = registry_first(control->registry); e;
         e = registry_next(control->registry, e)) {
        int r = name_list_add(list, e->settings.name);

        if (r < 0)
            return r;
    }
    return 0;
}

void name_list_deinit(struct name_list *list)
{
    free(list->names);
    *list = (struct name_list){0};
}

/* ---- A slice ---- */

static struct desk *desk_named(const struct survey *s, size_t i)
{
    struct entry *entry = registry_find(s->control->registry, s->order.names.names[i]);

    return entry ? desk_of(entry) : NULL;
}

static void on_snapshot(void *context, struct snapshot *snapshots, size_t n);

static void ask(struct survey *s, uint32_t lane, struct snapshot *first, size_t n)
{
    int r;

    if (n == 0)
        return;
    s->n_pending++;
    r = worker_snapshot(s->control->workers[lane], first, n, on_snapshot, s);
    if (r < 0) {
        s->n_pending--;
        s->status = r;
    }
}

static void ask_worker(struct survey *s, uint32_t lane)
{
    struct snapshot *first = &s->snapshots[s->n_snapshots];
    size_t n = 0;

    for (size_t i = s->at; i < s->end; i++) {
        struct desk *desk = desk_named(s, i);

        if (!desk || desk->lane != lane || !desk->entry->endpoint)
            continue;
        first[n].endpoint = desk->entry->endpoint;
        s->of_name[i - s->at] = &first[n++];
    }
    s->n_snapshots += n;
    ask(s, lane, first, n);
}

static void begin_slice(struct survey *s)
{
    size_t left = s->order.names.n - s->at;

    s->end = s->at + (left < SLICE ? left : SLICE);
    s->n_snapshots = 0;
    for (size_t i = 0; i < SLICE; i++)
        s->of_name[i] = NULL;
    s->is_posting = true;
    for (uint32_t lane = 0; lane < s->control->n_workers; lane++)
        ask_worker(s, lane);
    s->is_posting = false;
}

static void give_rows(struct survey *s)
{
    for (size_t i = s->at; i < s->end && s->status == 0; i++) {
        struct desk *desk = desk_named(s, i);
        const struct snapshot *snapshot = s->of_name[i - s->at];

        /* Another endpoint than the one that was looked at, by now. */
        if (!desk || (snapshot && snapshot->endpoint != desk->entry->endpoint))
            continue;
        if (!s->order.row(s->order.context, desk, snapshot))
            s->status = -ECANCELED;
    }
    s->at = s->end;
}

static void finish(struct survey *s)
{
    survey_done done = s->order.done;
    void *context = s->order.context;
    int status = s->status;

    name_list_deinit(&s->order.names);
    free(s->snapshots);
    free(s);
    done(context, status);
}

static void advance(struct survey *s)
{
    while (s->n_pending == 0) {
        give_rows(s);
        if (s->control->is_closing && s->status == 0)
            s->status = -ECANCELED;
        if (s->status < 0 || s->at == s->order.names.n) {
            finish(s);
            return;
        }
        begin_slice(s);
    }
}

static void on_snapshot(void *context, struct snapshot *snapshots, size_t n)
{
    struct survey *s = context;

    (void)snapshots;
    (void)n;
    s->n_pending--;
    if (!s->is_posting)
        advance(s);
}

void survey_begin(struct control *control, struct survey_order *order)
{
    struct survey *s = calloc(1, sizeof(*s));
    struct snapshot *snapshots = calloc(SLICE, sizeof(*snapshots));

    if (!s || !snapshots) {
        free(s);
        free(snapshots);
        name_list_deinit(&order->names);
        order->done(order->context, -ENOMEM);
        return;
    }
    s->control = control;
    s->order = *order;
    order->names = (struct name_list){0};
    s->snapshots = snapshots;
    advance(s);
}
