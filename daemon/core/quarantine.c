/* SPDX-License-Identifier: MIT */
/* Datagrams that could not be messages. */
#include "daemon/core/quarantine.h"
#include "daemon/base/list.h"
#include "daemon/core/table.h"

#include <errno.h>
#include <stdlib.h>

/* One rejected datagram, its bytes behind it. */
struct item {
    struct rejected rejected;
    struct table_link by_id;
    struct list in_order;
    struct list of_owner;
    struct owner_items *owner;
    uint8_t bytes[];
};

/* What is kept of one uid; it stays to count what was discarded. */
struct owner_items {
    struct table_link by_uid;
    struct owner_items *next;
    struct list items; /* oldest first */
    uid_t uid;
    uint64_t bytes;
    uint64_t discarded;
};

struct quarantine {
    uint64_t bytes_per_uid;
    uint64_t seed;
    uint64_t last_id;
    uint64_t discarded;
    uint64_t bytes;
    struct list order; /* oldest first */
    struct table ids;
    struct table owners;
    struct owner_items *first_owner;
};

int quarantine_new(struct quarantine **out, uint64_t bytes_per_uid, uint64_t seed)
{
    struct quarantine *q = calloc(1, sizeof(*q));

    *out = NULL;
    if (!q)
        return -ENOMEM;
    q->bytes_per_uid = bytes_per_uid;
    q->seed = seed;
    list_init(&q->order);
    if (table_init(&q->ids) < 0 || table_init(&q->owners) < 0) {
        quarantine_free(q);
        return -ENOMEM;
    }
    *out = q;
    return 0;
}

static uint64_t item_bytes(const struct item *item)
{
    return sizeof(*item) + item->rejected.n_bytes;
}

static void item_remove(struct quarantine *q, struct item *item)
{
    q->bytes -= item_bytes(item);
    item->owner->bytes -= item_bytes(item);
    list_remove(&item->in_order);
    list_remove(&item->of_owner);
    table_remove(&q->ids, &item->by_id);
    free(item);
}

struct quarantine *quarantine_free(struct quarantine *q)
{
    if (!q)
        return NULL;
    while (!list_is_empty(&q->order))
        item_remove(q, list_member(q->order.next, struct item, in_order));
    for (struct owner_items *o = q->first_owner, *next; o; o = next) {
        next = o->next;
        free(o);
    }
    table_deinit(&q->ids);
    table_deinit(&q->owners);
    free(q);
    return NULL;
}

static void discard(struct quarantine *q, struct owner_items *owner)
{
    owner->discarded++;
    q->discarded++;
}

/* Takes out the oldest of an owner until `wanted` more bytes fit. */
static void make_room(struct quarantine *q, struct owner_items *owner, uint64_t wanted)
{
    while (owner->bytes > 0 && owner->bytes + wanted > q->bytes_per_uid) {
        item_remove(q, list_member(owner->items.next, struct item, of_owner));
        discard(q, owner);
    }
}

void quarantine_set_limit(struct quarantine *q, uint64_t bytes_per_uid)
{
    q->bytes_per_uid = bytes_per_uid;
    for (struct owner_items *o = q->first_owner; o; o = o->next)
        make_room(q, o, 0);
}

static struct owner_items *find_owner(const struct quarantine *q, uid_t uid)
{
    struct table_link *at = table_first(&q->owners, table_hash(q->seed, &uid, sizeof(uid)));

    for (; at; at = table_next(at)) {
        struct owner_items *owner = list_member(at, struct owner_items, by_uid);

        if (owner->uid == uid)
            return owner;
    }
    return NULL;
}

static struct owner_items *find_or_add_owner(struct quarantine *q, uid_t uid)
{
    struct owner_items *owner = find_owner(q, uid);

    if (owner)
        return owner;
    owner = calloc(1, sizeof(*owner));
    if (!owner)
        return NULL;
    owner->uid = uid;
    list_init(&owner->items);
    owner->next = q->first_owner;
    q->first_owner = owner;
    table_add(&q->owners, &owner->by_uid, table_hash(q->seed, &uid, sizeof(uid)));
    return owner;
}

static struct item *item_new(const struct rejected *r)
{
    struct item *item = malloc(sizeof(*item) + r->n_bytes);

    if (!item)
        return NULL;
    *item = (struct item){.rejected = *r};
    if (r->n_bytes > 0)
        memcpy(item->bytes, r->bytes, r->n_bytes);
    item->rejected.bytes = item->bytes;
    return item;
}

int quarantine_add(struct quarantine *q, const struct rejected *r)
{
    struct owner_items *owner = find_or_add_owner(q, r->uid);
    uint64_t wanted = sizeof(struct item) + r->n_bytes;
    struct item *item;

    if (!owner) {
        q->discarded++;
        return -ENOMEM;
    }
    if (wanted > q->bytes_per_uid) {
        discard(q, owner);
        return 0;
    }
    item = item_new(r);
    if (!item) {
        discard(q, owner);
        return -ENOMEM;
    }
    make_room(q, owner, wanted);
    item->rejected.id = ++q->last_id;
    item->owner = owner;
    owner->bytes += wanted;
    q->bytes += wanted;
    list_append(&q->order, &item->in_order);
    list_append(&owner->items, &item->of_owner);
    table_add(&q->ids, &item->by_id, item->rejected.id);
    return 0;
}

/* ---- Walking ---- */

static const struct rejected *seek(const struct quarantine *q, struct list *at, const char *name)
{
    for (; at != &q->order; at = at->next) {
        const struct rejected *r = &list_member(at, struct item, in_order)->rejected;

        if (!name || strcmp(r->name, name) == 0)
            return r;
    }
    return NULL;
}

static struct item *find_item(const struct quarantine *q, uint64_t id)
{
    struct table_link *at = table_first(&q->ids, id);

    return at ? list_member(at, struct item, by_id) : NULL;
}

const struct rejected *quarantine_first(const struct quarantine *q, const char *name)
{
    return seek(q, q->order.next, name);
}

const struct rejected *quarantine_next(const struct quarantine *q, const struct rejected *r,
                                       const char *name)
{
    return quarantine_after(q, r->id, name);
}

const struct rejected *quarantine_after(const struct quarantine *q, uint64_t id, const char *name)
{
    const struct item *item = find_item(q, id);
    const struct rejected *r;

    if (item)
        return seek(q, item->in_order.next, name);
    r = quarantine_first(q, name);
    while (r && r->id <= id)
        r = quarantine_next(q, r, name);
    return r;
}

const struct rejected *quarantine_find(const struct quarantine *q, uint64_t id)
{
    const struct item *item = find_item(q, id);

    return item ? &item->rejected : NULL;
}

/* ---- Forgetting ---- */

bool quarantine_remove(struct quarantine *q, uint64_t id)
{
    struct item *item = find_item(q, id);

    if (item)
        item_remove(q, item);
    return item != NULL;
}

size_t quarantine_purge(struct quarantine *q, const char *name)
{
    const struct rejected *r = quarantine_first(q, name);
    size_t n = 0;

    for (const struct rejected *next; r; r = next, n++) {
        next = quarantine_next(q, r, name);
        quarantine_remove(q, r->id);
    }
    return n;
}

uint64_t quarantine_discarded(const struct quarantine *q, uid_t uid)
{
    const struct owner_items *owner = find_owner(q, uid);

    return owner ? owner->discarded : 0;
}

uint64_t quarantine_discarded_all(const struct quarantine *q)
{
    return q->discarded;
}

uint64_t quarantine_bytes(const struct quarantine *q)
{
    return q->bytes;
}

size_t quarantine_count(const struct quarantine *q)
{
    return q->ids.count;
}
