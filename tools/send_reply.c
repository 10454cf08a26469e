/* SPDX-License-Identifier: MIT */
/* Plain answers: datagrams that come back. */
#include "tools/send_reply.h"

#include "client/deadline.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

void send_reply_drain(int fd)
{
    char byte;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
        continue;
}

/* -EINTR: nothing yet. */
static long receive_once(int fd, void *room, size_t n_room, int timeout_ms, struct address *from)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int n_ready = poll(&ready, 1, timeout_ms);
    if (n_ready <= 0)
        return n_ready == 0 ? -ETIMEDOUT : -errno;
    ssize_t n = recvfrom(fd, room, n_room, MSG_DONTWAIT, (struct sockaddr *)&storage, &length);
    if (n < 0)
        return errno == EAGAIN ? -EINTR : -errno;
    if (address_from_sockaddr((struct sockaddr *)&storage, from) != 0)
        return -EAFNOSUPPORT;
    return n;
}

long send_reply_receive(int fd, void *room, size_t n_room, int timeout_ms, struct address *from)
{
    int64_t deadline = deadline_after_ms(timeout_ms);
    long n;
    do
        n = receive_once(fd, room, n_room, deadline_left_ms(deadline), from);
    while (n == -EINTR);
    return n;
}
