/* SPDX-License-Identifier: MIT */
/* Reading the configuration again: parsed whole, then swapped. */
#include "daemon/control/state.h"
#include "daemon/control/statics.h"
#include "daemon/store/store.h"

#include <string.h>

static void warn_if(bool has_changed, const char *key)
{
    if (has_changed)
        log_warning("\"%s\" has changed in the configuration: that takes effect when msgd is "
                    "started again",
                    key);
}

/* Limits of workers. */
static void keep_limits(const struct config_limits *now, struct config_limits *fresh)
{
    warn_if(now->replies_per_source != fresh->replies_per_source, "limits.replies_per_source");
    warn_if(now->answers_per_source != fresh->answers_per_source, "limits.answers_per_source");
    warn_if(now->sources != fresh->sources, "limits.sources");
    warn_if(now->reply_cache_bytes != fresh->reply_cache_bytes, "limits.reply_cache_bytes");
    fresh->replies_per_source = now->replies_per_source;
    fresh->answers_per_source = now->answers_per_source;
    fresh->sources = now->sources;
    fresh->reply_cache_bytes = now->reply_cache_bytes;
}

/* What is fixed at start keeps its value. */
static void keep_fixed(struct config *now, struct config *fresh)
{
    char *socket_path = fresh->socket_path, *state_directory = fresh->state_directory;

    warn_if(strcmp(now->socket_path, fresh->socket_path) != 0, "control.socket");
    warn_if(strcmp(now->state_directory, fresh->state_directory) != 0, "state");
    warn_if(now->workers != fresh->workers, "workers");
    warn_if(!cpu_list_equals(&now->workers_cpus, &fresh->workers_cpus), "workers_cpus");
    warn_if(now->poll_us != fresh->poll_us, "poll_us");
    warn_if(now->coalesce_us != fresh->coalesce_us, "coalesce_us");
    warn_if(now->anticipate_percent != fresh->anticipate_percent, "anticipate_percent");
    keep_limits(&now->limits, &fresh->limits);
    fresh->socket_path = now->socket_path;
    fresh->state_directory = now->state_directory;
    now->socket_path = socket_path;
    now->state_directory = state_directory;
    fresh->workers = now->workers;
    fresh->workers_cpus = now->workers_cpus;
    fresh->poll_us = now->poll_us;
    fresh->coalesce_us = now->coalesce_us;
    fresh->anticipate_percent = now->anticipate_percent;
}

static void swap(struct control *control, struct config *fresh)
{
    keep_fixed(&control->config, fresh);
    config_deinit(&control->config);
    control->config = *fresh;
    quota_set_limits(control->quota, &control->config.limits.quota);
    quarantine_set_limit(control->quarantine, control->config.limits.quarantine_bytes);
    registry_set_ports(control->registry, control->config.port_range);
    visits_set_ports(control);
    user_names_reset(&control->users);
    atomic_store(&control->journals.limit, control->config.limits.journal_bytes);
    store_set_limits(control->options.store, control->config.limits.spool_bytes,
                     control->config.limits.spool_free_bytes);
}

int control_reload_counted(struct control *control, struct config_error *error,
                           struct static_changes *changes)
{
    struct config fresh;
    char text[PATH_MAX + 320];
    int r = control->options.load(control->options.context, &fresh, error);

    if (r == CONFIG_REFUSED)
        log_error("the configuration is not taken, nothing has changed: %s",
                  config_error_print(error, text, sizeof(text)));
    if (r != 0) {
        config_deinit(&fresh);
        return r;
    }
    swap(control, &fresh);
    statics_apply(control, changes);
    log_info("configuration read again: %llu endpoints added, %llu removed, %llu changed",
             (unsigned long long)changes->n_added, (unsigned long long)changes->n_removed,
             (unsigned long long)changes->n_changed);
    return 0;
}

int control_reload(struct control *control, struct config_error *error)
{
    struct static_changes changes;

    return control_reload_counted(control, error, &changes);
}
