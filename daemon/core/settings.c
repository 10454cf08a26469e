/* SPDX-License-Identifier: MIT */
/* What an endpoint is: defaults, copies and differences. */
#include "daemon/core/settings.h"
#include "proto/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LEASE_S              60
#define DEFAULT_MAILBOX_BYTES        (1024u * 1024u)
#define DEFAULT_STALL_S              60
#define DEFAULT_SPOOL_BYTES          (256u * 1024u * 1024u)
#define DEFAULT_MAX_MESSAGE_BYTES    65507u
#define DEFAULT_RECEIVE_BUFFER_BYTES (4u * 1024u * 1024u)

static const char *const field_keys[N_FIELDS] = {
#define X(constant, key) [FIELD_##constant] = #key,
    SETTINGS_FIELDS(X)
#undef X
};

const char *settings_field_key(enum settings_field f)
{
    return field_keys[f];
}

void settings_init(struct settings *s)
{
    *s = (struct settings){
        .address = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .family = ADDRESS_IPV4},
        .may_replace = true,
        .lease_s = DEFAULT_LEASE_S,
        .mailbox_bytes = DEFAULT_MAILBOX_BYTES,
        .spool_bytes = DEFAULT_SPOOL_BYTES,
        .max_message_bytes = DEFAULT_MAX_MESSAGE_BYTES,
        .stall_s = DEFAULT_STALL_S,
        .gro = true,
        .shards = 1,
        .receive_buffer_bytes = DEFAULT_RECEIVE_BUFFER_BYTES,
    };
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

void settings_deinit(struct settings *s)
{
    free(s->allow);
    free_texts(s->users, s->n_users);
    free_texts(s->groups, s->n_groups);
    *s = (struct settings){0};
}

static int copy_texts(char **texts, size_t n, char ***out, size_t *n_out)
{
    if (n == 0)
        return 0;
    *out = calloc(n, sizeof(texts[0]));
    if (!*out)
        return -ENOMEM;
    for (; *n_out < n; ++*n_out) {
        (*out)[*n_out] = strdup(texts[*n_out]);
        if (!(*out)[*n_out])
            return -ENOMEM;
    }
    return 0;
}

static int copy_owned(const struct settings *allow, const struct settings *users,
                      const struct settings *groups, struct settings *out)
{
    if (allow->n_allow > 0) {
        out->allow = calloc(allow->n_allow, sizeof(allow->allow[0]));
        if (!out->allow)
            return -ENOMEM;
        memcpy(out->allow, allow->allow, allow->n_allow * sizeof(allow->allow[0]));
        out->n_allow = allow->n_allow;
    }
    if (copy_texts(users->users, users->n_users, &out->users, &out->n_users) < 0)
        return -ENOMEM;
    return copy_texts(groups->groups, groups->n_groups, &out->groups, &out->n_groups);
}

static void forget_owned(struct settings *s)
{
    s->allow = NULL;
    s->users = s->groups = NULL;
    s->n_allow = s->n_users = s->n_groups = 0;
}

int settings_copy(const struct settings *s, struct settings *out)
{
    return settings_merge(s, s, 0, out);
}

static void merge_plain(struct settings *out, const struct settings *with, uint32_t given)
{
    uint16_t port = given & FIELD_BIT(PORT) ? with->address.port : out->address.port;

    if (given & FIELD_BIT(ADDRESS)) {
        out->address = with->address;
        memcpy(out->zone, with->zone, sizeof(out->zone));
    }
    out->address.port = port;
#define MERGE(bit, field)       \
    if (given & FIELD_BIT(bit)) \
    out->field = with->field
    MERGE(MODE, mode);
    MERGE(ON_CONFLICT, on_conflict);
    MERGE(MAY_REPLACE, may_replace);
    MERGE(LEASE, lease_s);
    MERGE(MAILBOX_BYTES, mailbox_bytes);
    MERGE(WHEN_FULL, when_full);
    MERGE(DURABLE, is_durable);
    MERGE(SPOOL_BYTES, spool_bytes);
    MERGE(SPOOL_MESSAGES, spool_messages);
    MERGE(FORMAT, format);
    MERGE(MAX_MESSAGE_BYTES, max_message_bytes);
    MERGE(GRO, gro);
    MERGE(SHARDS, shards);
    MERGE(RECEIVE_BUFFER_BYTES, receive_buffer_bytes);
    MERGE(MAX_DELIVER, max_deliver);
    MERGE(TTL, ttl_s);
    MERGE(STALL, stall_s);
    MERGE(ON_STALL, on_stall);
    MERGE(SESSIONS, sessions);
    MERGE(SESSION_PORTS, session_ports);
#undef MERGE
}

int settings_merge(const struct settings *s, const struct settings *with, uint32_t given,
                   struct settings *out)
{
    struct settings merged = *s;

    merge_plain(&merged, with, given);
    forget_owned(&merged);
    if (copy_owned(given & FIELD_BIT(ALLOW) ? with : s, given & FIELD_BIT(USERS) ? with : s,
                   given & FIELD_BIT(GROUPS) ? with : s, &merged) < 0) {
        settings_deinit(&merged);
        return -ENOMEM;
    }
    *out = merged;
    return 0;
}

static bool same_texts(char **a, size_t n_a, char **b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++) {
        if (strcmp(a[i], b[i]) != 0)
            return false;
    }
    return true;
}

static bool same_networks(const struct settings *a, const struct settings *b)
{
    if (a->n_allow != b->n_allow)
        return false;
    for (size_t i = 0; i < a->n_allow; i++) {
        if (a->allow[i].prefix != b->allow[i].prefix ||
            memcmp(a->allow[i].ip, b->allow[i].ip, sizeof(a->allow[i].ip)) != 0)
            return false;
    }
    return true;
}

/* Whether or not the interface is there at present. */
static bool same_place(const struct settings *a, const struct settings *b)
{
    bool is_same_zone =
        a->zone[0] != '\0' ? strcmp(a->zone, b->zone) == 0 : a->address.scope == b->address.scope;

    return a->address.family == b->address.family && is_same_zone &&
           memcmp(a->address.ip, b->address.ip, sizeof(a->address.ip)) == 0;
}

uint32_t settings_difference(const struct settings *a, const struct settings *b)
{
    uint32_t d = 0;

#define DIFFER(bit, condition) d |= (condition) ? FIELD_BIT(bit) : 0u
    DIFFER(ADDRESS, !same_place(a, b));
    DIFFER(PORT, a->address.port != b->address.port);
    DIFFER(MODE, a->mode != b->mode);
    DIFFER(ON_CONFLICT, a->on_conflict != b->on_conflict);
    DIFFER(MAY_REPLACE, a->may_replace != b->may_replace);
    DIFFER(LEASE, a->lease_s != b->lease_s);
    DIFFER(MAILBOX_BYTES, a->mailbox_bytes != b->mailbox_bytes);
    DIFFER(WHEN_FULL, a->when_full != b->when_full);
    DIFFER(DURABLE, a->is_durable != b->is_durable);
    DIFFER(SPOOL_BYTES, a->spool_bytes != b->spool_bytes);
    DIFFER(SPOOL_MESSAGES, a->spool_messages != b->spool_messages);
    DIFFER(FORMAT, a->format != b->format);
    DIFFER(MAX_MESSAGE_BYTES, a->max_message_bytes != b->max_message_bytes);
    DIFFER(ALLOW, !same_networks(a, b));
    DIFFER(GRO, a->gro != b->gro);
    DIFFER(SHARDS, a->shards != b->shards);
    DIFFER(RECEIVE_BUFFER_BYTES, a->receive_buffer_bytes != b->receive_buffer_bytes);
    DIFFER(MAX_DELIVER, a->max_deliver != b->max_deliver);
    DIFFER(TTL, a->ttl_s != b->ttl_s);
    DIFFER(STALL, a->stall_s != b->stall_s);
    DIFFER(ON_STALL, a->on_stall != b->on_stall);
    DIFFER(SESSIONS, a->sessions != b->sessions);
    DIFFER(SESSION_PORTS, a->session_ports != b->session_ports);
    DIFFER(USERS, !same_texts(a->users, a->n_users, b->users, b->n_users));
    DIFFER(GROUPS, !same_texts(a->groups, a->n_groups, b->groups, b->n_groups));
#undef DIFFER
    return d;
}

uint64_t settings_least_mailbox(uint32_t max_message_bytes)
{
    return record_bytes(max_message_bytes + RECORD_TRAILER_MAX);
}

const char *endpoint_mode_key(enum endpoint_mode m)
{
    static const char *const names[] = {"exclusive", "share", "copy"};

    return names[m];
}

const char *conflict_rule_key(enum conflict_rule c)
{
    static const char *const names[] = {"reject", "queue", "replace"};

    return names[c];
}

const char *when_full_key(enum when_full w)
{
    static const char *const names[] = {"drop-new", "drop-old", "spool"};

    return names[w];
}

const char *payload_format_key(enum payload_format f)
{
    static const char *const names[] = {"json", "raw"};

    return names[f];
}

const char *stall_rule_key(enum stall_rule r)
{
    static const char *const names[] = {"show", "away"};

    return names[r];
}

const char *session_rule_key(enum session_rule r)
{
    static const char *const names[] = {"off", "auto", "ask"};

    return names[r];
}

const char *session_ports_key(enum session_ports p)
{
    static const char *const names[] = {"own", "single"};

    return names[p];
}
