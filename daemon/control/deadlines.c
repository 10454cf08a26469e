/* SPDX-License-Identifier: MIT */
/* Leases that end and sockets that are tried again. */
#include "daemon/control/deadlines.h"

#include "daemon/control/desk.h"
#include "daemon/control/state.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* libuv's timers stand still while the machine sleeps; leases do not. */
static void on_due(uv_poll_t *poll, int status, int events)
{
    struct control *control = poll->data;
    uint64_t n;

    (void)status;
    (void)events;
    if (read(control->deadline_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
        log_error("cannot read the timer: %s", strerrordesc_np(errno));
    control->deadline_armed_ms = NEVER_MS;
    deadlines_run(control);
}

int deadlines_open(struct control *control)
{
    int r;

    control->deadline_armed_ms = NEVER_MS;
    control->deadline_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (control->deadline_fd < 0)
        return error_trace(-errno, "cannot make a timer");
    r = uv_poll_init(control->loop, &control->deadline, control->deadline_fd);
    if (r < 0) {
        close(control->deadline_fd);
        control->deadline_fd = -1;
        return error_trace(r, "cannot watch a timer");
    }
    control->deadline.data = control;
    control->n_handles++;
    r = uv_poll_start(&control->deadline, UV_READABLE, on_due);
    return r < 0 ? error_trace(r, "cannot watch a timer") : 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;

    control->n_handles--;
    control_check_closed(control);
}

void deadlines_close(struct control *control)
{
    if (control->deadline_fd < 0)
        return;
    uv_close((uv_handle_t *)&control->deadline, on_closed);
    close(control->deadline_fd);
    control->deadline_fd = -1;
}

static void expire(struct entry *entry)
{
    struct desk *desk = desk_of(entry);
    int r;

    log_debug("%s: its lease has ended", desk->name);
    if (entry_is_static(entry))
        r = desk_empty(desk);
    else
        r = desk_remove(desk, DROP_EXPIRED, NULL);
    if (r < 0)
        log_error("%s stays registered though its lease has ended: no memory", desk->name);
}

static void try_again(struct control *control, struct entry *entry)
{
    struct address where = entry->settings.address;
    struct open_failure why = {0};
    int r;

    if (entry->endpoint)
        return;
    if (where.port == 0)
        where.port = entry->address.port;
    r = desk_open(desk_of(entry), &where, &why);
    if (r < 0)
        registry_bind_failed(control->registry, entry, r, control_now_ms());
    else
        log_info("%s is bound now", entry->settings.name);
}

void deadlines_retry_port(struct control *control, uint16_t port)
{
    struct entry *next;

    for (struct entry *e = registry_first(control->registry); e; e = next) {
        next = registry_next(control->registry, e);
        if (!e->endpoint && (e->settings.address.port == port || e->address.port == port))
            try_again(control, e);
    }
    if (list_is_empty(&control->leaving))
        control->is_port_awaited = false;
}

void deadlines_run(struct control *control)
{
    struct entry *entry;
    enum due due;

    while ((due = registry_due(control->registry, control_now_ms(), &entry)) != DUE_NOTHING) {
        if (due == DUE_EXPIRED)
            expire(entry);
        else
            try_again(control, entry);
    }
}

void deadlines_arm(struct control *control)
{
    int64_t next_ms = registry_next_deadline(control->registry);
    struct itimerspec when = {0};

    if (next_ms == control->deadline_armed_ms || control->deadline_fd < 0)
        return;
    if (next_ms != NEVER_MS) {
        /* All zero would disarm it. */
        when.it_value.tv_sec = next_ms / 1000;
        when.it_value.tv_nsec = next_ms % 1000 * 1000000 + 1;
    }
    if (timerfd_settime(control->deadline_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        log_error("cannot set the timer: %s", strerrordesc_np(errno));
    else
        control->deadline_armed_ms = next_ms;
}
