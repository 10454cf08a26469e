/* SPDX-License-Identifier: MIT */
/* What an endpoint is: the fields of Register and of the configuration, parsed. */
#ifndef MSGD_DAEMON_CORE_SETTINGS_H
#define MSGD_DAEMON_CORE_SETTINGS_H

#include "proto/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_BYTES_MAX 63 /* [a-z0-9][a-z0-9._-]{0,62} */

enum endpoint_mode { MODE_EXCLUSIVE, MODE_SHARE, MODE_COPY };
enum conflict_rule { CONFLICT_REJECT, CONFLICT_QUEUE, CONFLICT_REPLACE };
enum when_full { WHEN_FULL_DROP_NEW, WHEN_FULL_DROP_OLD, WHEN_FULL_SPOOL };
enum payload_format { FORMAT_JSON, FORMAT_RAW };
enum session_rule { SESSIONS_OFF, SESSIONS_AUTO, SESSIONS_ASK };
enum stall_rule { STALL_SHOW, STALL_AWAY };
enum session_ports { SESSION_PORTS_OWN, SESSION_PORTS_SINGLE };

#define ZONE_BYTES_MAX 15 /* of an interface's name (net/if.h, IF_NAMESIZE) */
#define LEASE_FOREVER  (-1)
/* Networks, each of which a datagram's source is compared with; names. */
#define SETTINGS_LIST_MAX 256

#define SHARDS_MAX 16u

struct settings {
    char name[NAME_BYTES_MAX + 1];
    struct address address;        /* port 0: one from port_range */
    char zone[ZONE_BYTES_MAX + 1]; /* the interface that the configuration named; "": none */
    enum endpoint_mode mode;
    enum conflict_rule on_conflict;
    bool may_replace;
    int64_t lease_s; /* LEASE_FOREVER, or 0 and up */
    uint64_t mailbox_bytes;
    enum when_full when_full; /* of memory */
    bool is_durable;          /* all of it goes to disk, too */
    uint64_t spool_bytes;     /* on disk alone, as records; 0: no bound of its own */
    uint64_t spool_messages;  /* the same; 0: no bound */
    enum payload_format format;
    uint32_t max_message_bytes; /* 1..65,535 */
    bool gro;
    uint32_t shards; /* sockets that share the address, each read by a worker; 1..SHARDS_MAX */
    uint32_t receive_buffer_bytes;
    uint32_t max_deliver;     /* 0: no bound; at most RECORD_MAX_RETURNS */
    uint32_t ttl_s;           /* 0: none */
    uint32_t stall_s;         /* 0: never */
    enum stall_rule on_stall; /* of who has stalled */
    enum session_rule sessions;
    enum session_ports session_ports;
    struct network *allow; /* n_allow of them, owned; none = everyone */
    size_t n_allow;
    char **users; /* n_users of them, owned; a static endpoint's only */
    size_t n_users;
    char **groups;
    size_t n_groups;
};

/*
 * The fields, once: X(constant, key). Register's fields that a caller left out keep what an
 * endpoint has, so who asks says which were given.
 */
#define SETTINGS_FIELDS(X)                        \
    X(ADDRESS, address)                           \
    X(PORT, port)                                 \
    X(MODE, mode)                                 \
    X(ON_CONFLICT, on_conflict)                   \
    X(MAY_REPLACE, may_replace)                   \
    X(LEASE, lease_s)                             \
    X(MAILBOX_BYTES, mailbox_bytes)               \
    X(WHEN_FULL, when_full)                       \
    X(DURABLE, durable)                           \
    X(SPOOL_BYTES, spool_bytes)                   \
    X(SPOOL_MESSAGES, spool_messages)             \
    X(FORMAT, format)                             \
    X(MAX_MESSAGE_BYTES, max_message_bytes)       \
    X(ALLOW, allow)                               \
    X(GRO, gro)                                   \
    X(SHARDS, shards)                             \
    X(RECEIVE_BUFFER_BYTES, receive_buffer_bytes) \
    X(MAX_DELIVER, max_deliver)                   \
    X(TTL, ttl_s)                                 \
    X(STALL, stall_s)                             \
    X(ON_STALL, on_stall)                         \
    X(SESSIONS, sessions)                         \
    X(SESSION_PORTS, session_ports)               \
    X(USERS, users)                               \
    X(GROUPS, groups)

enum settings_field {
#define X(constant, key) FIELD_##constant,
    SETTINGS_FIELDS(X)
#undef X
        N_FIELDS,
};

#define FIELD_BIT(constant) (1u << FIELD_##constant)
/* Where they change, sockets are opened anew. */
#define PLACE_FIELDS (FIELD_BIT(ADDRESS) | FIELD_BIT(PORT) | FIELD_BIT(SHARDS))
#define FIELDS_ALL   ((1u << N_FIELDS) - 1)

/* "mailbox_bytes" for FIELD_MAILBOX_BYTES. */
const char *settings_field_key(enum settings_field f);

/* The defaults of a registration: loopback, port 0, exclusive, 60 s, 1 MiB, drop-new, json. Name
 * empty. */
void settings_init(struct settings *s);
/* Frees what s owns; safe on a zeroed one. */
void settings_deinit(struct settings *s);
/* Deep copy into an uninitialised out. 0 or -ENOMEM. */
int settings_copy(const struct settings *s, struct settings *out)
    __attribute__((warn_unused_result));

/* Which fields (FIELD_BIT) differ; the name does not count. */
uint32_t settings_difference(const struct settings *a, const struct settings *b);
/*
 * Those of s, with the fields in `given` taken from `with`, into an uninitialised out. 0 or
 * -ENOMEM.
 */
int settings_merge(const struct settings *s, const struct settings *with, uint32_t given,
                   struct settings *out) __attribute__((warn_unused_result));
/* The least mailbox_bytes for a max_message_bytes: one largest message with all that is kept of it.
 */
uint64_t settings_least_mailbox(uint32_t max_message_bytes);
/* Every socket would get each datagram of a multicast or broadcast address. */
static inline bool settings_shards_fit(uint32_t shards, const struct address *a)
{
    return shards == 1 || (!address_is_multicast(a) && !address_is_broadcast(a));
}
/* Format raw classifies nothing, so it has no sessions. */
static inline bool settings_session_fits(enum session_rule rule, enum payload_format format)
{
    return rule == SESSIONS_OFF || format == FORMAT_JSON;
}

const char *endpoint_mode_key(enum endpoint_mode m);
const char *conflict_rule_key(enum conflict_rule c);
const char *when_full_key(enum when_full w);
/* Does anything of it go to disk? */
static inline bool settings_have_spool(const struct settings *s)
{
    return s->is_durable || s->when_full == WHEN_FULL_SPOOL;
}
const char *payload_format_key(enum payload_format f);
const char *stall_rule_key(enum stall_rule r);
const char *session_rule_key(enum session_rule r);
const char *session_ports_key(enum session_ports p);

#endif
