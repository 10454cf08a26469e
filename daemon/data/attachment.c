/* SPDX-License-Identifier: MIT */
/* Endpoints come to a link and leave it. */
#include "daemon/data/link.h"

#include <errno.h>
#include <stdlib.h>

/* ---- Memory ---- */

int join_memory_new(struct join_memory *m, const struct endpoint *e, uint32_t n_slots)
{
    *m = (struct join_memory){.n_slots = n_slots};
    if (n_slots > 0) {
        m->slots = calloc(n_slots, sizeof(struct consumer *));
        if (m->slots == NULL)
            return -ENOMEM;
    }
    if (e->promised_mode != MODE_COPY)
        return 0;
    /* As many records as all who are there and who come can hold. */
    uint64_t n_consumers = atomic_load_explicit(&e->n_joined, memory_order_relaxed) + 1;
    m->n_copies = copies_slots(e->promised_bytes / RING_RECORD_ALIGN * n_consumers);
    m->copies = calloc(m->n_copies, sizeof(*m->copies));
    if (m->copies != NULL)
        return 0;
    join_memory_free(m);
    return -ENOMEM;
}

void join_memory_free(struct join_memory *m)
{
    free(m->slots);
    free(m->copies);
    *m = (struct join_memory){0};
}

void join_memory_use(struct join_memory *m, struct endpoint *e, struct lane *lane)
{
    if (m->slots != NULL)
        m->slots = lane_grow_slots(lane, m->slots, m->n_slots);
    if (m->copies != NULL)
        m->copies = copies_grow(&e->mailbox.copies, m->copies, m->n_copies);
}

/* ---- Coming ---- */

static void attachment_free(struct attachment *a)
{
    join_memory_free(&a->memory);
    free(a);
}

/* A successor is to know whose its messages are. */
static void keep_slot(struct attachment *a)
{
    struct link_slot *slot = &link_remains_slots(a->link->remains.bytes)[a->consumer.slot];

    slot->departed = a->link->lane.log.head;
    DURABLE_STEP();
    slot->number = a->endpoint->number;
    a->consumer.kept_departed = &slot->departed;
}

static void run_attach(struct worker *w, struct command *c)
{
    struct attachment *a = CONTAINER_OF(c, struct attachment, attach);
    struct link *l = a->link;
    (void)w;

    join_memory_use(&a->memory, a->endpoint, &l->lane);
    if (l->state != LINK_OPEN || a->endpoint->is_removed) {
        endpoint_unjoined(a->endpoint);
        attachment_free(a);
        return;
    }
    a->next = l->attachments;
    l->attachments = a;
    if (a->consumer.slot < LINK_SLOTS)
        keep_slot(a);
    mailbox_join(&a->endpoint->mailbox, &a->consumer, &l->lane, a->consumer.slot);
    endpoint_move(a->endpoint);
}

int worker_attach(struct worker *worker, struct link *link, struct endpoint *endpoint,
                  uint32_t slot)
{
    struct attachment *a = calloc(1, sizeof(*a));
    uint32_t n_slots = link->n_slots;

    if (a == NULL)
        return -ENOMEM;
    while (n_slots <= slot)
        n_slots = n_slots == 0 ? 8 : n_slots * 2;
    if (join_memory_new(&a->memory, endpoint, n_slots > link->n_slots ? n_slots : 0) != 0) {
        attachment_free(a);
        return -ENOMEM;
    }
    link->n_slots = n_slots;
    endpoint_joining(endpoint);
    a->consumer.owner = a;
    a->consumer.slot = slot;
    a->endpoint = endpoint;
    a->link = link;
    a->attach.run = run_attach;
    command_post(worker, &a->attach);
    return 0;
}

/* ---- Leaving ---- */

static void attachment_left(struct attachment *a)
{
    struct endpoint *e = a->endpoint;
    struct attachment **at = &a->link->attachments;

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    mailbox_end_leave(&e->mailbox, &a->consumer);
    endpoint_unjoined(e);
    attachment_free(a);
    endpoint_move(e);
}

static struct attachment *departing(const struct link *l)
{
    struct attachment *a = l->attachments;

    while (a != NULL && !a->is_departing)
        a = a->next;
    return a;
}

/* Endpoints that leave by themselves go first, then the link as a whole. */
static bool leave_step(struct worker *w, struct task *t)
{
    struct link *l = CONTAINER_OF(t, struct link, leave);
    struct attachment *a = departing(l);

    if (a != NULL) {
        if (!departure_step(&a->departure, TASK_BUDGET))
            attachment_left(a);
    } else if (l->is_departing && !departure_step(&l->departure, TASK_BUDGET)) {
        l->is_departing = false;
        while (l->attachments != NULL)
            attachment_left(l->attachments);
        link_left(l); /* control may free it from here on */
        return false;
    }
    worker_flush(w);
    return departing(l) != NULL || l->is_departing;
}

static void queue_leave(struct link *l)
{
    l->leave.step = leave_step;
    task_queue(l->worker, &l->leave);
}

void attachment_leave(struct attachment *a, int drop)
{
    if (a->consumer.is_leaving)
        return;
    (void)!lane_collect(a->consumer.lane); /* a broken lane says so itself */
    mailbox_begin_leave(&a->endpoint->mailbox, &a->consumer);
    departure_begin(&a->departure, &a->link->lane, &a->consumer, drop);
    a->is_departing = true;
    queue_leave(a->link);
}

void link_leave(struct link *l)
{
    lane_abandon(&l->lane);
    for (struct attachment *a = l->attachments; a != NULL; a = a->next)
        if (!a->consumer.is_leaving)
            mailbox_begin_leave(&a->endpoint->mailbox, &a->consumer);
    departure_begin(&l->departure, &l->lane, NULL, MESSAGE_KEPT);
    l->is_departing = true;
    queue_leave(l);
}

struct detach {
    struct command command;
    struct link *link;
    struct endpoint *endpoint;
};

static void run_detach(struct worker *w, struct command *c)
{
    struct detach *d = CONTAINER_OF(c, struct detach, command);

    for (struct attachment *a = d->link->attachments; a != NULL; a = a->next)
        if (a->endpoint == d->endpoint)
            attachment_leave(a, MESSAGE_KEPT);
    command_finish(w, c);
}

static void detach_done(struct command *c)
{
    free(CONTAINER_OF(c, struct detach, command));
}

int worker_detach(struct worker *worker, struct link *link, struct endpoint *endpoint)
{
    struct detach *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return -ENOMEM;
    *d = (struct detach){
        .command = {.run = run_detach, .done = detach_done}, .link = link, .endpoint = endpoint};
    command_post(worker, &d->command);
    return 0;
}
