/* SPDX-License-Identifier: MIT */
/* Handing out and releasing, without allocation or system call for a message. */
#include "client/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What struct msgd_message.internal holds. */
enum { INTERNAL_LINK, INTERNAL_POSITION, INTERNAL_END };

void inbox_deinit(struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->n_links; i++)
        link_free(inbox->links[i]);
    free(inbox->links);
    free(inbox->runs);
    *inbox = (struct inbox){0};
}

struct link *inbox_link_of_lane(const struct inbox *inbox, uint32_t lane)
{
    for (size_t i = 0; i < inbox->n_links; i++)
        if (inbox->links[i]->is_live && inbox->links[i]->lane == lane)
            return inbox->links[i];
    return NULL;
}

static void remove_link(struct inbox *inbox, size_t index)
{
    link_free(inbox->links[index]);
    inbox->n_links--;
    memmove(inbox->links + index, inbox->links + index + 1,
            (inbox->n_links - index) * sizeof(*inbox->links));
}

/* Ended links of which the program holds nothing any more. */
static void drop_settled_links(struct inbox *inbox)
{
    for (size_t i = inbox->n_links; i > 0; i--)
        if (!inbox->links[i - 1]->is_live && link_is_settled(inbox->links[i - 1]))
            remove_link(inbox, i - 1);
}

int inbox_add_link(struct inbox *inbox, struct link *link)
{
    struct link **links = realloc(inbox->links, (inbox->n_links + 1) * sizeof(*links));

    if (links == NULL)
        return -ENOMEM;
    inbox->links = links;
    struct link *former = inbox_link_of_lane(inbox, link->lane);
    if (former != NULL)
        link_end(former);
    link->id = ++inbox->last_id;
    links[inbox->n_links++] = link;
    drop_settled_links(inbox);
    return 0;
}

void inbox_end_links(struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->n_links; i++)
        if (inbox->links[i]->is_live)
            link_end(inbox->links[i]);
    drop_settled_links(inbox);
}

/* ---- Handing out ---- */

static struct run *run_at(const struct inbox *inbox, size_t index)
{
    return &inbox->runs[(inbox->first_run + index) & (inbox->runs_capacity - 1)];
}

/* Room for a run from every link. */
static int runs_reserve(struct inbox *inbox)
{
    size_t wanted = inbox->n_runs + inbox->n_links;

    if (wanted <= inbox->runs_capacity)
        return 0;
    size_t capacity = inbox->runs_capacity == 0 ? 8 : inbox->runs_capacity;
    while (capacity < wanted)
        capacity *= 2;
    struct run *runs = malloc(capacity * sizeof(*runs));
    if (runs == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < inbox->n_runs; i++)
        runs[i] = *run_at(inbox, i);
    free(inbox->runs);
    inbox->runs = runs;
    inbox->first_run = 0;
    inbox->runs_capacity = capacity;
    return 0;
}

/* Notes that a link's messages up to its `handed` are in the program's hands. */
static void note_run(struct inbox *inbox, struct link *link)
{
    if (inbox->n_runs == 0 || run_at(inbox, inbox->n_runs - 1)->link != link)
        run_at(inbox, inbox->n_runs++)->link = link;
    run_at(inbox, inbox->n_runs - 1)->end = link->handed;
}

/* The scope of a record belongs to whichever of its addresses needs one. */
static void fill_scopes(const struct record *r, struct msgd_message *out)
{
    struct address address;

    record_from(r, &address);
    out->from.scope = address.scope;
    record_to(r, &address);
    out->to.scope = address.scope;
}

static void fill_tag(const struct record *r, struct msgd_message *out)
{
    struct message_tag tag;

    record_tag(r, &tag);
    out->type = tag.type == MESSAGE_SEND      ? MSGD_SEND
                : tag.type == MESSAGE_REQUEST ? MSGD_REQUEST
                : tag.type == MESSAGE_REPLY   ? MSGD_REPLY
                                              : MSGD_PLAIN;
    out->id = tag.n_id > 0 ? tag.id : "";
    out->id_length = tag.n_id;
}

static void fill(const struct record *r, const struct registration *of, struct msgd_message *out)
{
    uint32_t word = atomic_load_explicit(&r->word, memory_order_relaxed);

    out->name = of->name;
    out->data = r + 1;
    out->length = record_length_of(word);
    out->seq = r->seq;
    out->time_ns = r->time_ns;
    memcpy(out->from.ip, r->from_ip, sizeof(out->from.ip));
    out->from.port = r->from_port;
    out->from.scope = 0;
    memcpy(out->to.ip, r->to_ip, sizeof(out->to.ip));
    out->to.port = r->to_port;
    out->to.scope = 0;
    if (r->scope != 0)
        fill_scopes(r, out);
    out->is_redelivered = record_kind_of(word) == RECORD_REDELIVERED;
    out->deliveries = record_returns_of(word) + 1;
    out->generation = of->generation;
    out->type = MSGD_PLAIN;
    out->id = "";
    out->id_length = 0;
    if (record_trailer_length_of(word) > 0)
        fill_tag(r, out);
}

/* The next claimed record of a link into link->held. False: none is left. */
static bool hold_next(struct link *link)
{
    if (link->held == NULL)
        link->held = ring_next(&link->reader, &link->held_position, &link->held_end);
    return link->held != NULL;
}

/* Claims more. As ring_claim, and 0 for a link that msgd has ended. */
static int claim(struct link *link, size_t max)
{
    /* ring_next stops early only where what was claimed makes no sense. */
    if (link->reader.next < link->reader.claimed)
        return -EPROTO;
    if (link_has_ended(link))
        return 0;
    return ring_claim(&link->reader, max);
}

/* Hands out from one link. *n: how many. 0, or what claiming said. */
static int link_take(struct inbox *inbox, struct link *link, struct msgd_message *out, size_t max,
                     size_t *n)
{
    int rc = 0;

    for (*n = 0; *n < max;) {
        if (!hold_next(link)) {
            rc = claim(link, max - *n);
            if (rc <= 0)
                break;
            continue;
        }
        uint32_t slot = link->held->slot;
        const struct registration *of = slot < link->n_slots ? link->slots[slot] : NULL;
        /* Attach's reply is still on its way: the message waits, and those behind it. */
        if (of == NULL)
            break;
        struct msgd_message *message = &out[(*n)++];
        fill(link->held, of, message);
        message->internal[INTERNAL_LINK] = link->id;
        message->internal[INTERNAL_POSITION] = link->held_position;
        message->internal[INTERNAL_END] = link->held_end;
        link->handed = link->held_end;
        link->held = NULL;
    }
    if (*n > 0)
        note_run(inbox, link);
    return rc < 0 ? rc : 0;
}

int inbox_take(struct inbox *inbox, struct msgd_message *messages, size_t max)
{
    size_t taken = 0;
    int error = 0;

    if (runs_reserve(inbox) != 0)
        return -ENOMEM;
    if (max > INT32_MAX)
        max = INT32_MAX;
    for (size_t i = 0; i < inbox->n_links && taken < max; i++) {
        struct link *link = inbox->links[(inbox->next_link + i) % inbox->n_links];
        size_t n;
        if (!link->is_live)
            continue;
        int rc = link_take(inbox, link, messages + taken, max - taken, &n);
        if (rc != 0)
            error = rc;
        taken += n;
    }
    inbox->next_link++;
    return taken > 0 ? (int)taken : error;
}

/* ---- Releasing ---- */

static void link_release(struct link *link, uint64_t end)
{
    link->released = end;
    if (ring_release(&link->reader, end))
        link_ring_doorbell(link);
}

/* The first run that holds the message; n_runs if none does. */
static size_t find_run(const struct inbox *inbox, const struct msgd_message *message)
{
    uint64_t id = message->internal[INTERNAL_LINK];
    uint64_t end = message->internal[INTERNAL_END];
    size_t i;

    for (i = 0; i < inbox->n_runs; i++) {
        const struct run *run = run_at(inbox, i);
        if (run->link->id == id && end <= run->end)
            return end > run->link->released ? i : inbox->n_runs;
    }
    return i;
}

void inbox_release(struct inbox *inbox, const struct msgd_message *last)
{
    size_t index = find_run(inbox, last);
    bool has_ended = false;

    if (index == inbox->n_runs)
        return;
    for (size_t i = 0; i <= index; i++) {
        const struct run *run = run_at(inbox, i);
        link_release(run->link, i < index ? run->end : last->internal[INTERNAL_END]);
        has_ended |= !run->link->is_live;
    }
    size_t n_whole = run_at(inbox, index)->end == last->internal[INTERNAL_END] ? index + 1 : index;
    inbox->first_run += n_whole;
    inbox->n_runs -= n_whole;
    if (has_ended)
        drop_settled_links(inbox);
}

struct link *inbox_link_of(struct inbox *inbox, const struct msgd_message *message,
                           uint64_t *position)
{
    *position = message->internal[INTERNAL_POSITION];
    for (size_t i = 0; i < inbox->n_links; i++) {
        struct link *link = inbox->links[i];
        if (link->id != message->internal[INTERNAL_LINK])
            continue;
        bool is_held = *position >= link->released && *position < link->handed;
        return link->is_live && is_held ? link : NULL;
    }
    return NULL;
}

/* ---- Waiting ---- */

bool inbox_prepare_wait(struct inbox *inbox)
{
    bool is_empty = true;

    for (size_t i = 0; i < inbox->n_links; i++) {
        struct link *link = inbox->links[i];
        if (!link->is_live || link_has_ended(link))
            continue;
        /* Behind a message that is held back there is nothing to look for. */
        if (link->held == NULL && !ring_prepare_wait(&link->reader))
            is_empty = false;
    }
    return is_empty;
}

bool inbox_is_stuck(const struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->n_links; i++)
        if (inbox->links[i]->held != NULL)
            return true;
    return false;
}

bool inbox_has_ended(const struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->n_links; i++)
        if (inbox->links[i]->is_live && link_has_ended(inbox->links[i]))
            return true;
    return false;
}
