/* SPDX-License-Identifier: MIT */
/* libuv's table of watched descriptors, grown at start. */
#include "daemon/data/watch_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void on_event(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static int watch_once(uv_loop_t *loop, int descriptor)
{
    uv_poll_t *poll = malloc(sizeof(*poll));

    if (poll == NULL)
        return -ENOMEM;
    int rc = uv_poll_init(loop, poll, descriptor);
    if (rc != 0) {
        free(poll);
        return rc;
    }
    rc = uv_poll_start(poll, UV_READABLE, on_event);
    uv_close((uv_handle_t *)poll, on_closed);
    uv_run(loop, UV_RUN_NOWAIT);
    return rc;
}

int watch_table_grow(uv_loop_t *loop, int max_descriptor)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return error_trace(-errno, "pipe");
    int highest = fcntl(ends[0], F_DUPFD_CLOEXEC, max_descriptor);
    int rc = highest < 0 ? -errno : watch_once(loop, highest);
    if (highest >= 0)
        close(highest);
    close(ends[0]);
    close(ends[1]);
    return rc == 0 ? 0 : error_trace(rc, "watch descriptor %d", max_descriptor);
}
