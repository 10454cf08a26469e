/* SPDX-License-Identifier: MIT */
/* Settings to bytes and back. */
#include "daemon/core/settings_archive.h"

#include <errno.h>
#include <stdlib.h>

/* As text: an interface may have another number when the host has started again, and the same name.
 */
void archive_ip(struct archive *a, struct address *address)
{
    char text[ADDRESS_TEXT_MAX];
    struct address loaded;

    if (!archive_is_loading(a))
        (void)address_print_ip(address, text);
    archive_text(a, text, sizeof(text));
    if (!archive_is_loading(a))
        return;
    if (a->error == 0 && address_parse_ip(text, &loaded) != 0)
        archive_fail(a, -EBADMSG);
    if (a->error != 0)
        return;
    loaded.port = address->port;
    *address = loaded;
}

void archive_port(struct archive *a, struct address *address)
{
    uint32_t port = address->port;

    archive_uint32(a, &port, UINT16_MAX);
    address->port = (uint16_t)port;
}

static void archive_allow(struct archive *a, struct settings *s)
{
    uint32_t n = (uint32_t)s->n_allow;

    archive_uint32(a, &n, SETTINGS_LIST_MAX);
    if (archive_is_loading(a) && n > 0) {
        s->allow = calloc(n, sizeof(s->allow[0]));
        if (!s->allow)
            archive_fail(a, -ENOMEM);
        s->n_allow = s->allow ? n : 0;
    }
    for (size_t i = 0; i < s->n_allow; i++) {
        archive_bytes(a, s->allow[i].ip, sizeof(s->allow[i].ip));
        archive_bytes(a, &s->allow[i].prefix, sizeof(s->allow[i].prefix));
        archive_require(a, s->allow[i].prefix <= 128);
    }
}

static void archive_lease(struct archive *a, int64_t *lease_s)
{
    uint64_t from_forever = (uint64_t)(*lease_s - LEASE_FOREVER);

    archive_uint(a, &from_forever, INT64_MAX);
    *lease_s = (int64_t)from_forever + LEASE_FOREVER;
}

/* ---- By kind ---- */

#define HAS(bit) ((fields & FIELD_BIT(bit)) != 0)

/* An enum is kept as its number: new constants are added at the end. */
#define CHOICE(bit, type, field, last)        \
    if (HAS(bit)) {                           \
        uint32_t choice = (uint32_t)s->field; \
                                              \
        archive_uint32(a, &choice, last);     \
        s->field = (enum type)choice;         \
    }

static void archive_choices(struct archive *a, struct settings *s, uint32_t fields)
{
    CHOICE(MODE, endpoint_mode, mode, MODE_COPY)
    CHOICE(ON_CONFLICT, conflict_rule, on_conflict, CONFLICT_REPLACE)
    CHOICE(WHEN_FULL, when_full, when_full, WHEN_FULL_SPOOL)
    CHOICE(FORMAT, payload_format, format, FORMAT_RAW)
    CHOICE(ON_STALL, stall_rule, on_stall, STALL_AWAY)
    CHOICE(SESSIONS, session_rule, sessions, SESSIONS_ASK)
    CHOICE(SESSION_PORTS, session_ports, session_ports, SESSION_PORTS_SINGLE)
}

#define FLAG(bit, field) \
    if (HAS(bit))        \
    archive_flag(a, &s->field)

static void archive_flags(struct archive *a, struct settings *s, uint32_t fields)
{
    FLAG(MAY_REPLACE, may_replace);
    FLAG(DURABLE, is_durable);
    FLAG(GRO, gro);
}

#define NUMBER(bit, type, field, max) \
    if (HAS(bit))                     \
    archive_##type(a, &s->field, max)

static void archive_numbers(struct archive *a, struct settings *s, uint32_t fields)
{
    NUMBER(MAILBOX_BYTES, uint, mailbox_bytes, INT64_MAX);
    NUMBER(SPOOL_BYTES, uint, spool_bytes, INT64_MAX);
    NUMBER(SPOOL_MESSAGES, uint, spool_messages, INT64_MAX);
    NUMBER(MAX_MESSAGE_BYTES, uint32, max_message_bytes, UINT16_MAX);
    NUMBER(RECEIVE_BUFFER_BYTES, uint32, receive_buffer_bytes, INT32_MAX);
    NUMBER(SHARDS, uint32, shards, SHARDS_MAX);
    NUMBER(MAX_DELIVER, uint32, max_deliver, UINT32_MAX);
    NUMBER(TTL, uint32, ttl_s, UINT32_MAX);
    NUMBER(STALL, uint32, stall_s, UINT32_MAX);
}

/* ---- The whole ---- */

static uint32_t fields_to_save(const struct settings *s)
{
    struct settings defaults;

    settings_init(&defaults);
    return settings_difference(s, &defaults) & ~(FIELD_BIT(USERS) | FIELD_BIT(GROUPS));
}

void settings_archive(struct archive *a, struct settings *s)
{
    uint32_t fields = 0;

    if (archive_is_loading(a))
        settings_init(s);
    else
        fields = fields_to_save(s);
    archive_uint32(a, &fields, FIELDS_ALL);
    archive_text(a, s->name, sizeof(s->name));
    if (HAS(ADDRESS))
        archive_ip(a, &s->address);
    if (HAS(PORT))
        archive_port(a, &s->address);
    if (HAS(LEASE))
        archive_lease(a, &s->lease_s);
    if (HAS(ALLOW))
        archive_allow(a, s);
    archive_choices(a, s, fields);
    archive_flags(a, s, fields);
    archive_numbers(a, s, fields);
}
