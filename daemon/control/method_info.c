/* SPDX-License-Identifier: MIT */
/* GetInfo, Metrics, Reload. */
#include "daemon/control/access.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/methods.h"
#include "daemon/control/metrics.h"
#include "daemon/control/params.h"
#include "daemon/control/state.h"
#include "daemon/control/statics.h"
#include "daemon/control/survey.h"
#include "daemon/store/store.h"
#include "proto/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_DESCRIPTORS "/proc/self/fd"

/* ---- GetInfo ---- */

/* -1: cannot be seen. From Linux 6.2 on the size of the directory is their number; to read it has
 * the kernel remember a name for each, which it forgets one by one when this process ends. */
static int64_t count_descriptors(void)
{
    struct stat info;
    DIR *directory;
    int64_t n = -3; /* ".", ".." and the directory itself */

    if (stat(OWN_DESCRIPTORS, &info) == 0 && info.st_size > 0)
        return info.st_size;
    directory = opendir(OWN_DESCRIPTORS);
    if (!directory)
        return -1;
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

static void put_range(struct json_writer *w, const char *key, struct port_span span)
{
    json_begin_array(w, key);
    json_put_int(w, NULL, span.first);
    json_put_int(w, NULL, span.last);
    json_end_array(w);
}

static void put_limits(struct json_writer *w, const struct config_limits *limits)
{
    json_begin_object(w, "limits");
    json_put_uint(w, "endpoints_per_uid", limits->quota.endpoints_per_uid);
    json_put_uint(w, "mailbox_bytes_per_uid", limits->quota.mailbox_bytes_per_uid);
    json_put_uint(w, "connections_per_uid", limits->quota.connections_per_uid);
    json_put_uint(w, "sessions_per_uid", limits->quota.sessions_per_uid);
    json_put_uint(w, "accept_timeout_s", limits->accept_timeout_s);
    json_put_uint(w, "quarantine_bytes", limits->quarantine_bytes);
    json_put_uint(w, "frame_bytes", limits->frame_bytes);
    json_put_uint(w, "frame_timeout_s", limits->frame_timeout_s);
    json_put_uint(w, "replies_per_source", limits->replies_per_source);
    json_put_uint(w, "answers_per_source", limits->answers_per_source);
    json_put_uint(w, "sources", limits->sources);
    json_put_uint(w, "reply_cache_bytes", limits->reply_cache_bytes);
    json_put_uint(w, "spool_bytes", limits->spool_bytes);
    json_put_uint(w, "spool_free_bytes", limits->spool_free_bytes);
    json_put_uint(w, "journal_bytes", limits->journal_bytes);
    json_end_object(w);
}

static void put_store(struct json_writer *w, const struct control *control)
{
    struct store_info info;

    store_info(control->options.store, &info);
    json_begin_object(w, "store");
    json_put_string(w, "path", store_path(control->options.store));
    json_put_string(w, "state", store_state_name(info.state));
    json_put_string(w, "error", info.error ? strerrordesc_np(-info.error) : NULL);
    json_put_uint(w, "max_bytes", info.max_bytes);
    json_put_uint(w, "used_bytes", info.used_bytes);
    json_put_uint(w, "file_bytes", info.file_bytes);
    json_put_uint(w, "free_bytes", info.free_bytes);
    json_put_uint(w, "appended", info.appended);
    json_put_uint(w, "damaged_rows", info.damaged_rows);
    json_put_uint(w, "log_mended", info.log_mended);
    json_put_bool(w, "log_broke_off", info.log_broke_off);
    json_end_object(w);
}

static void put_process(struct json_writer *w, const struct control *control)
{
    struct rlimit descriptors = {0};
    char since[TIME_TEXT_MAX];

    json_put_string(w, "version", MSGD_VERSION);
    json_put_int(w, "pid", getpid());
    json_put_int(w, "uid", getuid());
    json_put_string(w, "since", time_print(control->since_wall_ns, since));
    (void)getrlimit(RLIMIT_NOFILE, &descriptors);
    json_put_int(w, "descriptors_used", count_descriptors());
    json_put_uint(w, "descriptors_limit", descriptors.rlim_cur);
}

/* One for each worker, or none. */
static void put_cpus(struct json_writer *w, const struct control *control)
{
    const struct cpu_list *cpus = &control->config.workers_cpus;

    json_begin_array(w, "workers_cpus");
    for (uint32_t i = 0; i < control->n_workers && cpus->n > 0; i++)
        json_put_uint(w, NULL, cpus->cpus[i]);
    json_end_array(w);
}

void method_get_info(struct call *call)
{
    const struct control *control = call->control;
    const struct config *config = &control->config;
    struct json_writer *w;

    if (!params_parse(call, NULL, 0))
        return;
    w = call_begin_reply(call);
    put_process(w, control);
    json_put_string(w, "socket", config->socket_path);
    json_put_string(w, "configuration", config->n_files > 0 ? config->files[0] : NULL);
    json_put_uint(w, "workers", control->n_workers);
    put_cpus(w, control);
    json_put_uint(w, "endpoints", registry_count(control->registry));
    json_put_uint(w, "connections", control->n_connections);
    json_put_uint(w, "sessions", control->visits.by_id.count);
    put_range(w, "port_range", config->port_range);
    put_range(w, "session_port_range", config->session_port_range);
    put_limits(w, &config->limits);
    put_store(w, control);
    call_finish(call);
}

/* ---- Metrics ---- */

struct gathering {
    struct call *call;
    struct metrics_row *rows;
    size_t n_rows;
    size_t n_room;
};

static bool on_row(void *context, const struct desk *desk, const struct snapshot *s)
{
    struct gathering *g = context;
    struct metrics_row *row = &g->rows[g->n_rows];

    if (!call_is_live(g->call) || g->n_rows == g->n_room)
        return false;
    *row = (struct metrics_row){.address = desk->entry->address,
                                .state = desk->entry->state,
                                .n_consumers = desk->entry->n_consumers,
                                .mailbox_bytes = desk->entry->settings.mailbox_bytes};
    snprintf(row->name, sizeof(row->name), "%s", desk->name);
    if (s) {
        row->mailbox_used = s->mailbox_used;
        row->n_stalled = s->n_stalled;
        row->ledger = s->ledger;
        row->spool = s->spool;
    }
    g->n_rows++;
    return true;
}

static void write_text(const struct gathering *g, const struct control *control, FILE *out)
{
    struct worker_info *workers = calloc(control->n_workers, sizeof(*workers));
    struct metrics metrics = {
        .rows = g->rows,
        .n_rows = g->n_rows,
        .workers = workers,
        .n_workers = workers ? control->n_workers : 0,
        .connections = control->n_connections,
        .sessions = control->visits.by_id.count,
        .quarantine_entries = quarantine_count(control->quarantine),
        .quarantine_bytes = quarantine_bytes(control->quarantine),
        .quarantine_discarded = quarantine_discarded_all(control->quarantine),
        .quarantine_unwritten = quarantine_count_unwritten(control->quarantine),
        .since_ns = control->since_wall_ns,
    };

    store_info(control->options.store, &metrics.store);
    for (uint32_t i = 0; i < metrics.n_workers; i++)
        worker_info(control->workers[i], &workers[i]);
    metrics_write(out, &metrics);
    free(workers);
}

static void answer_metrics(struct gathering *g)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    bool is_bad = !out;

    if (out) {
        write_text(g, g->call->control, out);
        is_bad = ferror(out);
        is_bad = fclose(out) != 0 || is_bad;
    }
    if (is_bad) {
        call_try_again(g->call, "no memory");
    } else {
        json_put_string_n(call_begin_reply(g->call), "text", text, n);
        call_finish(g->call);
    }
    free(text);
}

static void on_surveyed(void *context, int status)
{
    struct gathering *g = context;

    if (status == -ENOMEM)
        call_try_again(g->call, "no memory");
    else if (status < 0)
        call_end(g->call);
    else
        answer_metrics(g);
    free(g->rows);
    free(g);
}

void method_metrics(struct call *call)
{
    struct survey_order order = {.row = on_row, .done = on_surveyed};
    struct gathering *g;

    if (!params_parse(call, NULL, 0))
        return;
    g = calloc(1, sizeof(*g));
    if (g) {
        g->call = call;
        g->n_room = registry_count(call->control->registry);
        g->rows = calloc(g->n_room + 1, sizeof(*g->rows));
    }
    if (!g || !g->rows || name_list_all(&order.names, call->control) < 0) {
        name_list_deinit(&order.names);
        free(g ? g->rows : NULL);
        free(g);
        call_try_again(call, "no memory");
        return;
    }
    order.context = g;
    survey_begin(call->control, &order);
}

/* ---- Reload ---- */

static void answer_bad_configuration(struct call *call, const struct config_error *error)
{
    struct json_writer *w = call_begin_error(call, "io.msgd.BadConfiguration");

    json_put_string(w, "file", error->file);
    json_put_int(w, "line", error->line);
    json_put_int(w, "column", error->column);
    json_put_string(w, "expected", error->expected);
    call_finish(call);
}

void method_reload(struct call *call)
{
    struct config_error error;
    struct static_changes changes;
    struct json_writer *w;
    int r;

    if (!params_parse(call, NULL, 0) || !access_administrate(call, "reload the configuration"))
        return;
    r = control_reload_counted(call->control, &error, &changes);
    if (r == CONFIG_REFUSED) {
        answer_bad_configuration(call, &error);
    } else if (r < 0) {
        call_system_error(call, r, "reloading");
    } else {
        w = call_begin_reply(call);
        json_put_uint(w, "added", changes.n_added);
        json_put_uint(w, "removed", changes.n_removed);
        json_put_uint(w, "changed", changes.n_changed);
        call_finish(call);
    }
}
