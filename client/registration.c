/* SPDX-License-Identifier: MIT */
/* Names by hash, and struct msgd_registration as the JSON that Register takes. */
#include "client/registration.h"

#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void registration_free(struct registration *r)
{
    free(r->name);
    free(r->members);
    free(r->wanted_members);
    free(r->address);
    free(r);
}

void registrations_deinit(struct registrations *all)
{
    for (size_t i = 0; i < all->n; i++)
        registration_free(all->items[i]);
    for (size_t i = 0; i < all->n_retired; i++)
        free(all->retired[i]);
    free(all->items);
    free(all->buckets);
    free(all->retired);
    *all = (struct registrations){0};
}

/* FNV-1a. The names are the program's own: nobody gains by making them collide. */
static size_t hash_of(const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *name != '\0'; name++)
        h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ h >> 32);
}

struct registration *registrations_find(const struct registrations *all, const char *name)
{
    if (all->n_buckets == 0 || name == NULL)
        return NULL;
    for (size_t i = hash_of(name);; i++) {
        uint32_t index = all->buckets[i & (all->n_buckets - 1)];
        if (index == 0)
            return NULL;
        if (strcmp(all->items[index - 1]->name, name) == 0)
            return all->items[index - 1];
    }
}

static void bucket_put(uint32_t *buckets, size_t n_buckets, const char *name, size_t index)
{
    size_t i = hash_of(name);

    while (buckets[i & (n_buckets - 1)] != 0)
        i++;
    buckets[i & (n_buckets - 1)] = (uint32_t)(index + 1);
}

/* Room for one more item, with at most half of the buckets in use. */
static int registrations_grow(struct registrations *all)
{
    if (all->n < all->capacity)
        return 0;
    size_t capacity = all->capacity == 0 ? 8 : all->capacity * 2;
    struct registration **items = realloc(all->items, capacity * sizeof(*items));
    if (items == NULL)
        return -ENOMEM;
    all->items = items;
    uint32_t *buckets = calloc(capacity * 2, sizeof(*buckets));
    if (buckets == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < all->n; i++)
        bucket_put(buckets, capacity * 2, all->items[i]->name, i);
    free(all->buckets);
    all->buckets = buckets;
    all->n_buckets = capacity * 2;
    all->capacity = capacity;
    return 0;
}

int registrations_get(struct registrations *all, const char *name, struct registration **out)
{
    *out = registrations_find(all, name);
    if (*out != NULL)
        return 0;
    if (registrations_grow(all) != 0)
        return -ENOMEM;
    struct registration *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->name = strdup(name);
    if (r->name == NULL) {
        free(r);
        return -ENOMEM;
    }
    bucket_put(all->buckets, all->n_buckets, name, all->n);
    all->items[all->n++] = r;
    *out = r;
    return 0;
}

/* ---- What is asked for ---- */

static const char *const mode_keys[] = {"exclusive", "share", "copy"};
static const char *const on_conflict_keys[] = {"reject", "queue", "replace"};
static const char *const when_full_keys[] = {"", "drop-new", "drop-old", "spool"};
static const char *const format_keys[] = {"json", "raw"};
static const char *const on_stall_keys[] = {"show", "away"};
static const char *const sessions_keys[] = {"off", "auto", "ask"};

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

/* The first field whose value no msgd could accept, or NULL. */
static const char *bad_field(const struct msgd_registration *from)
{
    if ((unsigned)from->mode >= N_KEYS(mode_keys))
        return "mode";
    if ((unsigned)from->on_conflict >= N_KEYS(on_conflict_keys))
        return "on_conflict";
    if ((unsigned)from->when_full >= N_KEYS(when_full_keys))
        return "when_full";
    if ((unsigned)from->format >= N_KEYS(format_keys))
        return "format";
    if ((unsigned)from->sessions >= N_KEYS(sessions_keys))
        return "sessions";
    if ((unsigned)from->on_stall >= N_KEYS(on_stall_keys))
        return "on_stall";
    if (from->stall_s < -1)
        return "stall_s";
    if (from->lease_s < MSGD_LEASE_NONE)
        return "lease_s";
    if (from->mailbox_bytes > INT64_MAX)
        return "mailbox_bytes";
    if (from->spool_bytes > INT64_MAX && from->spool_bytes != MSGD_SPOOL_UNBOUNDED)
        return "spool_bytes";
    if (from->spool_messages > INT64_MAX)
        return "spool_messages";
    return NULL;
}

static void put_lease(struct json_writer *w, int64_t lease_s)
{
    if (lease_s == MSGD_LEASE_NONE)
        json_put_int(w, "lease_s", 0);
    else if (lease_s != MSGD_LEASE_DEFAULT)
        json_put_int(w, "lease_s", lease_s);
}

static void put_spool(struct json_writer *w, const struct msgd_registration *from)
{
    if (from->when_full != MSGD_WHEN_FULL_DEFAULT)
        json_put_string(w, "when_full", when_full_keys[from->when_full]);
    if (from->is_durable)
        json_put_bool(w, "durable", true);
    if (from->spool_bytes != 0)
        json_put_uint(w, "spool_bytes",
                      from->spool_bytes == MSGD_SPOOL_UNBOUNDED ? 0 : from->spool_bytes);
    if (from->spool_messages != 0)
        json_put_uint(w, "spool_messages", from->spool_messages);
}

static void put_care(struct json_writer *w, const struct msgd_registration *from)
{
    if (from->max_deliver != 0)
        json_put_uint(w, "max_deliver", from->max_deliver);
    if (from->ttl_s != 0)
        json_put_uint(w, "ttl_s", from->ttl_s);
    if (from->stall_s != 0)
        json_put_int(w, "stall_s", from->stall_s > 0 ? from->stall_s : 0);
    if (from->on_stall != MSGD_STALL_SHOW)
        json_put_string(w, "on_stall", on_stall_keys[from->on_stall]);
}

/* Only what is not the default, so that an older msgd is not asked about newer fields. */
static void put_members(struct json_writer *w, const struct msgd_registration *from)
{
    json_put_string(w, "name", from->name);
    if (from->address != NULL)
        json_put_string(w, "address", from->address);
    if (from->mode != MSGD_EXCLUSIVE)
        json_put_string(w, "mode", mode_keys[from->mode]);
    if (from->on_conflict != MSGD_REJECT)
        json_put_string(w, "on_conflict", on_conflict_keys[from->on_conflict]);
    if (from->is_irreplaceable)
        json_put_bool(w, "may_replace", false);
    put_lease(w, from->lease_s);
    if (from->mailbox_bytes != 0)
        json_put_uint(w, "mailbox_bytes", from->mailbox_bytes);
    put_spool(w, from);
    if (from->format != MSGD_JSON)
        json_put_string(w, "format", format_keys[from->format]);
    if (from->max_message_bytes != 0)
        json_put_uint(w, "max_message_bytes", from->max_message_bytes);
    if (from->allow != NULL) {
        json_begin_array(w, "allow");
        for (const char *const *network = from->allow; *network != NULL; network++)
            json_put_string(w, NULL, *network);
        json_end_array(w);
    }
    if (from->sessions != MSGD_SESSIONS_OFF)
        json_put_string(w, "sessions", sessions_keys[from->sessions]);
    if (from->is_single_port)
        json_put_string(w, "session_ports", "single");
    if (from->no_gro)
        json_put_bool(w, "gro", false);
    if (from->shards != 0)
        json_put_uint(w, "shards", from->shards);
    if (from->receive_buffer_bytes != 0)
        json_put_uint(w, "receive_buffer_bytes", from->receive_buffer_bytes);
    put_care(w, from);
}

/* The members as text without the braces around them; NULL: no memory. */
static char *members_text(const struct msgd_registration *from)
{
    struct json_writer w;
    char *text = NULL;

    json_writer_init(&w);
    json_begin_object(&w, NULL);
    put_members(&w, from);
    json_end_object(&w);
    if (w.error == 0)
        text = strndup(w.bytes + 1, w.length - 2);
    json_writer_deinit(&w);
    return text;
}

int registration_want(struct registration *r, const struct msgd_registration *from,
                      const char **field)
{
    char *members = NULL;

    if (from != NULL) {
        *field = bad_field(from);
        if (*field != NULL)
            return -EINVAL;
        members = members_text(from);
        if (members == NULL)
            return -ENOMEM;
    }
    free(r->wanted_members);
    r->wanted_members = members;
    r->wanted_port = from != NULL ? from->port : 0;
    r->may_queue = from != NULL && from->on_conflict == MSGD_QUEUE;
    r->is_new = false;
    return 0;
}

int registration_want_again(struct registration *r)
{
    char *members = NULL;

    if (r->members != NULL) {
        members = strdup(r->members);
        if (members == NULL)
            return -ENOMEM;
    }
    free(r->wanted_members);
    r->wanted_members = members;
    r->wanted_port = r->port;
    r->is_new = false;
    return 0;
}

bool registration_wants_register(const struct registration *r)
{
    return r->wanted_members != NULL;
}

/* ---- Calls ---- */

static void begin_call(struct json_writer *w, const char *method)
{
    varlink_begin_call(w, method, false, false);
}

void registration_put_register(const struct registration *r, struct json_writer *w)
{
    begin_call(w, "io.msgd.Register");
    json_put_uint(w, "port", r->wanted_port);
    json_put_raw_bytes(w, ",", 1);
    json_put_raw_bytes(w, r->wanted_members, strlen(r->wanted_members));
    varlink_end(w);
}

void registration_put_attach(const struct registration *r, struct json_writer *w)
{
    begin_call(w, "io.msgd.Attach");
    json_put_string(w, "name", r->name);
    varlink_end(w);
}

void registration_put_release(const struct registration *r, struct json_writer *w)
{
    begin_call(w, "io.msgd.Release");
    json_put_string(w, "name", r->name);
    varlink_end(w);
}

/* ---- Replies ---- */

/* What the program was given a pointer to stays until the end. */
static int replace_address(struct registrations *all, struct registration *r, const char *address)
{
    if (r->address != NULL && strcmp(r->address, address) == 0)
        return 0;
    char *copy = strdup(address);
    if (copy == NULL)
        return -ENOMEM;
    if (r->address != NULL) {
        char **retired = realloc(all->retired, (all->n_retired + 1) * sizeof(*retired));
        if (retired == NULL) {
            free(copy);
            return -ENOMEM;
        }
        all->retired = retired;
        all->retired[all->n_retired++] = r->address;
    }
    r->address = copy;
    return 0;
}

int registration_note_registered(struct registrations *all, struct registration *r,
                                 const json_t *reply)
{
    const char *address = json_string_value(json_object_get(reply, "address"));
    json_int_t port = json_integer_value(json_object_get(reply, "port"));
    json_int_t generation = json_integer_value(json_object_get(reply, "generation"));

    if (address == NULL || port < 0 || port > UINT16_MAX || generation < 0)
        return -EPROTO;
    if (replace_address(all, r, address) != 0)
        return -ENOMEM;
    /* A pending endpoint has no port yet. */
    if (port != 0)
        r->wanted_port = (uint16_t)port;
    r->generation = (uint64_t)generation;
    r->is_resumed = json_is_true(json_object_get(reply, "resumed"));
    r->is_new = !r->is_resumed;
    return 0;
}

void registration_accept(struct registrations *all, struct registration *r)
{
    free(r->members);
    r->members = r->wanted_members;
    r->wanted_members = NULL;
    r->port = r->wanted_port;
    if (r->state != REGISTRATION_ACTIVE)
        all->n_active++;
    r->state = REGISTRATION_ACTIVE;
}

void registration_refuse(struct registrations *all, struct registration *r, bool is_lost)
{
    free(r->wanted_members);
    r->wanted_members = NULL;
    if (is_lost)
        registration_end(all, r);
}

void registration_end(struct registrations *all, struct registration *r)
{
    if (r->state == REGISTRATION_ACTIVE)
        all->n_active--;
    r->state = REGISTRATION_GONE;
}

void registration_describe(const struct registration *r, struct msgd_endpoint *out)
{
    *out = (struct msgd_endpoint){
        .name = r->name,
        .address = r->address != NULL ? r->address : "",
        .port = r->port,
        .generation = r->generation,
        .is_resumed = r->is_resumed,
    };
}
