/* SPDX-License-Identifier: MIT */
/*
 * An LD_PRELOAD library for which the kernel has no more watches: while the file that FAILWATCH
 * names exists, no datagram socket is added to an epoll set.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int is_datagram_socket(int fd)
{
    int type = 0;
    socklen_t length = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM;
}

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    const char *path = getenv("FAILWATCH");

    if (operation == EPOLL_CTL_ADD && path != NULL && access(path, F_OK) == 0 &&
        is_datagram_socket(fd)) {
        errno = ENOSPC;
        return -1;
    }
    int (*real)(int, int, int, struct epoll_event *) =
        (int (*)(int, int, int, struct epoll_event *))dlsym(RTLD_NEXT, "epoll_ctl");
    return real(set, operation, fd, event);
}
