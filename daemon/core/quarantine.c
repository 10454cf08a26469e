/* SPDX-License-Identifier: MIT */
/* Datagrams that could not be messages. */
#include "daemon/core/quarantine.h"
#include "daemon/base/list.h"
#include "daemon/core/table.h"

#include <errno.h>
#include <stdlib.h>

enum where { IN_MEMORY, ON_ITS_WAY, ON_DISK };

/* One rejected datagram, its bytes behind it. */
struct item {
    struct rejected rejected;
    struct table_link by_id;
    struct list in_order;
    struct list of_owner;
    struct list to_write; /* in `unwritten` */
    struct owner_items *owner;
    enum where where;
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
    struct list order;     /* oldest first */
    struct list unwritten; /* oldest first */
    size_t n_on_disk;      /* also what is on its way there, or from there */
    size_t n_here_on_disk; /* of these, what is here */
    uint64_t *deletions;   /* n_deletions ids that are on disk alone. There is always room for all
                              of n_on_disk, so that removing needs no memory */
    size_t n_deletions;
    size_t deletions_room;
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
    list_init(&q->unwritten);
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

/* An item that was on disk is no longer here. */
static void want_deletion(struct quarantine *q, uint64_t id)
{
    q->deletions[q->n_deletions++] = id;
}

static void item_remove(struct quarantine *q, struct item *item)
{
    q->bytes -= item_bytes(item);
    item->owner->bytes -= item_bytes(item);
    if (item->where == ON_DISK) {
        q->n_here_on_disk--;
        want_deletion(q, item->rejected.id);
    }
    list_remove(&item->to_write);
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
    free(q->deletions);
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

/* Puts a copy in, in the place of the oldest if need be. NULL: there is none, and it was counted.
 */
static struct item *put(struct quarantine *q, const struct rejected *r, uint64_t id, int *status)
{
    struct owner_items *owner = find_or_add_owner(q, r->uid);
    uint64_t wanted = sizeof(struct item) + r->n_bytes;
    struct item *item = NULL;

    *status = owner ? 0 : -ENOMEM;
    if (!owner) {
        q->discarded++;
        return NULL;
    }
    if (wanted <= q->bytes_per_uid) {
        item = item_new(r);
        *status = item ? 0 : -ENOMEM;
    }
    if (!item) {
        discard(q, owner);
        return NULL;
    }
    make_room(q, owner, wanted);
    item->rejected.id = id;
    item->owner = owner;
    owner->bytes += wanted;
    q->bytes += wanted;
    list_append(&q->order, &item->in_order);
    list_append(&owner->items, &item->of_owner);
    table_add(&q->ids, &item->by_id, id);
    return item;
}

int quarantine_add(struct quarantine *q, const struct rejected *r)
{
    int status;
    struct item *item = put(q, r, q->last_id + 1, &status);

    if (item) {
        q->last_id++;
        list_append(&q->unwritten, &item->to_write);
    }
    return status;
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

/* ---- The disk ---- */

static int reserve_deletion(struct quarantine *q)
{
    size_t wanted = q->n_on_disk + 1;
    uint64_t *more;

    if (wanted <= q->deletions_room)
        return 0;
    more = reallocarray(q->deletions, wanted * 2, sizeof(*more));
    if (!more)
        return -ENOMEM;
    q->deletions = more;
    q->deletions_room = wanted * 2;
    return 0;
}

static void arrive(struct quarantine *q, struct item *item)
{
    item->where = ON_DISK;
    q->n_here_on_disk++;
}

int quarantine_load(struct quarantine *q, const struct rejected *r)
{
    struct item *item;
    int status;

    if (r->id > q->last_id)
        q->last_id = r->id;
    if (reserve_deletion(q) < 0)
        return -ENOMEM;
    item = put(q, r, r->id, &status);
    if (status < 0)
        return status;
    q->n_on_disk++;
    if (item)
        arrive(q, item);
    else
        want_deletion(q, r->id);
    return 0;
}

const struct rejected *quarantine_unwritten(const struct quarantine *q)
{
    return list_is_empty(&q->unwritten)
               ? NULL
               : &list_member(q->unwritten.next, struct item, to_write)->rejected;
}

int quarantine_begin_write(struct quarantine *q, uint64_t id)
{
    struct item *item = find_item(q, id);

    if (reserve_deletion(q) < 0)
        return -ENOMEM;
    q->n_on_disk++;
    item->where = ON_ITS_WAY;
    list_remove(&item->to_write);
    return 0;
}

void quarantine_end_write(struct quarantine *q, uint64_t id, bool is_on_disk)
{
    struct item *item = find_item(q, id);

    if (!is_on_disk) {
        q->n_on_disk--;
        if (item)
            item->where = IN_MEMORY;
    } else if (item) {
        arrive(q, item);
    } else {
        want_deletion(q, id);
    }
}

uint64_t quarantine_take_deletion(struct quarantine *q)
{
    if (q->n_deletions == 0)
        return 0;
    q->n_on_disk--;
    return q->deletions[--q->n_deletions];
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

size_t quarantine_count_unwritten(const struct quarantine *q)
{
    return q->ids.count - q->n_here_on_disk;
}
