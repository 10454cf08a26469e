/* SPDX-License-Identifier: MIT */
/* The configuration that nobody wrote. */
#include "daemon/config/config.h"
#include "daemon/config/names.h"
#include "proto/json_input.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADMINISTRATORS "msgd"

void config_environment_read(struct config_environment *out)
{
    char path[64];
    struct stat status;

    *out = (struct config_environment){
        .uid = getuid(),
        .runtime_directory = getenv("XDG_RUNTIME_DIR"),
        .state_home = getenv("XDG_STATE_HOME"),
        .home = getenv("HOME"),
    };
    snprintf(path, sizeof(path), "/run/user/%u", (unsigned)out->uid);
    out->has_run_user = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static char *print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* NULL: no memory. */
static char *print(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    int n;

    va_start(arguments, format);
    n = vasprintf(&text, format, arguments);
    va_end(arguments);
    return n < 0 ? NULL : text;
}

/* The XDG specification has relative paths ignored. */
static bool is_absolute(const char *path)
{
    return path && path[0] == '/';
}

static char *user_runtime_directory(const struct config_environment *e)
{
    if (is_absolute(e->runtime_directory))
        return print("%s/msgd", e->runtime_directory);
    if (e->has_run_user)
        return print("/run/user/%u/msgd", (unsigned)e->uid);
    return print("/tmp/msgd-%u", (unsigned)e->uid);
}

static char *user_state_directory(const struct config_environment *e, const char *runtime_directory)
{
    if (is_absolute(e->state_home))
        return print("%s/msgd", e->state_home);
    if (is_absolute(e->home))
        return print("%s/.local/state/msgd", e->home);
    return print("%s/state", runtime_directory);
}

static int set_user_paths(struct config *config, const struct config_environment *e)
{
    char *directory = user_runtime_directory(e);

    if (!directory)
        return -ENOMEM;
    config->socket_path = print("%s/msgd.sock", directory);
    config->state_directory = user_state_directory(e, directory);
    free(directory);
    return config->socket_path && config->state_directory ? 0 : -ENOMEM;
}

static int set_system_paths(struct config *config)
{
    config->socket_path = strdup("/run/msgd/msgd.sock");
    config->state_directory = strdup("/var/lib/msgd");
    config->file = strdup("/etc/msgd/msgd.json");
    return config->socket_path && config->state_directory && config->file ? 0 : -ENOMEM;
}

static int find_administrators(struct policy *policy)
{
    int error = names_find_group(ADMINISTRATORS, &policy->administrators);

    policy->has_administrators = error == 0;
    return error == -ENOMEM ? error : 0;
}

int config_init_defaults(struct config *config, const struct config_environment *environment)
{
    int error;

    json_input_guard();
    *config = (struct config){
        .workers = 1,
        .poll_us = MICROSECONDS_AUTO,
        .coalesce_us = MICROSECONDS_AUTO,
        .anticipate_percent = 10,
        .port_range = {10000, 24999},
        .session_port_range = {25000, 29999},
        .limits = {.quota = {.endpoints_per_uid = 16384,
                             .connections_per_uid = 256,
                             .mailbox_bytes_per_uid = 1024u * 1024u * 1024u,
                             .sessions_per_uid = 4096},
                   .accept_timeout_s = 30,
                   .quarantine_bytes = 8u * 1024u * 1024u,
                   .frame_bytes = 1024u * 1024u,
                   .frame_timeout_s = 5,
                   .replies_per_source = 1000,
                   .answers_per_source = 10000,
                   .sources = 16384,
                   .reply_cache_bytes = 1024u * 1024u,
                   .spool_bytes = 1024u * 1024u * 1024u,
                   .spool_free_bytes = 64u * 1024u * 1024u,
                   .journal_bytes = 64u * 1024u * 1024u},
        .policy = {.daemon_uid = environment->uid},
    };
    error = find_administrators(&config->policy);
    if (error == 0)
        error =
            environment->uid == 0 ? set_system_paths(config) : set_user_paths(config, environment);
    if (error < 0)
        config_deinit(config);
    return error;
}
