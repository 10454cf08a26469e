/* SPDX-License-Identifier: MIT */
/* One UDP socket, several addresses to try. */
#include "tools/send_socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void send_socket_init(struct send_socket *s, const struct address *addresses, size_t n,
                      int linger_ms)
{
    *s = (struct send_socket){.n_addresses = n < SEND_MAX_ADDRESSES ? n : SEND_MAX_ADDRESSES,
                              .linger_ms = linger_ms,
                              .fd = -1};
    memcpy(s->addresses, addresses, s->n_addresses * sizeof *addresses);
    s->is_settled = s->n_addresses <= 1;
}

void send_socket_deinit(struct send_socket *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

const struct address *send_socket_address(const struct send_socket *s)
{
    return &s->addresses[s->current < s->n_addresses ? s->current : s->n_addresses - 1];
}

static socklen_t sockaddr_of(const struct address *a, struct sockaddr_storage *out)
{
    return address_to_sockaddr(a, a->family == ADDRESS_IPV4 ? AF_INET : AF_INET6, out);
}

/* Its own address is where this host's own datagrams come from; loopback always is local. */
static bool is_own_address(int fd, const struct address *peer)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    struct address own;
    return address_is_loopback(peer) || address_is_any(peer) ||
           (getsockname(fd, (struct sockaddr *)&storage, &length) == 0 &&
            address_from_sockaddr((struct sockaddr *)&storage, &own) == 0 &&
            address_same_ip(&own, peer));
}

static int connect_to(struct send_socket *s, const struct address *peer)
{
    struct sockaddr_storage storage;
    socklen_t length = sockaddr_of(peer, &storage);
    s->is_group = address_is_multicast(peer) || address_is_broadcast(peer);
    if (s->is_group)
        return 0;
    if (connect(s->fd, (struct sockaddr *)&storage, length) == 0)
        return 0;
    /* EACCES: the broadcast address of one of this host's networks. */
    s->is_group = errno == EACCES;
    return s->is_group ? 0 : -errno;
}

static int open_current(struct send_socket *s)
{
    const struct address *peer = send_socket_address(s);
    int one = 1;
    send_socket_deinit(s);
    s->fd = socket(peer->family == ADDRESS_IPV4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return -errno;
    int error = connect_to(s, peer);
    if (error == 0 && s->is_group &&
        setsockopt(s->fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one) != 0)
        error = -errno;
    if (error != 0) {
        send_socket_deinit(s);
        return error;
    }
    s->is_local = !s->is_group && is_own_address(s->fd, peer);
    return 0;
}

static int send_once(struct send_socket *s, const void *bytes, size_t n)
{
    struct sockaddr_storage storage;
    socklen_t length = s->is_group ? sockaddr_of(send_socket_address(s), &storage) : 0;
    ssize_t sent;
    do
        sent = sendto(s->fd, bytes, n, MSG_NOSIGNAL,
                      s->is_group ? (struct sockaddr *)&storage : NULL, length);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* The error that the kernel holds for the socket, waiting for one at most timeout_ms. */
static int pending_error(struct send_socket *s, int timeout_ms)
{
    struct pollfd fd = {.fd = s->fd};
    int value = 0;
    socklen_t length = sizeof value;
    if (s->is_group)
        return 0;
    if (timeout_ms > 0 && poll(&fd, 1, timeout_ms) < 0 && errno != EINTR)
        return -errno;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &value, &length) != 0)
        return -errno;
    return -value;
}

static int open_and_send(struct send_socket *s, const void *bytes, size_t n)
{
    int error = s->fd >= 0 ? 0 : open_current(s);
    return error != 0 ? error : send_once(s, bytes, n);
}

static bool is_of_the_address(int error)
{
    return error == -ECONNREFUSED || error == -ENETUNREACH || error == -EHOSTUNREACH ||
           error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL || error == -EACCES ||
           error == -ENETDOWN || error == -EINVAL;
}

/* Goes on to the next address. False: there is none; the socket stays where it is. */
static bool advance(struct send_socket *s)
{
    if (s->is_settled || s->current + 1 >= s->n_addresses)
        return false;
    send_socket_deinit(s);
    s->current++;
    return true;
}

int send_socket_send(struct send_socket *s, const void *bytes, size_t n)
{
    int error;
    do {
        bool has_next = !s->is_settled && s->current + 1 < s->n_addresses;
        error = open_and_send(s, bytes, n);
        if (error == 0 && (has_next || s->is_local))
            error = pending_error(s, s->is_local ? 0 : s->linger_ms);
    } while (is_of_the_address(error) && advance(s));
    if (error == 0)
        s->is_settled = true;
    return error;
}

int send_socket_settle(struct send_socket *s)
{
    return s->fd < 0 ? 0 : pending_error(s, s->is_local ? 0 : s->linger_ms);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static long receive_once(struct send_socket *s, void *room, size_t n_room, int timeout_ms,
                         struct address *from)
{
    struct pollfd fd = {.fd = s->fd, .events = POLLIN};
    int ready = poll(&fd, 1, timeout_ms);
    if (ready <= 0)
        return ready == 0 ? -ETIMEDOUT : -errno;
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    ssize_t n = recvfrom(s->fd, room, n_room, MSG_DONTWAIT, (struct sockaddr *)&storage, &length);
    if (n < 0)
        return errno == EAGAIN ? -EINTR : -errno;
    if (address_from_sockaddr((struct sockaddr *)&storage, from) != 0)
        return -EAFNOSUPPORT;
    return n;
}

long send_socket_receive(struct send_socket *s, void *room, size_t n_room, int timeout_ms,
                         struct address *from)
{
    int64_t deadline = now_ms() + timeout_ms;
    int64_t left = timeout_ms;
    long n = -EINTR;
    while (n == -EINTR && left >= 0) {
        n = receive_once(s, room, n_room, (int)left, from);
        left = deadline - now_ms();
    }
    return n == -EINTR ? -ETIMEDOUT : n;
}

void send_socket_drain(struct send_socket *s)
{
    char byte;
    while (s->fd >= 0 && recv(s->fd, &byte, 1, MSG_DONTWAIT) >= 0)
        continue;
}
