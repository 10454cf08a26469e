/* SPDX-License-Identifier: MIT */
/* The daemon as a whole. */
#include "daemon/config/config.h"
#include "daemon/control/control.h"
#include "daemon/data/watch_table.h"
#include "daemon/host.h"
#include "daemon/server_state.h"
#include "daemon/store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

/* Blocks from this size up go back to the system when they are freed. */
#define LARGE_BLOCK_BYTES (128 * 1024)

/* ---- Configuration ---- */

static int replace_string(char **at, const char *text)
{
    char *copy;

    if (!text)
        return 0;
    copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*at);
    *at = copy;
    return 0;
}

/* Defaults, file, options. As config_load; *is_private: the socket is where it is by default. */
static int load(const struct server_options *options, struct config *out,
                struct config_error *error, bool *is_private)
{
    struct config_environment environment;
    char *default_socket = NULL;
    int r;

    *out = (struct config){0};
    config_environment_read(&environment);
    r = config_init_defaults(out, &environment);
    if (r == 0)
        r = replace_string(&default_socket, out->socket_path);
    if (r == 0)
        r = config_load(out, options->config_path, error);
    if (r == 0)
        r = replace_string(&out->socket_path, options->socket_path);
    if (r == 0)
        r = replace_string(&out->state_directory, options->state_directory);
    if (r == 0 && is_private)
        *is_private = environment.uid != 0 && strcmp(out->socket_path, default_socket) == 0;
    free(default_socket);
    return r;
}

static int load_again(void *context, struct config *out, struct config_error *error)
{
    const struct server *server = context;

    return load(server->options, out, error, NULL);
}

static int load_at_start(const struct server_options *options, struct config *out, bool *is_private,
                         struct successor *successor)
{
    struct config_error error;
    char text[PATH_MAX + 320];
    int r = load(options, out, &error, is_private);

    if (r == 0)
        return 0;
    config_deinit(out);
    if (r < 0)
        return error_trace(r, "cannot read the configuration");
    log_error("%s", config_error_print(&error, text, sizeof(text)));
    successor_refuse(successor, text);
    return SERVER_BAD_CONFIGURATION;
}

int server_check(const struct server_options *options)
{
    struct successor none = {0};
    struct config config;
    int r = load_at_start(options, &config, NULL, &none);

    if (r != 0)
        return r;
    host_warn(&config);
    for (size_t i = 0; i < config.n_files; i++)
        printf("msgd: %s is good\n", config.files[i]);
    if (config.n_files == 0)
        puts("msgd: there is no configuration; the defaults are good");
    config_deinit(&config);
    return 0;
}

/* ---- Signals and systemd ---- */

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_handles(struct server *server)
{
    if (!server->has_handles)
        return;
    for (int i = 0; i < N_SIGNALS; i++)
        close_handle((uv_handle_t *)&server->signals[i]);
    close_handle((uv_handle_t *)&server->watchdog);
}

void server_control_closed(void *context)
{
    struct server *server = context;

    server->control = NULL;
    close_handles(server);
}

static void stop(struct server *server)
{
    if (server->is_stopping)
        return;
    server->is_stopping = true;
    /* What is freed is merged with its neighbours at once, while the workers end, and not in one go
     * behind them. */
    (void)mallopt(M_MXFAST, 0);
    upgrade_cancel(&server->upgrade);
    (void)sd_notify(0, "STOPPING=1");
    log_info("stopping");
    control_socket_remove(&server->socket);
    control_close(server->control, server_control_closed, server);
}

static void reload(struct server *server)
{
    struct config_error error;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIi64,
                     (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    if (control_reload(server->control, &error) < 0)
        log_error("the configuration was not read again: no memory");
    (void)sd_notify(0, "READY=1");
}

/* ---- Signals ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;

    if (number == SIGUSR2)
        server_begin_upgrade(server);
    else if (number != SIGHUP)
        stop(server);
    else if (!server->is_stopping)
        reload(server);
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    (void)sd_notify(0, "WATCHDOG=1");
}

static void start_watchdog(struct server *server)
{
    uint64_t period_us = 0;

    if (sd_watchdog_enabled(0, &period_us) > 0 && period_us >= 2000)
        uv_timer_start(&server->watchdog, on_watchdog, 0, period_us / 2000);
}

static int open_handles(struct server *server)
{
    static const int numbers[N_SIGNALS] = {[ON_TERMINATE] = SIGTERM,
                                           [ON_INTERRUPT] = SIGINT,
                                           [ON_HANGUP] = SIGHUP,
                                           [ON_UPGRADE] = SIGUSR2};

    (void)uv_timer_init(&server->loop, &server->watchdog);
    for (int i = 0; i < N_SIGNALS; i++)
        (void)uv_signal_init(&server->loop, &server->signals[i]);
    server->has_handles = true;
    for (int i = 0; i < N_SIGNALS; i++) {
        int r = uv_signal_start(&server->signals[i], on_signal, numbers[i]);

        if (r < 0)
            return error_trace(r, "cannot catch signal %d", numbers[i]);
        server->signals[i].data = server;
    }
    start_watchdog(server);
    return 0;
}

/* ---- Starting ---- */

static int open_socket(struct server *server, struct config *config, bool is_private)
{
    struct successor *successor = &server->successor;
    int r;

    if (successor->is_one) {
        r = control_socket_adopt(&server->socket, successor->listener, successor->owns_socket_file,
                                 &config->socket_path);
        successor->listener = -1;
        return r;
    }
    r = control_socket_inherit(&server->socket, &server->kept.inherited, &config->socket_path);

    if (r != 0)
        return r < 0 ? r : 0;
    r = control_socket_listen(&server->socket, config->socket_path, is_private);
    return r == SOCKET_IS_ALIVE ? SERVER_IS_RUNNING : r;
}

static int open_loop(struct server *server, int max_descriptor)
{
    int r = uv_loop_init(&server->loop);

    if (r < 0)
        return error_trace(r, "cannot make the event loop (it needs descriptors and memory)");
    r = watch_table_grow(&server->loop, max_descriptor);
    if (r < 0) {
        uv_loop_close(&server->loop);
        return error_trace(r, "cannot make room to watch %d descriptors", max_descriptor);
    }
    return 0;
}

static void on_serving(void *context)
{
    struct server *server = context;

    (void)sd_notify(0, "READY=1");
    successor_ready(&server->successor);
}

/* A database that is busy, or a version that is not known, does not change within milliseconds:
 * whoever starts msgd again at once is held back. */
static int refuse_kept(int r)
{
    if (r <= 0)
        return r;
    sleep(1);
    return r == KEPT_IS_BUSY ? SERVER_IS_RUNNING : SERVER_IS_TOO_OLD;
}

static int open_control(struct server *server, struct config *config, int max_descriptor)
{
    struct control_options options = {.loop = &server->loop,
                                      .listener = server->socket.fd,
                                      .stash = server->kept.stash,
                                      .max_descriptor = max_descriptor,
                                      .config = config,
                                      .load = load_again,
                                      .context = server,
                                      .serving = on_serving,
                                      .upgrade = server_begin_upgrade};
    int r = refuse_kept(kept_open_store(&server->kept, config));

    options.store = server->kept.store;
    if (r == 0)
        r = open_handles(server);
    if (r == 0) {
        r = control_open(&server->control, &options);
        return r == -EPROTONOSUPPORT ? refuse_kept(KEPT_UNKNOWN_VERSION) : r;
    }
    close(server->socket.fd);
    return r;
}

static int run_with_loop(struct server *server, struct config *config, bool is_private,
                         int max_descriptor)
{
    char where[PATH_MAX];
    int r;

    r = open_socket(server, config, is_private);
    if (r != 0)
        return r;
    snprintf(where, sizeof(where), "%s", config->socket_path);
    r = open_control(server, config, max_descriptor);
    if (r == 0) {
        log_info("msgd %s serves %s", MSGD_VERSION, where);
        uv_run(&server->loop, UV_RUN_DEFAULT);
        return 0;
    }
    control_socket_remove(&server->socket);
    close_handles(server);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    return r;
}

static int run_with_kept(struct server *server, struct config *config, bool is_private,
                         int max_descriptor)
{
    int r = successor_take_over(&server->successor, config);

    if (r == SUCCESSOR_REFUSED)
        return SERVER_IS_TOO_OLD;
    if (r == 0)
        r = refuse_kept(kept_open(&server->kept, &server->successor));
    if (r == 0)
        r = run_with_loop(server, config, is_private, max_descriptor);
    if (r == 0 && server->is_handing_over)
        r = server_hand_over(server);
    kept_close(&server->kept);
    return r;
}

int server_run(const struct server_options *options)
{
    struct server server = {.options = options};
    struct config config;
    bool is_private = false;
    int max_descriptor, r;

    /* A fixed threshold: glibc would raise it with each large block that is freed, and keep the
     * next. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
    successor_init(&server.successor);
    r = load_at_start(options, &config, &is_private, &server.successor);
    if (r != 0) {
        successor_deinit(&server.successor);
        return r;
    }
    host_warn(&config);
    max_descriptor = host_raise_descriptors();
    r = max_descriptor < 0 ? max_descriptor : open_loop(&server, max_descriptor);
    if (r == 0) {
        r = run_with_kept(&server, &config, is_private, max_descriptor);
        uv_loop_close(&server.loop);
    }
    if (r != 0)
        successor_refuse(&server.successor, "it could not take over; its log says why");
    successor_deinit(&server.successor);
    config_deinit(&config);
    return r;
}
