/* SPDX-License-Identifier: MIT */
/* Accepts control connections. */
#include "daemon/control/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_AT_ONCE 64
#define PAUSE_MS        100

static void on_readable(uv_poll_t *poll, int status, int events);

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listen_again(uv_timer_t *timer)
{
    struct listener *listener = timer->data;

    if (listener->reserve < 0)
        listener->reserve = open_reserve();
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

/* Nothing can be done about it now: looking again at once would only burn CPU. */
static void pause_listening(struct listener *listener)
{
    uv_poll_stop(&listener->poll);
    uv_timer_start(&listener->pause, listen_again, PAUSE_MS, 0);
}

/*
 * No descriptors left: the waiting client is turned away with the one in reserve, or it would wait
 * for ever and the socket stay readable.
 */
static void turn_away(struct listener *listener)
{
    int fd;

    if (listener->reserve < 0) {
        pause_listening(listener);
        return;
    }
    close(listener->reserve);
    fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        close(fd);
    listener->reserve = open_reserve();
}

static bool is_about_one_client(int error)
{
    return error == ECONNABORTED || error == EINTR || error == EPERM;
}

static void complain(struct listener *listener, int error)
{
    uint32_t suppressed;

    if (log_limit_allows(&listener->complaints, (int64_t)uv_hrtime(), &suppressed))
        log_warning("a control connection was turned away: %s (%u more like this)",
                    strerrordesc_np(error), suppressed);
}

/* Whether there may be more to accept. */
static bool accept_one(struct listener *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int error;

    if (fd >= 0) {
        listener->accepted(listener->context, fd);
        return true;
    }
    if (errno == EAGAIN)
        return false;
    if (is_about_one_client(errno))
        return true;
    error = errno;
    complain(listener, error);
    if (error == EMFILE || error == ENFILE)
        turn_away(listener);
    else
        pause_listening(listener);
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;

    (void)events;
    if (status < 0) {
        log_error("the control socket is broken: %s", uv_strerror(status));
        return;
    }
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++)
        if (!accept_one(listener))
            return;
}

int listener_open(struct listener *listener, uv_loop_t *loop, int fd)
{
    int r;

    listener->fd = fd;
    listener->reserve = open_reserve();
    r = uv_poll_init(loop, &listener->poll, fd);
    if (r < 0) {
        close(fd);
        return error_trace(r, "cannot watch the control socket");
    }
    (void)uv_timer_init(loop, &listener->pause);
    listener->poll.data = listener->pause.data = listener;
    listener->n_handles = 2;
    listener->is_open = true;
    r = uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    return r < 0 ? error_trace(r, "cannot watch the control socket") : 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;

    if (--listener->n_handles == 0)
        listener->closed(listener->context);
}

void listener_close(struct listener *listener)
{
    if (!listener->is_open)
        return;
    listener->is_open = false;
    uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
    uv_close((uv_handle_t *)&listener->pause, on_handle_closed);
    close(listener->fd);
    if (listener->reserve >= 0)
        close(listener->reserve);
}
