/* SPDX-License-Identifier: MIT */
/* systemd's descriptor store. */
#include "daemon/store/stash_keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define PATIENCE_US (5 * UINT64_C(1000000))

/* FDPOLL=0: systemd would drop an end whose other one is closed. */
static int store_named(const char *name, int end)
{
    char text[96];
    int r;

    snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
    r = sd_pid_notify_with_fds(0, 0, text, &end, 1);
    return r == 0 ? -ENOTCONN : r < 0 ? r : 0;
}

static void drop_named(const char *name)
{
    (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

/* A descriptor that the keeper does not want is closed at once: the other end of a pair sees it. */
bool keeper_is_there(void)
{
    static const char name[] = "msgd-probe";
    struct pollfd other = {0};
    int ends[2];
    bool is_kept = false;

    if (!getenv("NOTIFY_SOCKET") ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return false;
    if (store_named(name, ends[0]) == 0) {
        close(ends[0]);
        other.fd = ends[1];
        is_kept = sd_notify_barrier(0, PATIENCE_US) > 0 && poll(&other, 1, 0) == 0;
        drop_named(name);
    } else {
        close(ends[0]);
    }
    close(ends[1]);
    return is_kept;
}

int keeper_store(uint64_t number, int end)
{
    char name[48];

    snprintf(name, sizeof(name), "msgd-stash-%" PRIx64, number);
    return store_named(name, end);
}

void keeper_drop(uint64_t number)
{
    char name[48];

    snprintf(name, sizeof(name), "msgd-stash-%" PRIx64, number);
    drop_named(name);
}
