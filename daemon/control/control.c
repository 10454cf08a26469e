/* SPDX-License-Identifier: MIT */
/* The control thread's part of msgd: its parts, in order, and what runs before the loop sleeps. */
#include "daemon/control/control.h"

#include "daemon/control/connection.h"
#include "daemon/control/deadlines.h"
#include "daemon/control/desk.h"
#include "daemon/control/keeping.h"
#include "daemon/control/registration.h"
#include "daemon/control/rejects.h"
#include "daemon/control/restore.h"
#include "daemon/control/stalled.h"
#include "daemon/control/state.h"
#include "daemon/control/statics.h"
#include "daemon/control/tap.h"
#include "daemon/control/watchers.h"
#include "daemon/data/vault.h"
#include "daemon/store/stash.h"
#include "daemon/store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Virtual size of a connection's shared memory; what is not used costs nothing. */
#define LINK_ARENA_BYTES (UINT64_C(1) << 30)

int64_t control_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t control_wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void control_complain(struct control *control, const char *format, ...)
{
    char text[256];
    uint32_t suppressed;
    va_list arguments;

    if (!log_limit_allows(&control->complaints, (int64_t)uv_hrtime(), &suppressed))
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (suppressed)
        log_warning("%s (and %u more lines like this)", text, suppressed);
    else
        log_warning("%s", text);
}

/* ---- What workers tell ---- */

static void on_link_broken(void *context, struct link *link, const char *why)
{
    struct connection *c = link_context(link);

    (void)context;
    connection_fail(c, "what it wrote into shared memory cannot be: %s", why);
}

static void on_tapped(void *context, struct tap *tap)
{
    (void)context;
    tap_has_news(tap);
}

static void on_consumers_stalled(void *context, struct endpoint *endpoint)
{
    const struct control *control = context;
    struct desk *desk = endpoint_context(endpoint);

    if (!control->is_closing && desk->entry && desk->entry->endpoint == endpoint)
        stalled_end(desk);
}

static void on_session_asked(void *context, struct endpoint *endpoint,
                             const struct session_ask *ask)
{
    const struct control *control = context;
    struct desk *desk = endpoint_context(endpoint);

    if (!control->is_closing && desk->entry && desk->entry->endpoint == endpoint)
        visit_asked(desk, ask);
}

static void on_session_moved(void *context, struct carrier *carrier, const struct address *peer)
{
    (void)context;
    visit_moved(carrier_context(carrier), peer);
}

static void on_session_ended(void *context, struct carrier *carrier, const char *reason)
{
    (void)context;
    visit_ended(carrier_context(carrier), reason);
}

static void on_session_saved(void *context, struct carrier *carrier,
                             const struct carrier_saved *saved)
{
    (void)context;
    passing_take(carrier_context(carrier), saved);
}

static void on_session_gone(void *context, struct carrier *carrier)
{
    (void)context;
    visit_gone(carrier_context(carrier));
}

/* ---- Before the loop sleeps ---- */

static void run_ready(struct control *control)
{
    while (!list_is_empty(&control->ready)) {
        struct connection *c = list_member(control->ready.next, struct connection, ready);

        list_remove(&c->ready);
        connection_run(c);
    }
}

static bool has_more(const struct control *control)
{
    return !list_is_empty(&control->ready) || !list_is_empty(&control->homeless) ||
           !list_is_empty(&control->vacated);
}

static void settle(uv_prepare_t *prepare)
{
    struct control *control = prepare->data;

    do {
        run_ready(control);
        if (registry_next_deadline(control->registry) != NEVER_MS)
            deadlines_run(control);
        registrations_run(control);
        watchers_run(control);
    } while (has_more(control));
    rejects_run(control);
    stash_flush(control->options.stash);
    deadlines_arm(control);
}

/* ---- Opening ---- */

/* A wake-up takes some ten microseconds: what comes sooner than a few of them is worth waiting for.
 */
#define AUTO_POLL_NS UINT64_C(50000)

/* As long as network cards let packets gather at most. */
#define AUTO_COALESCE_NS UINT64_C(200000)

static uint64_t ns_or_auto(int64_t us, uint64_t auto_ns)
{
    return us == MICROSECONDS_AUTO ? auto_ns : (uint64_t)us * 1000;
}

static int start_workers(struct control *control)
{
    const struct cpu_list *cpus = &control->config.workers_cpus;
    struct worker_options options = {
        .control_loop = control->loop,
        .events = {.context = control,
                   .link_broken = on_link_broken,
                   .rejected = rejects_take,
                   .tapped = on_tapped,
                   .consumers_stalled = on_consumers_stalled,
                   .session_asked = on_session_asked,
                   .session_moved = on_session_moved,
                   .session_ended = on_session_ended,
                   .session_saved = on_session_saved,
                   .session_gone = on_session_gone},
        .max_descriptor = control->options.max_descriptor,
        .replies_per_source = control->config.limits.replies_per_source,
        .answers_per_source = control->config.limits.answers_per_source,
        .max_sources = control->config.limits.sources,
        .poll_ns = ns_or_auto(control->config.poll_us, AUTO_POLL_NS),
        .coalesce_ns = ns_or_auto(control->config.coalesce_us, AUTO_COALESCE_NS),
        .anticipate_percent = control->config.anticipate_percent,
        .reply_cache_bytes = control->config.limits.reply_cache_bytes,
        .link_arena_bytes = LINK_ARENA_BYTES,
        .vault = control->vault,
        .store = control->options.store,
    };

    control->workers = calloc(control->config.workers, sizeof(struct worker *));
    if (!control->workers)
        return -ENOMEM;
    if (passing_open(control, &options.cookie_secret) < 0)
        return -EIO;
    while (control->n_workers < control->config.workers) {
        options.cpu = cpus->n > 0 ? cpus->cpus[control->n_workers] : PLACE_ANY;
        int r = worker_start(&control->workers[control->n_workers], &options);

        if (r < 0)
            return error_trace(r, "cannot start worker %u", control->n_workers);
        control->n_workers++;
    }
    passing_prepare(control);
    return 0;
}

static int make_logic(struct control *control)
{
    const struct config *config = &control->config;
    uint64_t seeds[3];
    int r;

    atomic_init(&control->journals.limit, config->limits.journal_bytes);
    if (getrandom(seeds, sizeof(seeds), 0) != sizeof(seeds))
        return error_trace(-errno, "cannot get random numbers");
    r = registry_new(&control->registry, config->port_range, seeds[0]);
    if (r == 0)
        r = quota_new(&control->quota, &config->limits.quota, seeds[1]);
    if (r == 0)
        r = quarantine_new(&control->quarantine, config->limits.quarantine_bytes, seeds[2]);
    return r;
}

static void on_accepted(void *context, int fd)
{
    connection_accept(context, fd);
}

static void on_handle_gone(void *context)
{
    struct control *control = context;

    control->n_handles--;
    control_check_closed(control);
}

static int open_handles(struct control *control)
{
    int r = deadlines_open(control);

    if (r < 0) {
        close(control->options.listener);
        return r;
    }
    (void)uv_prepare_init(control->loop, &control->settle);
    control->settle.data = control;
    control->n_handles++;
    (void)uv_prepare_start(&control->settle, settle);
    control->listener.accepted = on_accepted;
    control->listener.closed = on_handle_gone;
    control->listener.context = control;
    r = listener_open(&control->listener, control->loop, control->options.listener);
    if (control->listener.is_open)
        control->n_handles++;
    return r;
}

static struct control *control_new(const struct control_options *options)
{
    struct control *control = calloc(1, sizeof(*control));

    if (!control)
        return NULL;
    control->loop = options->loop;
    control->options = *options;
    control->config = *options->config;
    *options->config = (struct config){0};
    control->since_wall_ns = control_wall_ns();
    control->deadline_fd = -1;
    control->passing.fd = -1;
    list_init(&control->connections);
    list_init(&control->ready);
    list_init(&control->homeless);
    list_init(&control->leaving);
    list_init(&control->desks);
    list_init(&control->watchers);
    list_init(&control->vacated);
    list_init(&control->unwritten);
    list_init(&control->upgrades);
    return control;
}

/* What a predecessor had, and then the thread that writes. */
static int open_store(struct control *control)
{
    int r = restore_load(control);

    if (r == 0) {
        r = store_start(control->options.store);
        if (r < 0)
            return error_trace(r, "cannot start the thread of the database");
    }
    if (r == 0)
        r = keeping_open(control);
    return r == 0 ? rejects_open(control) : r;
}

static void ignore(void *context)
{
    (void)context;
}

/* What the last msgd held in memory goes when every worker has found its endpoints' part, and no
 * endpoint is still to be opened. */
static void on_taken_up(void *context)
{
    struct control *control = context;

    if (--control->n_passing > 0 || control->is_closing)
        return;
    if (!control->is_vault_kept && !restore_is_awaited(control))
        vault_settle(control->vault);
    control_check_serving(control);
}

/* Every socket is read, and what is new in the configuration would be known to a successor. */
void control_check_serving(struct control *control)
{
    if (control->is_serving || control->is_closing || control->n_passing > 0 ||
        control->n_written < control->n_first_writes)
        return;
    control->is_serving = true;
    control->options.serving(control->options.context);
}

void control_await_workers(struct control *control)
{
    control->n_passing += control->n_workers;
    for (uint32_t i = 0; i < control->n_workers; i++) {
        if (worker_pass(control->workers[i], on_taken_up, control) == 0)
            continue;
        log_warning("the memory of the last msgd stays as long as this one: no memory");
        control->is_vault_kept = true;
        on_taken_up(control);
    }
}

static void hold_workers(struct control *control, bool is_held)
{
    for (uint32_t i = 0; i < control->n_workers; i++)
        (is_held ? worker_hold : worker_release)(control->workers[i]);
}

int control_open(struct control **out, const struct control_options *options)
{
    struct control *control = control_new(options);
    struct static_changes changes;
    int r = -ENOMEM;

    *out = NULL;
    if (control)
        r = make_logic(control);
    if (r == 0)
        r = visits_open(control);
    if (r == 0)
        r = open_store(control);
    if (r == 0)
        r = vault_open(&control->vault, control->options.stash);
    if (r == 0)
        r = start_workers(control);
    if (r < 0)
        close(options->listener);
    else
        r = open_handles(control);
    if (r < 0) {
        if (control)
            control_close(control, ignore, NULL);
        return r;
    }
    hold_workers(control, true);
    restore_names(control);
    statics_apply(control, &changes);
    hold_workers(control, false);
    control->n_first_writes = control->n_writes;
    restore_finish(control);
    *out = control;
    control_await_workers(control);
    passing_resume(control);
    return 0;
}

/* ---- Closing ---- */

static void free_desks(struct control *control)
{
    while (!list_is_empty(&control->desks)) {
        struct desk *desk = list_member(control->desks.next, struct desk, by_change);

        desk_free(desk);
    }
}

/* Do its messages wait somewhere for the next msgd? */
static bool is_left(const struct desk *desk)
{
    return stash_is_kept(desk->control->options.stash) ||
           settings_have_spool(&desk->entry->settings);
}

/* Lets go of every socket, drained where no successor has it; worker_stop waits until that is done.
 */
static void close_endpoints(struct control *control)
{
    list_for_each(at, next, &control->desks)
    {
        struct desk *desk = list_member(at, struct desk, by_change);

        if (desk->entry->endpoint && is_left(desk))
            worker_leave(desk_endpoint(desk), stash_is_kept(control->options.stash));
        else if (desk->entry->endpoint)
            worker_remove(desk_endpoint(desk), DROP_RELEASED, NULL, NULL);
        desk->entry->endpoint = NULL;
    }
}

/* What they still had to tell is in the quarantine then. */
static void stop_workers(struct control *control)
{
    close_endpoints(control);
    for (uint32_t i = 0; i < control->n_workers; i++)
        worker_settle(control->workers[i]); /* one may wait for what another reads */
    for (uint32_t i = 0; i < control->n_workers; i++)
        control->workers[i] = worker_stop(control->workers[i]);
    control->has_stopped_workers = true;
}

static void control_free(struct control *control)
{
    passing_finish(control);
    free_desks(control);
    restore_finish(control);
    control->vault = vault_close(control->vault);
    visits_deinit(control);
    free(control->workers);
    control->registry = registry_free(control->registry);
    control->quota = quota_free(control->quota);
    control->quarantine = quarantine_free(control->quarantine);
    config_deinit(&control->config);
    free(control);
}

void control_check_closed(struct control *control)
{
    void (*done)(void *) = control->closed;
    void *context = control->closed_context;

    if (!control->is_closing || control->n_handles > 0 || control->n_connections > 0)
        return;
    if (!control->has_stopped_workers) {
        stop_workers(control);
        rejects_close(control);
        if (control->n_handles > 0)
            return;
    }
    control_free(control);
    done(context);
}

static void on_settle_closed(uv_handle_t *handle)
{
    on_handle_gone(handle->data);
}

static void end_sessions(struct control *control)
{
    list_for_each(at, next, &control->desks)
    {
        visits_end(list_member(at, struct desk, by_change), "stopped");
    }
}

/* Before consumers leave. */
static void keep_copies(struct control *control)
{
    list_for_each(at, next, &control->desks)
    {
        struct desk *desk = list_member(at, struct desk, by_change);

        if (desk->entry->endpoint && desk->entry->settings.mode == MODE_COPY && is_left(desk) &&
            worker_keep_copies(desk_worker(desk), desk_endpoint(desk)) < 0)
            control_complain(control, "%s: not all of its consumers will get what waits: no memory",
                             desk->name);
    }
}

void control_close(struct control *control, void (*done)(void *context), void *context)
{
    control->is_closing = true;
    control->closed = done;
    control->closed_context = context;
    listener_close(&control->listener);
    if (stash_is_kept(control->options.stash))
        passing_begin(control);
    else
        end_sessions(control);
    control_upgrade_failed(control, "msgd stops");
    keep_copies(control);
    list_for_each(at, next, &control->connections)
        connection_fail(list_member(at, struct connection, link), "hung up: msgd stops");
    run_ready(control);
    deadlines_close(control);
    visits_close(control);
    if (control->settle.data)
        uv_close((uv_handle_t *)&control->settle, on_settle_closed);
    control_check_closed(control);
}
