/* SPDX-License-Identifier: MIT */
/* Who is at the other end of a control connection. */
#include "daemon/control/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define GROUPS_AT_FIRST 32

static int read_groups(struct peer *peer, int fd)
{
    socklen_t bytes = GROUPS_AT_FIRST * sizeof(gid_t);

    for (;;) {
        gid_t *groups = malloc(bytes ? bytes : 1);
        socklen_t room = bytes;

        if (!groups)
            return -ENOMEM;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) == 0) {
            peer->who.groups = groups;
            peer->who.n_groups = bytes / sizeof(gid_t);
            return 0;
        }
        free(groups);
        if (errno != ERANGE || bytes <= room)
            return -errno;
    }
}

static int pidfd_by_socket(int fd)
{
    int pidfd = -1;
    socklen_t bytes = sizeof(pidfd);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) < 0)
        return -errno;
    return pidfd;
}

static bool knows_peer_pidfd(int fd)
{
    int pidfd = pidfd_by_socket(fd);

    if (pidfd >= 0)
        close(pidfd);
    return pidfd != -ENOPROTOOPT;
}

/* A number may be used again, so the connection is looked at after the process was opened. */
static int pidfd_by_number(pid_t pid, int fd)
{
    int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

    if (pidfd >= 0 && peer_has_hung_up(fd)) {
        close(pidfd);
        return -1;
    }
    return pidfd;
}

int peer_init(struct peer *peer, int fd)
{
    struct ucred credentials;
    socklen_t bytes = sizeof(credentials);
    int r;

    *peer = (struct peer){.pidfd = -1};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) < 0)
        return -errno;
    peer->who.uid = credentials.uid;
    peer->who.gid = credentials.gid;
    peer->pid = credentials.pid;
    r = read_groups(peer, fd);
    if (r < 0)
        return r;
    if (!knows_peer_pidfd(fd))
        peer->pidfd = pidfd_by_number(peer->pid, fd);
    return 0;
}

void peer_deinit(struct peer *peer)
{
    /* Only peer_init sets it, from malloc. */
    free((void *)(uintptr_t)peer->who.groups);
    if (peer->pidfd >= 0)
        close(peer->pidfd);
    *peer = (struct peer){.pidfd = -1};
}

bool peer_is_running(struct peer *peer, int fd)
{
    struct pollfd watched = {.events = POLLIN};

    if (peer->pidfd < 0) {
        int pidfd = pidfd_by_socket(fd);

        if (pidfd == -ESRCH || pidfd == -EINVAL)
            return false;
        if (pidfd < 0)
            return true;
        peer->pidfd = pidfd;
    }
    watched.fd = peer->pidfd;
    return poll(&watched, 1, 0) == 0;
}

bool peer_has_hung_up(int fd)
{
    struct pollfd watched = {.fd = fd, .events = POLLRDHUP};

    return poll(&watched, 1, 0) > 0 && (watched.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

bool peer_executable(pid_t pid, char *path, size_t n_path)
{
    char link[32];
    ssize_t n;

    if (pid <= 0)
        return false;
    snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
    n = readlink(link, path, n_path - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    return true;
}
