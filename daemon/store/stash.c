/* SPDX-License-Identifier: MIT */
/* Descriptors that outlive the daemon: which item lies in which segment. */
#include "daemon/store/stash.h"

#include "daemon/core/table.h"
#include "daemon/store/stash_keeper.h"
#include "daemon/store/stash_segment.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

struct stash {
    struct list segments; /* oldest first; the last one may still be written to */
    struct table items;
    uint64_t seed;
    uint64_t last_number;
    uint64_t last_serial;
    bool is_kept;     /* by systemd */
    bool is_promised; /* to a successor */
    bool is_dirty;
};

/* An item that is in the stash. */
struct held {
    struct table_link by_item;
    struct segment_record record;
    struct segment *segment;
    int left; /* the predecessor's descriptor until somebody takes it; -1 */
};

static struct segment *segment_of(struct list *link)
{
    return list_member(link, struct segment, link);
}

/* ---- Items ---- */

static uint64_t hash_of(const struct stash *s, const struct stash_item *item)
{
    return table_hash(s->seed, item, sizeof(*item));
}

static bool is_same(const struct stash_item *a, const struct stash_item *b)
{
    return a->kind == b->kind && a->index == b->index && a->key == b->key;
}

static struct held *find(const struct stash *s, const struct stash_item *item)
{
    struct table_link *at = table_first(&s->items, hash_of(s, item));

    while (at && !is_same(&list_member(at, struct held, by_item)->record.item, item))
        at = table_next(at);
    return at ? list_member(at, struct held, by_item) : NULL;
}

/* The record of `held` in its segment does not count any more. */
static void forget_record(struct stash *s, struct held *held)
{
    held->segment->n_alive--;
    held->segment->is_dirty = true;
    s->is_dirty = true;
}

static void free_left(struct held *held)
{
    if (held->left >= 0)
        close(held->left);
    held->left = -1;
}

static void held_free(struct stash *s, struct held *held)
{
    free_left(held);
    table_remove(&s->items, &held->by_item);
    free(held);
}

static struct held *held_new(struct stash *s, const struct segment_record *record,
                             struct segment *segment)
{
    struct held *held = calloc(1, sizeof(*held));

    if (!held)
        return NULL;
    held->record = *record;
    held->segment = segment;
    held->left = -1;
    table_add(&s->items, &held->by_item, hash_of(s, &record->item));
    return held;
}

/* ---- Segments ---- */

static void drop_segment(struct stash *s, struct segment *g)
{
    assert(g->n_alive == 0);
    if (s->is_kept)
        keeper_drop(g->number);
    list_remove(&g->link);
    segment_free(g);
}

/* A new segment to write to. */
static int add_segment(struct stash *s)
{
    struct segment *g;
    int r = segment_new(&g, s->last_number + 1);

    if (r < 0)
        return r;
    r = s->is_kept ? keeper_store(g->number, g->kept_end) : 0;
    if (r < 0) {
        segment_free(g);
        return r;
    }
    s->last_number++;
    list_append(&s->segments, &g->link);
    return 0;
}

/* One that is full of messages of few records is written anew, in few messages: each costs whoever
 * takes it over as much as all that is in it. */
static void have_packed(struct stash *s, struct segment *g)
{
    if (g->n_messages > 2 * SEGMENT_RECORDS / SEGMENT_BATCH)
        g->is_dirty = s->is_dirty = true;
}

/* Appends to the last segment, or to a new one behind it, which *out is. */
static int append(struct stash *s, const struct segment_batch *batch, struct segment **out)
{
    int r = -ENOBUFS;

    if (!list_is_empty(&s->segments))
        r = segment_append(segment_of(s->segments.previous), batch);
    if (r == -ENOBUFS) {
        if (!list_is_empty(&s->segments))
            have_packed(s, segment_of(s->segments.previous));
        r = add_segment(s);
        if (r == 0)
            r = segment_append(segment_of(s->segments.previous), batch);
    }
    *out = segment_of(s->segments.previous);
    return r;
}

int stash_put_noted(struct stash *s, const struct stash_item *item, int fd, uint64_t note)
{
    struct segment_batch batch = {
        .records[0] = {.item = *item, .serial = s->last_serial + 1, .note = note},
        .fds[0] = fd,
        .n = 1};
    struct held *held = find(s, item);
    bool is_new = !held;
    struct segment *g;
    int r;

    if (is_new)
        held = held_new(s, &batch.records[0], NULL);
    if (!held)
        return -ENOMEM;
    r = append(s, &batch, &g);
    if (r < 0) {
        if (is_new)
            held_free(s, held);
        return r;
    }
    s->last_serial++;
    if (!is_new)
        forget_record(s, held);
    free_left(held);
    held->record = batch.records[0];
    held->segment = g;
    g->n_alive++;
    return 0;
}

int stash_put(struct stash *s, const struct stash_item *item, int fd)
{
    return stash_put_noted(s, item, fd, 0);
}

void stash_remove(struct stash *s, const struct stash_item *item)
{
    struct held *held = find(s, item);

    if (!held)
        return;
    forget_record(s, held);
    held_free(s, held);
}

int stash_take_noted(struct stash *s, const struct stash_item *item, uint64_t *note)
{
    struct held *held = find(s, item);
    int fd = held ? held->left : -1;

    if (fd < 0)
        return -ENOENT;
    held->left = -1;
    *note = held->record.note;
    return fd;
}

int stash_take(struct stash *s, const struct stash_item *item)
{
    uint64_t note;

    return stash_take_noted(s, item, &note);
}

/* ---- Letting go ---- */

/* Whose record is the one at hand, in segment g; NULL: it does not count any more. */
static struct held *owner_of(const struct stash *s, const struct segment_record *record,
                             const struct segment *g)
{
    struct held *held = find(s, &record->item);

    return held && held->segment == g && held->record.serial == record->serial ? held : NULL;
}

/* Moves a batch out of `from`; its descriptors are closed. */
static int move_batch(struct stash *s, struct segment *from, struct segment_batch *batch)
{
    struct segment *g;
    int r = batch->n ? append(s, batch, &g) : 0;

    for (size_t i = 0; r == 0 && i < batch->n; i++) {
        find(s, &batch->records[i].item)->segment = g;
        g->n_alive++;
        from->n_alive--;
    }
    segment_batch_close(batch);
    return r;
}

/* Adds what counts of a message to `live`, which is moved out when it is full. */
static int sift(struct stash *s, struct segment *g, struct segment_batch *message,
                struct segment_batch *live)
{
    int r = 0;

    for (size_t i = 0; i < message->n; i++) {
        if (r < 0 || !owner_of(s, &message->records[i], g)) {
            close(message->fds[i]);
            continue;
        }
        live->records[live->n] = message->records[i];
        live->fds[live->n++] = message->fds[i];
        if (live->n == SEGMENT_BATCH)
            r = move_batch(s, g, live);
    }
    return r;
}

/* Writes what counts of a segment to others. */
static int empty_segment(struct stash *s, struct segment *g)
{
    struct segment_batch message, live = {.n = 0};
    int r;

    segment_seal(g);
    r = segment_walk_begin(g);
    while (r == 0 && (r = segment_walk_next(g, &message)) > 0)
        r = sift(s, g, &message, &live);
    if (r == 0)
        return move_batch(s, g, &live);
    segment_batch_close(&live);
    return r;
}

void stash_flush(struct stash *s)
{
    if (!s->is_dirty)
        return;
    s->is_dirty = false;
    /* Oldest first: what was replaced must not come back if this process is killed in between. */
    list_for_each(at, next, &s->segments)
    {
        struct segment *g = segment_of(at);

        if (!g->is_dirty)
            continue;
        if (g->n_alive > 0 && empty_segment(s, g) < 0)
            s->is_dirty = true;
        else
            drop_segment(s, g);
    }
}

/* ---- Opening ---- */

static struct stash *stash_new(void)
{
    struct stash *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    list_init(&s->segments);
    if (table_init(&s->items) < 0 ||
        getrandom(&s->seed, sizeof(s->seed), 0) != (ssize_t)sizeof(s->seed))
        return stash_close(s);
    return s;
}

/* In the order of their numbers. */
static void insert_segment(struct stash *s, struct segment *g)
{
    struct list *behind = s->segments.previous;

    while (behind != &s->segments && segment_of(behind)->number > g->number)
        behind = behind->previous;
    g->link = (struct list){.next = behind->next, .previous = behind};
    behind->next->previous = &g->link;
    behind->next = &g->link;
    if (g->number > s->last_number)
        s->last_number = g->number;
}

static int adopt_end(struct stash *s, int end)
{
    struct segment *g;
    uint32_t version = 0;
    int r = segment_adopt(&g, end, &version);

    if (r == STASH_UNKNOWN_VERSION)
        log_error("the descriptors that were kept are of version %u, which this msgd (version %u) "
                  "does not know; they are left as they are: start the msgd that made them, or let "
                  "them go with systemctl stop msgd",
                  version, STASH_VERSION);
    else if (r < 0)
        return error_trace(r, "cannot read the descriptors that were kept");
    else
        insert_segment(s, g);
    return r;
}

/* A record of a predecessor; takes fd. */
static int adopt_record(struct stash *s, struct segment *g, const struct segment_record *record,
                        int fd)
{
    struct held *held = find(s, &record->item);

    if (record->serial > s->last_serial)
        s->last_serial = record->serial;
    if (held && held->record.serial > record->serial) {
        close(fd);
        g->is_dirty = s->is_dirty = true;
        return 0;
    }
    if (held) {
        forget_record(s, held);
        free_left(held);
    } else {
        held = held_new(s, record, g);
    }
    if (!held) {
        close(fd);
        return -ENOMEM;
    }
    held->record = *record;
    held->segment = g;
    held->left = fd;
    g->n_alive++;
    return 0;
}

static int read_segment(struct stash *s, struct segment *g)
{
    struct segment_batch message;
    int r = segment_walk_begin(g);

    while (r == 0 && (r = segment_walk_next(g, &message)) > 0) {
        r = 0;
        for (size_t i = 0; i < message.n; i++) {
            if (r < 0)
                close(message.fds[i]);
            else
                r = adopt_record(s, g, &message.records[i], message.fds[i]);
        }
    }
    /* One that lost its last item just before its end was given back. */
    if (g->n_alive == 0)
        g->is_dirty = s->is_dirty = true;
    return r < 0 ? error_trace(r, "cannot take over the descriptors that were kept") : 0;
}

/* r: of what was done before, which is given back. */
static int finish_open(struct stash **out, struct stash *s, int r)
{
    if (r == 0)
        list_for_each(at, next, &s->segments) if (r == 0) r = read_segment(s, segment_of(at));
    if (r == 0)
        s->is_kept = keeper_is_there();
    *out = r == 0 ? s : stash_close(s);
    return r;
}

int stash_open(struct stash **out, struct inherited *inherited)
{
    struct stash *s = stash_new();
    int r = s ? 0 : -ENOMEM;
    int end;

    while (r == 0 && (end = inherited_take(inherited, "msgd-stash")) >= 0)
        r = adopt_end(s, end);
    return finish_open(out, s, r);
}

int stash_open_ends(struct stash **out, const int *ends, size_t n)
{
    struct stash *s = stash_new();
    int r = s ? 0 : -ENOMEM;

    for (size_t i = 0; i < n; i++) {
        if (r == 0)
            r = adopt_end(s, ends[i]);
        else
            close(ends[i]);
    }
    return finish_open(out, s, r);
}

static void free_items(struct stash *s)
{
    for (size_t i = 0; i < s->items.n_buckets; i++)
        while (s->items.buckets[i])
            held_free(s, list_member(s->items.buckets[i], struct held, by_item));
}

struct stash *stash_close(struct stash *s)
{
    if (!s)
        return NULL;
    free_items(s);
    table_deinit(&s->items);
    list_for_each(at, next, &s->segments)
    {
        list_remove(at);
        segment_free(segment_of(at));
    }
    free(s);
    return NULL;
}

/* ---- Asking ---- */

void stash_promise(struct stash *s)
{
    s->is_promised = true;
}

bool stash_is_kept(const struct stash *s)
{
    return s->is_kept || s->is_promised;
}

void stash_each_left(struct stash *s, uint32_t kind,
                     void (*visit)(void *context, const struct stash_item *item), void *context)
{
    for (size_t i = 0; i < s->items.n_buckets; i++) {
        struct table_link *next;

        for (struct table_link *at = s->items.buckets[i]; at; at = next) {
            struct held *held = list_member(at, struct held, by_item);
            struct stash_item item = held->record.item;

            next = at->next;
            if (held->left >= 0 && (kind == 0 || item.kind == kind))
                visit(context, &item);
        }
    }
}

size_t stash_ends(const struct stash *s, int *ends, size_t max)
{
    size_t n = 0;

    for (struct list *at = s->segments.next; at != &s->segments; at = at->next, n++)
        if (n < max)
            ends[n] = segment_of(at)->kept_end;
    return n;
}
