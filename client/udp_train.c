/* SPDX-License-Identifier: MIT */
/* sendmsg and recvmsg with segmentation offload, and the error queue. */
#include "client/udp_train.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Debian 11's headers do not have it. */
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* As large as an ordinary system allows (net.core.rmem_max and its like). */
#define BUFFER_BYTES (2 * 1024 * 1024)

/* A train, and a datagram behind it. */
#define OUTGOING_BYTES (2 * UDP_DATAGRAM_MAX)
#define ARRIVAL_BYTES  65536u

static void set(int fd, int level, int option, int value)
{
    /* Where it is not known, it goes without. */
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void configure(int fd, int family)
{
    bool is_v6 = family == AF_INET6;

    set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
    set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
    set(fd, IPPROTO_UDP, UDP_GRO, 1);
    udp_error_watch(fd, family);
    /* The session finds the largest datagram itself; nothing is to be cut on its way. */
    set(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
        is_v6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE);
}

int udp_train_open(struct udp_train *t, const struct address *to)
{
    int family = to->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;

    *t = (struct udp_train){.fd = -1, .family = family};
    t->bytes = malloc(OUTGOING_BYTES + ARRIVAL_BYTES);
    if (t->bytes == NULL)
        return -ENOMEM;
    t->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0) {
        int error = -errno;
        udp_train_close(t);
        return error;
    }
    configure(t->fd, family);
    return 0;
}

void udp_train_close(struct udp_train *t)
{
    if (t->fd >= 0)
        close(t->fd);
    free(t->bytes);
    *t = (struct udp_train){.fd = -1};
}

uint8_t *udp_train_room(struct udp_train *t)
{
    return t->bytes + t->length;
}

/* ---- Sending ---- */

/* One datagram, or a train of those of `segment` bytes. */
static int send_bytes(struct udp_train *t, const uint8_t *bytes, size_t n, size_t segment)
{
    struct sockaddr_storage storage;
    struct iovec data = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    struct udp_segment control;
    struct msghdr message = {.msg_name = &storage, .msg_iov = &data, .msg_iovlen = 1};
    ssize_t sent;

    message.msg_namelen = address_to_sockaddr(&t->to, t->family, &storage);
    if (segment > 0 && segment < n)
        udp_segment_set(&message, &control, segment);
    /* An error that waits in the socket is told instead of sending: it is in the error queue, too.
     */
    for (int tries = 0; tries < 4; tries++) {
        sent = sendmsg(t->fd, &message, MSG_NOSIGNAL);
        if (sent >= 0)
            return 0;
        t->has_errors |= errno != EWOULDBLOCK && errno != EINTR;
        if (errno != EINTR && errno != ECONNREFUSED && errno != EHOSTUNREACH)
            break;
    }
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* Forgets the first n bytes of the train. */
static void drop(struct udp_train *t, size_t n)
{
    memmove(t->bytes, t->bytes + n, t->length + t->waiting - n);
    t->length -= n;
}

/* One by one. An error of one is not the others'. */
static int send_singly(struct udp_train *t)
{
    int error = 0;

    while (t->length > 0) {
        size_t n = t->length < t->segment ? t->length : t->segment;
        int rc = send_bytes(t, t->bytes, n, 0);
        if (rc == -EAGAIN)
            return rc;
        if (rc != 0)
            error = rc;
        drop(t, n);
    }
    return error;
}

static void begin(struct udp_train *t, size_t n, const struct address *to)
{
    t->length = t->segment = n;
    t->n = 1;
    t->to = *to;
}

/* The train has gone; what waited behind it is the next one. */
static void move_up(struct udp_train *t)
{
    t->n = 0;
    if (t->waiting > 0)
        begin(t, t->waiting, &t->waiting_to);
    t->waiting = 0;
}

static int send_train(struct udp_train *t)
{
    int error = 0;

    if (!t->is_single) {
        error = send_bytes(t, t->bytes, t->length, t->segment);
        /* This way's device, or its kernel, cannot. */
        if (t->n > 1 && udp_segment_is_refused(error))
            t->is_single = true;
        else if (error != -EAGAIN)
            drop(t, t->length);
    }
    if (t->is_single)
        error = send_singly(t);
    if (t->length == 0)
        move_up(t);
    return error;
}

int udp_train_send(struct udp_train *t)
{
    int error = 0;

    while (t->length > 0 && error == 0)
        error = send_train(t);
    return error;
}

static bool fits(const struct udp_train *t, size_t n, const struct address *to)
{
    return t->n < UDP_SEGMENTS_MAX && t->length % t->segment == 0 && n <= t->segment &&
           t->length + n <= UDP_DATAGRAM_MAX && address_equal(&t->to, to);
}

int udp_train_add(struct udp_train *t, size_t n, const struct address *to)
{
    if (t->n == 0) {
        begin(t, n, to);
        return 0;
    }
    if (fits(t, n, to)) {
        t->length += n;
        t->n++;
        return 0;
    }
    t->waiting = n;
    t->waiting_to = *to;
    return send_train(t);
}

/* ---- Receiving ---- */

int udp_train_receive(struct udp_train *t, struct udp_arrival *out)
{
    struct sockaddr_storage storage;
    struct iovec room = {.iov_base = t->bytes + OUTGOING_BYTES, .iov_len = ARRIVAL_BYTES};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {.msg_name = &storage,
                             .msg_namelen = sizeof(storage),
                             .msg_iov = &room,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(t->fd, &message, 0);

    if (n < 0) {
        t->has_errors |= errno != EWOULDBLOCK && errno != EINTR;
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    }
    *out = (struct udp_arrival){.bytes = room.iov_base, .length = (size_t)n, .segment = (size_t)n};
    if (address_from_sockaddr((struct sockaddr *)&storage, &out->from) != 0)
        return -EAFNOSUPPORT;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h != NULL; h = CMSG_NXTHDR(&message, h)) {
        int segment;
        if (h->cmsg_level != IPPROTO_UDP || h->cmsg_type != UDP_GRO)
            continue;
        memcpy(&segment, CMSG_DATA(h), sizeof(segment));
        if (segment > 0)
            out->segment = (size_t)segment;
    }
    return 0;
}

bool udp_train_next_error(struct udp_train *t, struct udp_error *out)
{
    bool is_there = udp_error_next(t->fd, out);

    if (!is_there)
        t->has_errors = false;
    return is_there;
}
