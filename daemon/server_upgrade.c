/* SPDX-License-Identifier: MIT */
/* The daemon as a whole makes way for a successor. */
#include "daemon/control/control.h"
#include "daemon/server_state.h"
#include "daemon/store/stash.h"
#include "daemon/store/store.h"
#include "proto/json_writer.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void refuse_upgrade(struct server *server, const char *why)
{
    log_error("no upgrade: %s; this msgd goes on", why);
    control_upgrade_failed(server->control, why);
}

/* Closes everything as in a stop, but for what the successor gets. */
static void let_go(struct server *server)
{
    server->is_stopping = server->is_handing_over = true;
    server->gift.owns_socket_file = server->socket.path != NULL;
    server->gift.stash = server->kept.stash;
    control_socket_disown(&server->socket);
    stash_promise(server->kept.stash);
    server->n_callers = control_upgrade_callers(server->control, server->callers, MAX_CALLERS);
    control_close(server->control, server_control_closed, server);
}

static void on_checked(void *context, const char *why_not)
{
    struct server *server = context;

    if (why_not) {
        refuse_upgrade(server, why_not);
        return;
    }
    server->gift.listener = fcntl(server->socket.fd, F_DUPFD_CLOEXEC, 0);
    if (server->gift.listener >= 0) {
        let_go(server);
    } else {
        upgrade_cancel(&server->upgrade);
        refuse_upgrade(server, "there are no descriptors");
    }
}

void server_begin_upgrade(void *context)
{
    struct server *server = context;
    struct upgrade *u = &server->upgrade;

    if (server->is_stopping || u->is_under_way)
        return;
    log_info("an upgrade begins");
    u->checked = on_checked;
    u->context = server;
    if (upgrade_begin(u, &server->loop, server->options->argv) < 0)
        refuse_upgrade(server, u->why);
}

static void write_outcome(struct json_writer *w, const struct upgrade *u, bool is_done)
{
    json_begin_object(w, NULL);
    if (!is_done)
        json_put_string(w, "error", "io.msgd.TryAgain");
    json_begin_object(w, "parameters");
    if (is_done) {
        json_put_int(w, "pid", u->pid);
        json_put_string(w, "version", u->version);
    } else {
        json_put_string(w, "reason", u->why);
    }
    json_end_object(w);
    json_end_object(w);
    json_put_raw_bytes(w, "", 1);
}

static void answer_callers(struct server *server, bool is_done)
{
    struct json_writer w;

    json_writer_init(&w);
    write_outcome(&w, &server->upgrade, is_done);
    for (size_t i = 0; i < server->n_callers; i++) {
        if (!w.error)
            (void)!send(server->callers[i], w.bytes, w.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        close(server->callers[i]);
    }
    json_writer_deinit(&w);
}

int server_hand_over(struct server *server)
{
    struct upgrade *u = &server->upgrade;
    int r;

    server->kept.store = store_stop(server->kept.store);
    r = upgrade_give(u, &server->gift);
    if (r == 0) {
        log_info("msgd %s serves now, pid %d", u->version, (int)u->pid);
        answer_callers(server, true);
    } else {
        log_error("the successor took over and failed: %s; this msgd starts over", u->why);
        answer_callers(server, false);
        r = upgrade_start_over(server->options->argv, &server->gift);
        error_trace(r, "cannot start over");
    }
    close(server->gift.listener);
    return r;
}
