/* SPDX-License-Identifier: MIT */
/* One UDP socket, several addresses to try. */
#include "client/feed_socket.h"

#include "client/udp_error.h"
#include "client/udp_segment.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

static int family_of(const struct address *a)
{
    return a->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
}

const struct address *feed_socket_address(const struct feed_socket *s)
{
    return &s->addresses.items[s->current];
}

/* Its own address is where this host's own datagrams come from; loopback always is local. */
static bool is_own_address(int fd, const struct address *peer)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof(storage);
    struct address own;

    return address_is_loopback(peer) || address_is_any(peer) ||
           (getsockname(fd, (struct sockaddr *)&storage, &length) == 0 &&
            address_from_sockaddr((struct sockaddr *)&storage, &own) == 0 &&
            address_same_ip(&own, peer));
}

/* Connects, or finds out that the address is of many. 0 or -errno. */
static int connect_to(int fd, const struct address *peer, bool *is_group)
{
    struct sockaddr_storage storage;
    socklen_t length = address_to_sockaddr(peer, family_of(peer), &storage);
    int one = 1;

    *is_group = address_is_multicast(peer) || address_is_broadcast(peer);
    if (!*is_group && connect(fd, (struct sockaddr *)&storage, length) != 0) {
        /* EACCES: the broadcast address of one of this host's networks. */
        if (errno != EACCES)
            return -errno;
        *is_group = true;
    }
    if (*is_group && setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) != 0)
        return -errno;
    return 0;
}

static int open_to(struct feed_socket *s, size_t i)
{
    const struct address *peer = &s->addresses.items[i];
    int family = family_of(peer);
    bool is_group;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    int error = connect_to(fd, peer, &is_group);
    if (error != 0) {
        close(fd);
        return error;
    }
    if (!is_group)
        udp_error_watch(fd, family);
    feed_socket_close(s);
    s->fd = fd;
    s->current = i;
    s->is_group = is_group;
    s->is_local = !is_group && is_own_address(fd, peer);
    s->path_bytes = udp_segment_max(fd, family);
    s->is_single = false;
    return 0;
}

/* From the address `first` on. 0, or the error of the last one. */
static int open_from(struct feed_socket *s, size_t first)
{
    int error = -EADDRNOTAVAIL;

    for (size_t i = first; i < s->addresses.n && error != 0; i++)
        error = open_to(s, i);
    return error;
}

int feed_socket_open(struct feed_socket *s, const struct target_addresses *addresses, int linger_ms)
{
    *s = (struct feed_socket){
        .addresses = *addresses, .linger_ms = linger_ms, .is_settled = addresses->n <= 1, .fd = -1};
    return open_from(s, 0);
}

void feed_socket_close(struct feed_socket *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

bool feed_socket_advance(struct feed_socket *s)
{
    return !s->is_settled && open_from(s, s->current + 1) == 0;
}

int feed_socket_send(const struct feed_socket *s, struct mmsghdr *headers, unsigned n)
{
    struct sockaddr_storage storage;
    socklen_t length = 0;
    int sent;

    if (s->is_group) {
        const struct address *to = feed_socket_address(s);
        length = address_to_sockaddr(to, family_of(to), &storage);
    }
    for (unsigned i = 0; i < n && length > 0; i++) {
        headers[i].msg_hdr.msg_name = &storage;
        headers[i].msg_hdr.msg_namelen = length;
    }
    do
        sent = sendmmsg(s->fd, headers, n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* The error that the socket holds for the next call is told, too, where the queue had no room. */
static int pending_error(const struct feed_socket *s)
{
    int value = 0;
    socklen_t length = sizeof(value);

    return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0 ? -value : -errno;
}

int feed_socket_look(struct feed_socket *s, int timeout_ms)
{
    struct pollfd fd = {.fd = s->fd};
    struct udp_error told;
    int error = 0;

    if (s->is_group)
        return 0;
    if (timeout_ms > 0)
        (void)poll(&fd, 1, timeout_ms);
    while (udp_error_next(s->fd, &told)) {
        if (told.is_local)
            continue;
        s->n_refusals++;
        error = error != 0 ? error : told.error;
        if (told.error == -EMSGSIZE)
            s->path_bytes = udp_segment_max(s->fd, family_of(feed_socket_address(s)));
    }
    int pending = pending_error(s);
    return error != 0 ? error : pending;
}

bool feed_socket_is_of_the_address(int error)
{
    return error == -ECONNREFUSED || error == -ENETUNREACH || error == -EHOSTUNREACH ||
           error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL || error == -EACCES ||
           error == -ENETDOWN || error == -EINVAL;
}
