/* SPDX-License-Identifier: MIT */
/* The fields of an endpoint, from JSON. */
#include "daemon/config/settings_json.h"
#include "daemon/config/printable.h"
#include "proto/name.h"
#include "proto/ring.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_LEASE_S        INT64_C(4294967295)
#define MIN_RECEIVE_BUFFER 1024
#define MAX_RECEIVE_BUFFER (INT32_MAX / 2) /* the kernel doubles it */

struct parse {
    struct settings *out;
    struct settings_error *error;
    enum settings_source source;
    uint64_t max_mailbox_bytes;
    uint32_t given;
};

static int refuse(struct parse *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct parse *p, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(p->error->expected, sizeof(p->error->expected), format, arguments);
    va_end(arguments);
    make_printable(p->error->expected);
    return SETTINGS_REFUSED;
}

static int refuse_element(struct parse *p, size_t index, const char *expected)
{
    p->error->has_index = true;
    p->error->index = index;
    return refuse(p, "%s", expected);
}

static int parse_integer(struct parse *p, const json_t *value, int64_t least, int64_t most,
                         int64_t *out)
{
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value) || n < least || n > most)
        return refuse(p, "an integer from %" PRId64 " to %" PRId64, least, most);
    *out = n;
    return 0;
}

static int parse_bool(struct parse *p, const json_t *value, bool *out)
{
    if (!json_is_boolean(value))
        return refuse(p, "true or false");
    *out = json_is_true(value);
    return 0;
}

/* choices: NULL at the end. *out is the place of the one that it is. */
static int parse_choice(struct parse *p, const json_t *value, const char *const *choices,
                        unsigned *out)
{
    char list[sizeof(p->error->expected)] = "";
    size_t n = 0;

    for (unsigned i = 0; choices[i]; i++) {
        if (json_is_string(value) && strcmp(json_string_value(value), choices[i]) == 0) {
            *out = i;
            return 0;
        }
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s\"%s\"", i ? ", " : "", choices[i]);
    }
    return refuse(p, "one of %s", list);
}

/* ---- One function a field ---- */

static int parse_name(struct parse *p, json_t *value)
{
    const char *name = json_string_value(value);

    if (!name || !name_is_valid(name))
        return refuse(p,
                      "a name: 1 to %d of a-z, 0-9, '.', '_' and '-', the first a letter or digit",
                      NAME_BYTES_MAX);
    memcpy(p->out->name, name, strlen(name) + 1);
    return 0;
}

/*
 * The configuration may name an interface that comes later: the endpoint is pending until then.
 * 0, -EINVAL or -ENODEV.
 */
static int parse_zone(struct parse *p, const char *text, struct address *out)
{
    char bare[ADDRESS_TEXT_MAX] = {0};
    const char *zone = strchr(text, '%');
    size_t n = zone ? strcspn(zone + 1, "]") : 0;

    if (p->source != FROM_CONFIG || n == 0 || n > ZONE_BYTES_MAX || strlen(text) >= sizeof(bare))
        return -ENODEV;
    memcpy(p->out->zone, zone + 1, n);
    p->out->zone[n] = '\0';
    snprintf(bare, sizeof(bare), "%.*s%s", (int)(zone - text), text, zone + 1 + n);
    return address_parse_ip(bare, out);
}

static int parse_address(struct parse *p, json_t *value)
{
    const char *text = json_string_value(value);
    struct address address = {0};
    int error = text ? address_parse_ip(text, &address) : -EINVAL;

    if (text && (error == -ENODEV || address.scope != 0)) {
        uint32_t scope = address.scope;
        int zone_error = parse_zone(p, text, &address);
        if (error == -ENODEV)
            error = zone_error;
        address.scope = scope;
    }
    if (error == -ENODEV)
        return refuse(p, "an interface that this host has");
    if (error < 0)
        return refuse(p, "an IP address without a port, such as \"127.0.0.1\" or \"::\", or \"*\"");
    if (address.family == ADDRESS_IPV6 && address_is_link_local(&address) && address.scope == 0 &&
        p->out->zone[0] == '\0')
        return refuse(p, "a link-local address with its interface, as in \"fe80::1%%eth0\"");
    address.port = p->out->address.port;
    p->out->address = address;
    p->given |= FIELD_BIT(ADDRESS);
    return 0;
}

static int parse_port(struct parse *p, json_t *value)
{
    int64_t port = 0;

    if (parse_integer(p, value, 0, UINT16_MAX, &port) != 0)
        return SETTINGS_REFUSED;
    p->out->address.port = (uint16_t)port;
    p->given |= FIELD_BIT(PORT);
    return 0;
}

static int parse_mode(struct parse *p, json_t *value)
{
    static const char *const choices[] = {"exclusive", "share", "copy", NULL};
    unsigned choice;

    if (parse_choice(p, value, choices, &choice) != 0)
        return SETTINGS_REFUSED;
    p->out->mode = (enum endpoint_mode)choice;
    p->given |= FIELD_BIT(MODE);
    return 0;
}

static int parse_on_conflict(struct parse *p, json_t *value)
{
    static const char *const choices[] = {"reject", "queue", "replace", NULL};
    unsigned choice;

    if (parse_choice(p, value, choices, &choice) != 0)
        return SETTINGS_REFUSED;
    p->out->on_conflict = (enum conflict_rule)choice;
    p->given |= FIELD_BIT(ON_CONFLICT);
    return 0;
}

static int parse_may_replace(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(MAY_REPLACE);
    return parse_bool(p, value, &p->out->may_replace);
}

static int parse_lease_s(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(LEASE);
    if (parse_integer(p, value, LEASE_FOREVER, MAX_LEASE_S, &p->out->lease_s) != 0)
        return refuse(p, "seconds from 0 to %" PRId64 ", or -1 for ever", MAX_LEASE_S);
    return 0;
}

static int parse_lease(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(LEASE);
    if (json_is_string(value) && strcmp(json_string_value(value), "forever") == 0)
        p->out->lease_s = LEASE_FOREVER;
    else if (parse_integer(p, value, 0, MAX_LEASE_S, &p->out->lease_s) != 0)
        return refuse(p, "seconds from 0 to %" PRId64 ", or \"forever\"", MAX_LEASE_S);
    return 0;
}

static int parse_mailbox_bytes(struct parse *p, json_t *value)
{
    uint64_t max = p->max_mailbox_bytes < INT64_MAX ? p->max_mailbox_bytes : INT64_MAX;
    int64_t bytes = 0;

    if (parse_integer(p, value, 1, (int64_t)max, &bytes) != 0)
        return SETTINGS_REFUSED;
    p->out->mailbox_bytes = (uint64_t)bytes;
    p->given |= FIELD_BIT(MAILBOX_BYTES);
    return 0;
}

static int parse_when_full(struct parse *p, json_t *value)
{
    static const char *const choices[] = {"drop-new", "drop-old", "spool", NULL};
    unsigned choice;

    if (parse_choice(p, value, choices, &choice) != 0)
        return SETTINGS_REFUSED;
    p->out->when_full = (enum when_full)choice;
    p->given |= FIELD_BIT(WHEN_FULL);
    return 0;
}

static int parse_durable(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(DURABLE);
    return parse_bool(p, value, &p->out->is_durable);
}

static int parse_bound(struct parse *p, json_t *value, uint64_t *out)
{
    int64_t n = 0;

    if (parse_integer(p, value, 0, INT64_MAX, &n) != 0)
        return SETTINGS_REFUSED;
    *out = (uint64_t)n;
    return 0;
}

static int parse_spool_bytes(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(SPOOL_BYTES);
    return parse_bound(p, value, &p->out->spool_bytes);
}

static int parse_spool_messages(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(SPOOL_MESSAGES);
    return parse_bound(p, value, &p->out->spool_messages);
}

static int parse_format(struct parse *p, json_t *value)
{
    static const char *const choices[] = {"json", "raw", NULL};
    unsigned choice;

    if (parse_choice(p, value, choices, &choice) != 0)
        return SETTINGS_REFUSED;
    p->out->format = (enum payload_format)choice;
    p->given |= FIELD_BIT(FORMAT);
    return 0;
}

static int parse_max_message_bytes(struct parse *p, json_t *value)
{
    int64_t bytes = 0;

    if (parse_integer(p, value, 1, UINT16_MAX, &bytes) != 0)
        return SETTINGS_REFUSED;
    p->out->max_message_bytes = (uint32_t)bytes;
    p->given |= FIELD_BIT(MAX_MESSAGE_BYTES);
    return 0;
}

static int parse_allow(struct parse *p, json_t *value)
{
    size_t n = json_array_size(value);

    if (!json_is_array(value) || n > SETTINGS_LIST_MAX)
        return refuse(p, "an array of at most %d networks such as \"10.0.0.0/8\"",
                      SETTINGS_LIST_MAX);
    p->given |= FIELD_BIT(ALLOW);
    if (n == 0)
        return 0;
    p->out->allow = calloc(n, sizeof(p->out->allow[0]));
    if (!p->out->allow)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(value, i));

        if (!text || network_parse(text, &p->out->allow[i]) < 0)
            return refuse_element(p, i,
                                  "a network such as \"10.0.0.0/8\", no bit set past its prefix");
        p->out->n_allow++;
    }
    return 0;
}

static int parse_gro(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(GRO);
    return parse_bool(p, value, &p->out->gro);
}

static int parse_shards(struct parse *p, json_t *value)
{
    int64_t n = 0;

    if (parse_integer(p, value, 1, SHARDS_MAX, &n) != 0)
        return SETTINGS_REFUSED;
    p->out->shards = (uint32_t)n;
    p->given |= FIELD_BIT(SHARDS);
    return 0;
}

static int parse_receive_buffer_bytes(struct parse *p, json_t *value)
{
    int64_t bytes = 0;

    if (parse_integer(p, value, MIN_RECEIVE_BUFFER, MAX_RECEIVE_BUFFER, &bytes) != 0)
        return SETTINGS_REFUSED;
    p->out->receive_buffer_bytes = (uint32_t)bytes;
    p->given |= FIELD_BIT(RECEIVE_BUFFER_BYTES);
    return 0;
}

/* 0 to most. */
static int parse_count(struct parse *p, json_t *value, int64_t most, uint32_t *out)
{
    int64_t n = 0;

    if (parse_integer(p, value, 0, most, &n) != 0)
        return SETTINGS_REFUSED;
    *out = (uint32_t)n;
    return 0;
}

static int parse_max_deliver(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(MAX_DELIVER);
    return parse_count(p, value, RECORD_MAX_RETURNS, &p->out->max_deliver);
}

static int parse_ttl_s(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(TTL);
    return parse_count(p, value, UINT32_MAX, &p->out->ttl_s);
}

static int parse_stall_s(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(STALL);
    return parse_count(p, value, UINT32_MAX, &p->out->stall_s);
}

static int parse_on_stall(struct parse *p, json_t *value)
{
    static const char *const choices[] = {"show", "away", NULL};
    unsigned choice;

    if (parse_choice(p, value, choices, &choice) != 0)
        return SETTINGS_REFUSED;
    p->out->on_stall = (enum stall_rule)choice;
    p->given |= FIELD_BIT(ON_STALL);
    return 0;
}

static int parse_sessions(struct parse *p, json_t *value)
{
    static const char *const choices[] = {"off", "auto", "ask", NULL};
    unsigned choice;

    if (parse_choice(p, value, choices, &choice) != 0)
        return SETTINGS_REFUSED;
    p->out->sessions = (enum session_rule)choice;
    p->given |= FIELD_BIT(SESSIONS);
    return 0;
}

static int parse_session_ports(struct parse *p, json_t *value)
{
    static const char *const choices[] = {"own", "single", NULL};
    unsigned choice;

    if (parse_choice(p, value, choices, &choice) != 0)
        return SETTINGS_REFUSED;
    p->out->session_ports = (enum session_ports)choice;
    p->given |= FIELD_BIT(SESSION_PORTS);
    return 0;
}

static int parse_texts(struct parse *p, json_t *value, char ***texts, size_t *n_texts)
{
    size_t n = json_array_size(value);

    if (!json_is_array(value) || n > SETTINGS_LIST_MAX)
        return refuse(p, "an array of at most %d names", SETTINGS_LIST_MAX);
    if (n == 0)
        return 0;
    *texts = calloc(n, sizeof((*texts)[0]));
    if (!*texts)
        return -ENOMEM;
    for (; *n_texts < n; ++*n_texts) {
        const char *text = json_string_value(json_array_get(value, *n_texts));

        if (!text || !*text)
            return refuse_element(p, *n_texts, "a name in quotation marks");
        (*texts)[*n_texts] = strdup(text);
        if (!(*texts)[*n_texts])
            return -ENOMEM;
    }
    return 0;
}

static int parse_users(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(USERS);
    return parse_texts(p, value, &p->out->users, &p->out->n_users);
}

static int parse_groups(struct parse *p, json_t *value)
{
    p->given |= FIELD_BIT(GROUPS);
    return parse_texts(p, value, &p->out->groups, &p->out->n_groups);
}

/* ---- The table ---- */

#define IN_REGISTER (1u << FROM_REGISTER)
#define IN_CONFIG   (1u << FROM_CONFIG)
#define IN_BOTH     (IN_REGISTER | IN_CONFIG)

static const struct field {
    const char *key;
    unsigned sources;
    int (*parse)(struct parse *p, json_t *value);
} fields[] = {
    {"name", IN_BOTH, parse_name},
    {"address", IN_BOTH, parse_address},
    {"port", IN_BOTH, parse_port},
    {"mode", IN_BOTH, parse_mode},
    {"on_conflict", IN_BOTH, parse_on_conflict},
    {"may_replace", IN_BOTH, parse_may_replace},
    {"lease_s", IN_REGISTER, parse_lease_s},
    {"lease", IN_CONFIG, parse_lease},
    {"mailbox_bytes", IN_BOTH, parse_mailbox_bytes},
    {"when_full", IN_BOTH, parse_when_full},
    {"durable", IN_BOTH, parse_durable},
    {"spool_bytes", IN_BOTH, parse_spool_bytes},
    {"spool_messages", IN_BOTH, parse_spool_messages},
    {"format", IN_BOTH, parse_format},
    {"max_message_bytes", IN_BOTH, parse_max_message_bytes},
    {"allow", IN_BOTH, parse_allow},
    {"gro", IN_BOTH, parse_gro},
    {"shards", IN_BOTH, parse_shards},
    {"receive_buffer_bytes", IN_BOTH, parse_receive_buffer_bytes},
    {"max_deliver", IN_BOTH, parse_max_deliver},
    {"ttl_s", IN_BOTH, parse_ttl_s},
    {"stall_s", IN_BOTH, parse_stall_s},
    {"on_stall", IN_BOTH, parse_on_stall},
    {"sessions", IN_BOTH, parse_sessions},
    {"session_ports", IN_BOTH, parse_session_ports},
    {"users", IN_CONFIG, parse_users},
    {"groups", IN_CONFIG, parse_groups},
};

static const struct field *find_field(const char *key, enum settings_source source)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(fields[i].key, key) == 0 && fields[i].sources & 1u << source)
            return &fields[i];
    }
    return NULL;
}

static void name_parameter(struct parse *p, const char *key)
{
    p->error->key = key;
    snprintf(p->error->parameter, sizeof(p->error->parameter), "%s", key);
    make_printable(p->error->parameter);
}

static int parse_field(struct parse *p, const char *key, json_t *value)
{
    const struct field *field = find_field(key, p->source);

    name_parameter(p, key);
    if (!field) {
        p->error->is_unknown = true;
        return refuse(p, "a field of an endpoint; there is no \"%.64s\"", key);
    }
    if (json_is_null(value) && p->source == FROM_REGISTER)
        return 0;
    return field->parse(p, value);
}

/* What can only be said when all fields are known. */
static int check_whole(struct parse *p)
{
    uint64_t least = settings_least_mailbox(p->out->max_message_bytes);

    if (!p->out->name[0]) {
        name_parameter(p, "name");
        p->error->is_missing = true;
        return refuse(p, "an endpoint with a name");
    }
    if (!settings_session_fits(p->out->sessions, p->out->format)) {
        name_parameter(p, "sessions");
        return refuse(p, "\"off\", since format \"raw\" has no sessions");
    }
    if (!settings_shards_fit(p->out->shards, &p->out->address)) {
        name_parameter(p, "shards");
        return refuse(p, "1 at a multicast or broadcast address");
    }
    /* What is on disk anyway need not be dropped for want of memory. */
    if (p->out->is_durable && !(p->given & FIELD_BIT(WHEN_FULL))) {
        p->out->when_full = WHEN_FULL_SPOOL;
        p->given |= FIELD_BIT(WHEN_FULL);
    }
    if (!(p->given & FIELD_BIT(MAILBOX_BYTES)) && p->out->mailbox_bytes > p->max_mailbox_bytes)
        p->out->mailbox_bytes = p->max_mailbox_bytes;
    if (p->out->mailbox_bytes >= least)
        return 0;
    name_parameter(p, p->given & FIELD_BIT(MAILBOX_BYTES) ? "mailbox_bytes" : "max_message_bytes");
    return refuse(p,
                  "room in mailbox_bytes for one message of max_message_bytes (%" PRIu64
                  " for %" PRIu32 ")",
                  least, p->out->max_message_bytes);
}

static int parse_fields(struct parse *p, json_t *object)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return refuse(p, "an object");
    json_object_foreach(object, key, value)
    {
        int outcome = parse_field(p, key, value);

        if (outcome != 0)
            return outcome;
    }
    return check_whole(p);
}

int settings_from_json(json_t *object, enum settings_source source, uint64_t max_mailbox_bytes,
                       struct settings *out, uint32_t *given, struct settings_error *error)
{
    struct settings settings;
    struct parse p = {
        .out = &settings, .error = error, .source = source, .max_mailbox_bytes = max_mailbox_bytes};
    int outcome;

    *error = (struct settings_error){0};
    settings_init(&settings);
    if (source == FROM_CONFIG)
        settings.lease_s = LEASE_FOREVER;
    outcome = parse_fields(&p, object);
    if (outcome != 0) {
        settings_deinit(&settings);
        return outcome;
    }
    *out = settings;
    if (given)
        *given = p.given;
    return 0;
}

void settings_error_shards(struct settings_error *error, uint32_t n_workers)
{
    *error = (struct settings_error){.key = "shards", .parameter = "shards"};
    snprintf(error->expected, sizeof(error->expected), "at most %" PRIu32 ", one for each worker",
             n_workers);
}
