/* SPDX-License-Identifier: MIT */
/* Opening the UDP socket of one session. */
#include "daemon/data/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* Beyond what is under way at most, since the kernel counts its own buffers. */
#define BUFFER_BYTES (4 * 1024 * 1024)

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static void set_buffers(int fd)
{
    if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES) != 0)
        (void)!set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
    if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES) != 0)
        (void)!set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
}

/* Datagrams that are too large for the way are lost, not cut: the session finds what fits. */
static int set_options(int fd, int family)
{
    set_buffers(fd);
    (void)!set(fd, IPPROTO_UDP, UDP_GRO, 1); /* an old kernel does without */
    if (family == AF_INET) {
        int r = set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        return r != 0 ? r : set(fd, IPPROTO_IP, IP_FREEBIND, 1);
    }
    int r = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (r == 0)
        r = set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    return r != 0 ? r : set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
}

int session_socket_open(const struct address *at)
{
    int family = at->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
    struct sockaddr_storage name;
    socklen_t length = address_to_sockaddr(at, family, &name);
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    int r;

    if (fd < 0)
        return -errno;
    r = set_options(fd, family);
    if (r == 0 && bind(fd, (struct sockaddr *)&name, length) != 0)
        r = -errno;
    if (r == 0)
        return fd;
    close(fd);
    return r;
}
