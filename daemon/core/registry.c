/* SPDX-License-Identifier: MIT */
/* Who has which name, address and port: the tables and the life of an entry. */
#include "daemon/core/registry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define N_PORTS          65536
#define RETRY_FIRST_MS   250
#define RETRY_MAX_MS     30000
#define MS_PER_S         1000
#define LONGEST_LEASE_MS (INT64_MAX / 4)

struct registry {
    uint64_t seed;
    struct table names;
    struct table places; /* by address and port, so that a port with many addresses costs no more */
    struct list *ports;  /* N_PORTS heads, zeroed until used: entries in force on each port */
    struct list order;
    struct timers timers;        /* of every entry */
    uint64_t highest_generation; /* of all that are gone */
    struct port_span range;
    uint32_t next_port;
};

/* The earlier of an entry's lease and retry is its timer. */
static void timer_changed(struct registry *r, struct entry *e)
{
    timers_set(&r->timers, &e->timer,
               e->lease_deadline_ms < e->retry_ms ? e->lease_deadline_ms : e->retry_ms);
}

/* ---- Life ---- */

int registry_new(struct registry **out, struct port_span ports, uint64_t seed)
{
    struct registry *r = calloc(1, sizeof(*r));

    *out = NULL;
    if (!r)
        return -ENOMEM;
    r->seed = seed;
    r->range = ports;
    r->next_port = ports.first;
    list_init(&r->order);
    r->ports = calloc(N_PORTS, sizeof(r->ports[0]));
    if (!r->ports || table_init(&r->names) < 0 || table_init(&r->places) < 0) {
        registry_free(r);
        return -ENOMEM;
    }
    *out = r;
    return 0;
}

static void entry_free(struct entry *e)
{
    settings_deinit(&e->settings);
    principals_deinit(&e->owners);
    free(e->waiters);
    free(e);
}

struct registry *registry_free(struct registry *r)
{
    if (!r)
        return NULL;
    for (struct entry *e = registry_first(r), *next; e; e = next) {
        next = registry_next(r, e);
        entry_free(e);
    }
    table_deinit(&r->names);
    table_deinit(&r->places);
    free(r->ports);
    timers_deinit(&r->timers);
    free(r);
    return NULL;
}

void registry_set_ports(struct registry *r, struct port_span ports)
{
    r->range = ports;
    r->next_port = ports.first;
}

const char *entry_state_key(enum entry_state s)
{
    static const char *const names[] = {"pending", "held", "attached", "away"};

    return names[s];
}

/* ---- Looking ---- */

static uint64_t hash_name(const struct registry *r, const char *name)
{
    return table_hash(r->seed, name, strlen(name));
}

struct entry *registry_find(const struct registry *r, const char *name)
{
    struct table_link *at = table_first(&r->names, hash_name(r, name));

    for (; at; at = table_next(at)) {
        struct entry *e = list_member(at, struct entry, by_name);

        if (strcmp(e->settings.name, name) == 0)
            return e;
    }
    return NULL;
}

struct entry *registry_first(const struct registry *r)
{
    return list_is_empty(&r->order) ? NULL : list_member(r->order.next, struct entry, in_order);
}

struct entry *registry_next(const struct registry *r, const struct entry *e)
{
    struct list *next = e->in_order.next;

    return next == &r->order ? NULL : list_member(next, struct entry, in_order);
}

size_t registry_count(const struct registry *r)
{
    return r->timers.n;
}

static uint64_t hash_place(const struct registry *r, const struct address *a)
{
    uint8_t key[sizeof(a->ip) + sizeof(a->port) + sizeof(a->family)];

    memcpy(key, a->ip, sizeof(a->ip));
    memcpy(key + sizeof(a->ip), &a->port, sizeof(a->port));
    key[sizeof(key) - 1] = a->family;
    return table_hash(r->seed, key, sizeof(key));
}

static bool families_meet(const struct address *a, const struct address *b)
{
    return a->family == b->family || a->family == ADDRESS_BOTH || b->family == ADDRESS_BOTH;
}

/* An entry at exactly this address and port; an address without a scope is in every scope. */
static struct entry *find_at(const struct registry *r, const struct address *a,
                             const struct entry *but)
{
    struct table_link *at = table_first(&r->places, hash_place(r, a));

    for (; at; at = table_next(at)) {
        struct entry *e = list_member(at, struct entry, by_place);
        const struct address *b = &e->address;

        if (e != but && b->family == a->family && b->port == a->port &&
            memcmp(b->ip, a->ip, sizeof(a->ip)) == 0 &&
            (b->scope == a->scope || b->scope == 0 || a->scope == 0))
            return e;
    }
    return NULL;
}

static struct entry *find_any_on_port(const struct registry *r, const struct address *a,
                                      const struct entry *but)
{
    const struct list *head = &r->ports[a->port];

    if (!list_is_linked(head))
        return NULL;
    for (struct list *at = head->next; at != head; at = at->next) {
        struct entry *e = list_member(at, struct entry, by_port);

        if (e != but && families_meet(&e->address, a))
            return e;
    }
    return NULL;
}

struct entry *registry_overlapping(const struct registry *r, const struct address *address,
                                   const struct entry *but)
{
    struct address any = {.port = address->port, .family = address->family};
    struct address both = {.port = address->port, .family = ADDRESS_BOTH};
    struct entry *e;

    if (address->port == 0)
        return NULL;
    if (address_is_any(address))
        return find_any_on_port(r, address, but);
    if (any.family == ADDRESS_IPV4)
        any.ip[10] = any.ip[11] = 0xff;
    e = find_at(r, address, but);
    if (!e)
        e = find_at(r, &any, but);
    if (!e)
        e = find_at(r, &both, but);
    return e;
}

/* ---- Doing ---- */

static void occupy(struct registry *r, struct entry *e)
{
    struct list *head = &r->ports[e->address.port];

    if (e->address.port == 0)
        return;
    if (!list_is_linked(head))
        list_init(head);
    list_append(head, &e->by_port);
    table_add(&r->places, &e->by_place, hash_place(r, &e->address));
}

static void vacate(struct registry *r, struct entry *e)
{
    if (e->address.port == 0)
        return;
    list_remove(&e->by_port);
    table_remove(&r->places, &e->by_place);
}

static void set_state(struct entry *e, bool is_bound)
{
    if (!is_bound)
        e->state = ENTRY_PENDING;
    else if (e->n_consumers > 0)
        e->state = ENTRY_ATTACHED;
    else
        e->state = e->away_since_ms != 0 ? ENTRY_AWAY : ENTRY_HELD;
}

static void refresh_state(struct entry *e)
{
    set_state(e, e->state != ENTRY_PENDING);
}

int registry_insert(struct registry *r, struct settings *settings, struct principals *owners,
                    struct owner owner, int64_t now_wall_ns, struct entry **out)
{
    struct entry *e;

    assert(!registry_find(r, settings->name));
    *out = NULL;
    if (timers_reserve(&r->timers) < 0)
        return -ENOMEM;
    e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->settings = *settings;
    *settings = (struct settings){0};
    e->address = e->settings.address;
    e->is_static = owners != NULL;
    if (owners) {
        e->owners = *owners;
        *owners = (struct principals){0};
    }
    e->owner = owner;
    e->generation = r->highest_generation + 1;
    e->state = ENTRY_PENDING;
    e->since_wall_ns = now_wall_ns;
    e->lease_deadline_ms = e->retry_ms = e->timer.at = NEVER_MS;
    list_append(&r->order, &e->in_order);
    table_add(&r->names, &e->by_name, hash_name(r, e->settings.name));
    occupy(r, e);
    timers_add(&r->timers, &e->timer);
    *out = e;
    return 0;
}

void registry_remove(struct registry *r, struct entry *e)
{
    assert(e->n_waiters == 0);
    if (e->generation > r->highest_generation)
        r->highest_generation = e->generation;
    vacate(r, e);
    timers_remove(&r->timers, &e->timer);
    table_remove(&r->names, &e->by_name);
    list_remove(&e->in_order);
    entry_free(e);
}

void registry_bound(struct registry *r, struct entry *e, const struct address *address)
{
    struct address in_force = *address;

    vacate(r, e);
    e->address = in_force;
    occupy(r, e);
    e->error = 0;
    e->n_failures = 0;
    e->retry_ms = NEVER_MS;
    set_state(e, true);
    timer_changed(r, e);
}

void registry_bind_failed(struct registry *r, struct entry *e, int error, int64_t now_ms)
{
    int64_t wait_ms = RETRY_MAX_MS;

    if (e->n_failures < 8 && (int64_t)RETRY_FIRST_MS << e->n_failures < wait_ms)
        wait_ms = (int64_t)RETRY_FIRST_MS << e->n_failures;
    e->n_failures++;
    e->error = error;
    e->retry_ms = now_ms + wait_ms;
    set_state(e, false);
    timer_changed(r, e);
}

static void stop_lease(struct registry *r, struct entry *e)
{
    e->away_since_ms = e->away_since_wall_ns = 0;
    e->lease_deadline_ms = NEVER_MS;
    timer_changed(r, e);
}

/* The deadline from settings and away_since_ms. */
static void set_deadline(struct registry *r, struct entry *e)
{
    int64_t lease_s = e->settings.lease_s;

    e->lease_deadline_ms = NEVER_MS;
    if (e->away_since_ms != 0 && lease_s >= 0 && lease_s < LONGEST_LEASE_MS / MS_PER_S)
        e->lease_deadline_ms = e->away_since_ms + lease_s * MS_PER_S;
    timer_changed(r, e);
}

void registry_resume(struct registry *r, struct entry *e, struct owner owner, int64_t now_wall_ns)
{
    e->generation++;
    e->since_wall_ns = now_wall_ns;
    e->owner.pid = owner.pid;
    if (!e->is_static)
        e->owner.uid = owner.uid;
    stop_lease(r, e);
    refresh_state(e);
}

void registry_restore(struct registry *r, struct entry *e, const struct entry_past *past)
{
    int64_t least_ms = past->now_ms + REGISTRY_RETURN_S * MS_PER_S;

    vacate(r, e);
    e->address = past->address;
    occupy(r, e);
    e->generation = past->generation;
    if (e->generation > r->highest_generation)
        r->highest_generation = e->generation;
    e->since_wall_ns = past->since_wall_ns;
    if (e->is_static && e->settings.lease_s == LEASE_FOREVER)
        return;
    e->away_since_ms = past->now_ms > 0 ? past->now_ms : 1;
    e->away_since_wall_ns = past->now_wall_ns;
    set_deadline(r, e);
    if (e->lease_deadline_ms < least_ms) {
        e->lease_deadline_ms = least_ms;
        timer_changed(r, e);
    }
    refresh_state(e);
}

void registry_configure(struct registry *r, struct entry *e, struct settings *settings)
{
    assert(strcmp(e->settings.name, settings->name) == 0);
    settings_deinit(&e->settings);
    e->settings = *settings;
    *settings = (struct settings){0};
    set_deadline(r, e);
}

void registry_set_static(struct registry *r, struct entry *e, struct principals *owners, uid_t uid,
                         int64_t now_ms)
{
    principals_deinit(&e->owners);
    e->is_static = owners != NULL;
    e->owner.uid = uid;
    if (owners) {
        e->owners = *owners;
        *owners = (struct principals){0};
    } else if (e->n_consumers == 0) {
        e->away_since_ms = now_ms > 0 ? now_ms : 1;
        set_deadline(r, e);
    }
    refresh_state(e);
}

void registry_consumer_joined(struct registry *r, struct entry *e)
{
    e->n_consumers++;
    stop_lease(r, e);
    refresh_state(e);
}

void registry_consumer_left(struct registry *r, struct entry *e, int64_t now_ms,
                            int64_t now_wall_ns)
{
    assert(e->n_consumers > 0);
    if (--e->n_consumers > 0)
        return;
    e->away_since_ms = now_ms > 0 ? now_ms : 1;
    e->away_since_wall_ns = now_wall_ns;
    set_deadline(r, e);
    refresh_state(e);
}

/* ---- Time ---- */

int64_t registry_next_deadline(const struct registry *r)
{
    const struct timer *first = timers_first(&r->timers);

    return first ? first->at : NEVER_MS;
}

enum due registry_due(struct registry *r, int64_t now_ms, struct entry **out)
{
    struct timer *first = timers_first(&r->timers);
    struct entry *e;

    *out = NULL;
    if (!first || first->at > now_ms || first->at == NEVER_MS)
        return DUE_NOTHING;
    *out = e = list_member(first, struct entry, timer);
    if (e->lease_deadline_ms > now_ms) {
        e->retry_ms = NEVER_MS;
        timer_changed(r, e);
        return DUE_RETRY;
    }
    stop_lease(r, e);
    refresh_state(e);
    return DUE_EXPIRED;
}

/* ---- Ports ---- */

uint16_t registry_port_candidate(struct registry *r, const struct address *address,
                                 struct port_walk *walk)
{
    struct address at = *address;

    if (!walk->is_begun) {
        walk->is_begun = true;
        walk->next = r->next_port;
        walk->n_left = r->range.first <= r->range.last ? r->range.last - r->range.first + 1u : 0;
    }
    while (walk->n_left > 0) {
        at.port = (uint16_t)walk->next;
        /* 32 bits, so that what follows 65535 is past the range and not port 0. */
        walk->next = walk->next >= r->range.last ? r->range.first : walk->next + 1;
        walk->n_left--;
        if (at.port == 0 || registry_overlapping(r, &at, NULL))
            continue;
        r->next_port = walk->next;
        return at.port;
    }
    return 0;
}
