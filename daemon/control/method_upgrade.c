/* SPDX-License-Identifier: MIT */
/* Upgrade: a successor takes over. Whoever asked hears of it from there. */
#include "daemon/control/access.h"
#include "daemon/control/connection.h"
#include "daemon/control/methods.h"
#include "daemon/control/params.h"
#include "daemon/control/state.h"

#include <fcntl.h>

void method_upgrade(struct call *call)
{
    struct control *control = call->control;
    bool is_first = list_is_empty(&control->upgrades);

    if (!params_parse(call, NULL, 0) || !access_administrate(call, "upgrade msgd"))
        return;
    list_append(&control->upgrades, &call->parked);
    if (is_first)
        control->options.upgrade(control->options.context);
}

static struct call *take_call(struct control *control)
{
    struct call *call = list_member(control->upgrades.next, struct call, parked);

    list_remove(&call->parked);
    return call;
}

void control_upgrade_failed(struct control *control, const char *why)
{
    while (!list_is_empty(&control->upgrades))
        call_try_again(take_call(control), why);
}

size_t control_upgrade_callers(struct control *control, int *fds, size_t max)
{
    size_t n = 0;

    while (!list_is_empty(&control->upgrades)) {
        struct call *call = take_call(control);
        int fd =
            call_is_live(call) && n < max ? fcntl(call->connection->fd, F_DUPFD_CLOEXEC, 0) : -1;

        if (fd >= 0)
            fds[n++] = fd;
        call_end(call);
    }
    return n;
}
