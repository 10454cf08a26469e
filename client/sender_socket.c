/* SPDX-License-Identifier: MIT */
/* The UDP socket of a sender. */
#include "client/sender_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Asked of the kernel for answers: those to a whole window may come at once. */
#define RECEIVE_BUFFER_BYTES (4 * 1024 * 1024)

const struct address *sender_socket_address(const struct sender_socket *s)
{
    return &s->addresses.items[s->current];
}

static int family_of(const struct address *a)
{
    return a->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
}

/* A connected socket, or -errno. */
static int open_to(const struct address *peer)
{
    struct sockaddr_storage storage;
    int family = family_of(peer);
    int size = RECEIVE_BUFFER_BYTES;
    if (address_is_multicast(peer) || address_is_broadcast(peer))
        return -EINVAL;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    socklen_t length = address_to_sockaddr(peer, family, &storage);
    if (connect(fd, (struct sockaddr *)&storage, length) != 0) {
        /* EACCES: the broadcast address of one of this host's networks. */
        int error = errno == EACCES ? -EINVAL : -errno;
        close(fd);
        return error;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return fd;
}

/* From the address `first` on. 0, or the error of the last one. */
static int open_from(struct sender_socket *s, size_t first)
{
    int fd = -EADDRNOTAVAIL;
    for (size_t i = first; i < s->addresses.n; i++) {
        fd = open_to(&s->addresses.items[i]);
        if (fd < 0)
            continue;
        if (s->fd >= 0)
            close(s->fd);
        s->fd = fd;
        s->current = i;
        s->path_bytes = udp_segment_max(fd, family_of(&s->addresses.items[i]));
        s->is_single = false;
        return 0;
    }
    return fd;
}

int sender_socket_open(struct sender_socket *s, const struct target_addresses *addresses)
{
    *s = (struct sender_socket){.fd = -1, .addresses = *addresses};
    s->answers = malloc((size_t)SENDER_ANSWERS * SENDER_ANSWER_BYTES);
    int error = s->answers != NULL ? open_from(s, 0) : -ENOMEM;
    if (error != 0) {
        sender_socket_close(s);
        return error;
    }
    for (unsigned i = 0; i < SENDER_ANSWERS; i++) {
        s->parts[i] =
            (struct iovec){s->answers + (size_t)i * SENDER_ANSWER_BYTES, SENDER_ANSWER_BYTES};
        s->headers[i].msg_hdr = (struct msghdr){.msg_iov = &s->parts[i], .msg_iovlen = 1};
    }
    return 0;
}

void sender_socket_close(struct sender_socket *s)
{
    if (s->fd > 0)
        close(s->fd);
    free(s->answers);
    *s = (struct sender_socket){.fd = -1};
}

bool sender_socket_advance(struct sender_socket *s)
{
    return !s->is_settled && open_from(s, s->current + 1) == 0;
}

int sender_socket_send(struct sender_socket *s, struct mmsghdr *headers, unsigned n)
{
    int sent;
    do
        sent = sendmmsg(s->fd, headers, n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int sender_socket_receive(struct sender_socket *s)
{
    int n;
    do
        n = recvmmsg(s->fd, s->headers, SENDER_ANSWERS, MSG_DONTWAIT, NULL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    return n;
}
