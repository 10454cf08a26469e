/* SPDX-License-Identifier: MIT */
/* The keys of the configuration's one object. */
#include "daemon/config/config_keys.h"

#include <sys/un.h>

#define MAX_WORKERS    64
#define MAX_STATE_PATH 3000 /* what the names in it still fit behind */
#define MAX_BYTES      (INT64_C(1) << 50)
/* Of which each worker has so many: 1 GiB. */
#define MAX_SOURCES_KEPT      (1 << 20)
#define MAX_REPLY_CACHE_BYTES (1 << 30)
#define MAX_PAUSE_US          1000
#define MIN_SPOOL_BYTES       (8 * 1024 * 1024)
#define MIN_JOURNAL_BYTES     (INT64_C(1) << 20)
#define MAX_JOURNAL_BYTES     (INT64_C(1) << 30)
#define MAX_COUNT             10000000
#define MAX_FRAME_BYTES       (64 * 1024 * 1024)

static int read_socket(struct reader *r, json_t *value, const struct place *place)
{
    return reader_path(r, value, place, sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
                       &r->config->socket_path);
}

static const struct key control_keys[] = {{"socket", read_socket}, {NULL, NULL}};

static int read_control(struct reader *r, json_t *value, const struct place *place)
{
    return reader_object(r, value, place, control_keys);
}

static int read_state(struct reader *r, json_t *value, const struct place *place)
{
    return reader_path(r, value, place, MAX_STATE_PATH, &r->config->state_directory);
}

static int read_workers(struct reader *r, json_t *value, const struct place *place)
{
    int64_t n = r->config->workers;
    int outcome = reader_integer(r, value, place, 1, MAX_WORKERS, &n);

    r->config->workers = (uint32_t)n;
    return outcome;
}

static int read_workers_cpus(struct reader *r, json_t *value, const struct place *place)
{
    struct cpu_list *list = &r->config->workers_cpus;

    if (!json_is_string(value) || !cpu_list_parse(json_string_value(value), list))
        return reader_refuse(
            r, place, "a list of CPUs like \"0,2-3\", each once, %d of them at most", CPU_LIST_MAX);
    if (list->n < r->config->workers)
        return reader_refuse(r, place, "a CPU for each of %u workers; there are %u",
                             r->config->workers, list->n);
    int forbidden = cpu_list_forbidden(list);
    if (forbidden >= 0)
        return reader_refuse(r, place,
                             "CPUs on which msgd may run; of CPU %d the system says no "
                             "(Cpus_allowed_list in /proc/PID/status)",
                             forbidden);
    return 0;
}

static int read_pause_us(struct reader *r, json_t *value, const struct place *place, int64_t *out)
{
    if (json_is_string(value) && strcmp(json_string_value(value), "auto") == 0) {
        *out = MICROSECONDS_AUTO;
        return 0;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > MAX_PAUSE_US)
        return reader_refuse(r, place, "\"auto\", or an integer from 0 to 1000");
    *out = json_integer_value(value);
    return 0;
}

static int read_poll_us(struct reader *r, json_t *value, const struct place *place)
{
    return read_pause_us(r, value, place, &r->config->poll_us);
}

static int read_coalesce_us(struct reader *r, json_t *value, const struct place *place)
{
    return read_pause_us(r, value, place, &r->config->coalesce_us);
}

static int read_anticipate_percent(struct reader *r, json_t *value, const struct place *place)
{
    int64_t percent = r->config->anticipate_percent;
    int outcome = reader_integer(r, value, place, 0, 100, &percent);

    r->config->anticipate_percent = (uint32_t)percent;
    return outcome;
}

static int read_port_range(struct reader *r, json_t *value, const struct place *place)
{
    return reader_ports(r, value, place, &r->config->port_range);
}

static int read_session_port_range(struct reader *r, json_t *value, const struct place *place)
{
    return reader_ports(r, value, place, &r->config->session_port_range);
}

/* ---- limits ---- */

static int read_count(struct reader *r, json_t *value, const struct place *place, int64_t least,
                      int64_t most, uint64_t *out)
{
    int64_t n = 0;
    int outcome = reader_integer(r, value, place, least, most, &n);

    if (outcome == 0)
        *out = (uint64_t)n;
    return outcome;
}

static int read_endpoints_per_uid(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, 1, MAX_COUNT, &r->config->limits.quota.endpoints_per_uid);
}

static int read_mailbox_bytes_per_uid(struct reader *r, json_t *value, const struct place *place)
{
    /* A mailbox of its default max_message_bytes, or of any, has to fit. */
    return read_count(r, value, place, (int64_t)settings_least_mailbox(UINT16_MAX), MAX_BYTES,
                      &r->config->limits.quota.mailbox_bytes_per_uid);
}

static int read_connections_per_uid(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, 1, MAX_COUNT, &r->config->limits.quota.connections_per_uid);
}

static int read_sessions_per_uid(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, 0, MAX_COUNT, &r->config->limits.quota.sessions_per_uid);
}

static int read_accept_timeout_s(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, 1, 3600, &r->config->limits.accept_timeout_s);
}

static int read_quarantine_bytes(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, 0, MAX_BYTES, &r->config->limits.quarantine_bytes);
}

static int read_frame_bytes(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, 4096, MAX_FRAME_BYTES, &r->config->limits.frame_bytes);
}

static int read_frame_timeout_s(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, 1, 3600, &r->config->limits.frame_timeout_s);
}

/* A limit of a worker: 32 bits are enough. */
static int read_small(struct reader *r, json_t *value, const struct place *place, int64_t max,
                      uint32_t *out)
{
    uint64_t n = *out;
    int outcome = read_count(r, value, place, 0, max, &n);

    *out = (uint32_t)n;
    return outcome;
}

static int read_replies_per_source(struct reader *r, json_t *value, const struct place *place)
{
    return read_small(r, value, place, MAX_COUNT, &r->config->limits.replies_per_source);
}

static int read_answers_per_source(struct reader *r, json_t *value, const struct place *place)
{
    return read_small(r, value, place, MAX_COUNT, &r->config->limits.answers_per_source);
}

static int read_sources(struct reader *r, json_t *value, const struct place *place)
{
    return read_small(r, value, place, MAX_SOURCES_KEPT, &r->config->limits.sources);
}

static int read_reply_cache_bytes(struct reader *r, json_t *value, const struct place *place)
{
    return read_small(r, value, place, MAX_REPLY_CACHE_BYTES, &r->config->limits.reply_cache_bytes);
}

static int read_spool_bytes(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, MIN_SPOOL_BYTES, MAX_BYTES, &r->config->limits.spool_bytes);
}

static int read_spool_free_bytes(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, 0, MAX_BYTES, &r->config->limits.spool_free_bytes);
}

static int read_journal_bytes(struct reader *r, json_t *value, const struct place *place)
{
    return read_count(r, value, place, MIN_JOURNAL_BYTES, MAX_JOURNAL_BYTES,
                      &r->config->limits.journal_bytes);
}

static const struct key limit_keys[] = {
    {"endpoints_per_uid", read_endpoints_per_uid},
    {"mailbox_bytes_per_uid", read_mailbox_bytes_per_uid},
    {"connections_per_uid", read_connections_per_uid},
    {"sessions_per_uid", read_sessions_per_uid},
    {"accept_timeout_s", read_accept_timeout_s},
    {"quarantine_bytes", read_quarantine_bytes},
    {"frame_bytes", read_frame_bytes},
    {"frame_timeout_s", read_frame_timeout_s},
    {"replies_per_source", read_replies_per_source},
    {"answers_per_source", read_answers_per_source},
    {"sources", read_sources},
    {"reply_cache_bytes", read_reply_cache_bytes},
    {"spool_bytes", read_spool_bytes},
    {"spool_free_bytes", read_spool_free_bytes},
    {"journal_bytes", read_journal_bytes},
    {NULL, NULL},
};

static int read_limits(struct reader *r, json_t *value, const struct place *place)
{
    return reader_object(r, value, place, limit_keys);
}

/* Limits come before the endpoints that are held to them, and workers before their CPUs. */
static const struct key keys[] = {
    {"control", read_control},
    {"state", read_state},
    {"workers", read_workers},
    {"workers_cpus", read_workers_cpus},
    {"poll_us", read_poll_us},
    {"coalesce_us", read_coalesce_us},
    {"anticipate_percent", read_anticipate_percent},
    {"port_range", read_port_range},
    {"session_port_range", read_session_port_range},
    {"limits", read_limits},
    {"policy", read_policy},
    {"endpoints", read_endpoints},
    {NULL, NULL},
};

int config_keys_read(struct reader *r, json_t *root)
{
    return reader_object(r, root, NULL, keys);
}
