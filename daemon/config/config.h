/* SPDX-License-Identifier: MIT */
/*
 * The configuration: defaults, then the file (and endpoints.d/ beside it), then the options of the
 * command line, which the caller applies. Parsed whole before anything is taken from it.
 */
#ifndef MSGD_DAEMON_CONFIG_CONFIG_H
#define MSGD_DAEMON_CONFIG_CONFIG_H

#include "daemon/base/error.h"
#include "daemon/config/cpu_list.h"
#include "daemon/core/policy.h"
#include "daemon/core/principals.h"
#include "daemon/core/quota.h"
#include "daemon/core/settings.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MICROSECONDS_AUTO (-1)

struct config_limits {
    struct quota_limits quota;
    uint64_t accept_timeout_s;
    uint64_t quarantine_bytes;
    uint64_t frame_bytes;
    uint64_t frame_timeout_s;
    uint32_t replies_per_source;
    uint32_t answers_per_source;
    uint32_t sources;
    uint32_t reply_cache_bytes;
    uint64_t spool_bytes;      /* of the database on disk */
    uint64_t spool_free_bytes; /* that its file system is left */
    uint64_t journal_bytes;    /* of messages that wait for the disk */
};

/* A static endpoint. */
struct config_endpoint {
    struct settings settings;
    struct principals owners; /* users and groups, resolved */
    const char *file;         /* where it stands; the config's */
};

struct config {
    char *file;                /* that was read, or is read if it comes to be; NULL: none */
    char *endpoints_directory; /* endpoints.d beside it; NULL: none */
    bool is_file_required;
    char *socket_path;
    char *state_directory;
    uint32_t workers;
    struct cpu_list workers_cpus; /* empty, or at least one for each */
    int64_t poll_us;              /* or MICROSECONDS_AUTO */
    int64_t coalesce_us;          /* the same */
    uint32_t anticipate_percent;  /* of a worker's core */
    struct port_span port_range;
    struct port_span session_port_range;
    struct config_limits limits;
    struct policy policy;
    struct config_endpoint *endpoints; /* n_endpoints of them, owned */
    size_t n_endpoints;
    char **files; /* n_files that were read, in this order, owned */
    size_t n_files;
};

/* What the defaults depend on. Strings: the caller's, NULL = not set. */
struct config_environment {
    uid_t uid;
    const char *runtime_directory; /* XDG_RUNTIME_DIR */
    const char *state_home;        /* XDG_STATE_HOME */
    const char *home;              /* HOME */
    bool has_run_user;             /* /run/user/UID is there */
};

/* Of this process. */
void config_environment_read(struct config_environment *out);

enum config_outcome { CONFIG_REFUSED = 1 };

struct config_error {
    char file[PATH_MAX];
    int line;   /* from 1; 0: the file as a whole */
    int column; /* from 1, in characters */
    char expected[256];
};

/*
 * Fills an uninitialised config with the defaults: as root /run/msgd/msgd.sock, /var/lib/msgd and
 * /etc/msgd/msgd.json, as a user below XDG_RUNTIME_DIR (/run/user/UID, /tmp/msgd-UID) and
 * XDG_STATE_HOME
 * (~/.local/state), without a file. Looks up the group msgd, and guards
 * jansson (json_input_guard) for all that is read from here on. 0 or -ENOMEM.
 */
int config_init_defaults(struct config *config,
                         const struct config_environment *environment) MUST_USE;

/*
 * Reads a file over the defaults. path: NULL is the default one, which need not exist. Then every
 * endpoints.d/NAME.json beside it, in the order of their names.
 * 0; CONFIG_REFUSED, error is filled (also where a file cannot be read); -ENOMEM. After a failure
 * the config is only good for config_deinit.
 */
int config_load(struct config *config, const char *path, struct config_error *error) MUST_USE;

/* Safe on a zeroed one. */
void config_deinit(struct config *config);

/* "FILE:LINE:COLUMN: expected ..." as one line. Returns buf. */
const char *config_error_print(const struct config_error *error, char *buf, size_t n_buf);

/* Do the ranges share a port? For port_range and the kernel's net.ipv4.ip_local_port_range. */
bool port_span_overlaps(struct port_span a, struct port_span b);
/* Parses the text of /proc/sys/net/ipv4/ip_local_port_range. False: it is none. */
bool port_span_parse_kernel(const char *text, struct port_span *out);

#endif
