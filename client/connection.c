/* SPDX-License-Identifier: MIT */
/* The stream to msgd: one non-blocking socket, sendmsg and recvmsg. */
#include "client/connection.h"

#include "client/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* A List of every endpoint of a full msgd is some 40 MB. */
#define MAX_FRAME_BYTES (256u * 1024u * 1024u)
#define READ_BYTES      (64u * 1024u)
#define CONNECT_WAIT_S  5

void connection_init(struct connection *c)
{
    *c = (struct connection){.fd = -1};
    varlink_frames_init(&c->in, MAX_FRAME_BYTES);
    json_writer_init(&c->out);
}

static int connect_to(int fd, const struct sockaddr_un *address, bool may_wait)
{
    /* For a Unix socket the time limit of sending is that of connecting, too. */
    const struct timeval limit = {.tv_sec = CONNECT_WAIT_S};

    if (may_wait && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
        return -errno;
    if (!may_wait && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return -errno;
    while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        if (errno != EINTR)
            return -errno;
    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno;
}

int connection_open(struct connection *c, const char *path, bool may_wait)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof(address.sun_path))
        return length == 0 ? -ENOENT : -ENAMETOOLONG;
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = connect_to(fd, &address, may_wait);
    if (error != 0) {
        close(fd);
        return error;
    }
    connection_init(c);
    c->fd = fd;
    return 0;
}

void descriptor_set_close(struct descriptor_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->fds[i] >= 0)
            close(set->fds[i]);
    set->n = 0;
}

void connection_close(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    for (size_t i = 0; i < c->n_sets; i++)
        descriptor_set_close(&c->sets[i]);
    varlink_frames_deinit(&c->in);
    json_writer_deinit(&c->out);
    connection_init(c);
}

int connection_send(struct connection *c)
{
    if (c->out.error != 0)
        return c->out.error;
    while (connection_has_output(c)) {
        ssize_t n = send(c->fd, c->out.bytes + c->sent, c->out.length - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        c->sent += (size_t)n;
    }
    json_writer_reset(&c->out);
    c->sent = 0;
    return 0;
}

/* Keeps the descriptors of one recvmsg; the kernel brings at most one message's at a time. */
static int keep_descriptors(struct connection *c, struct msghdr *message)
{
    struct descriptor_set set = {.is_cut = (message->msg_flags & MSG_CTRUNC) != 0};

    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && set.n < CONNECTION_SET_MAX; i++)
            memcpy(&set.fds[set.n++], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
    }
    if (set.n == 0 && !set.is_cut)
        return 0;
    if (c->n_sets == CONNECTION_SETS_MAX) {
        descriptor_set_close(&set);
        return -EPROTO;
    }
    c->sets[c->n_sets++] = set;
    return 0;
}

int connection_read(struct connection *c)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CONNECTION_SET_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec room;
    uint8_t *start;
    int error = varlink_frames_reserve(&c->in, READ_BYTES, &start, &room.iov_len);

    if (error != 0)
        return error;
    room.iov_base = start;
    struct msghdr message = {.msg_iov = &room,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t n;
    do
        n = recvmsg(c->fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    error = n < 0 ? -errno : 0;
    varlink_frames_commit(&c->in, n > 0 ? (size_t)n : 0);
    if (n <= 0)
        return n == 0 ? -ECONNRESET : error;
    return keep_descriptors(c, &message);
}

int connection_next(struct connection *c, struct varlink_reply *out)
{
    size_t n;
    const char *text = varlink_frames_next(&c->in, &n);

    if (text == NULL)
        return 0;
    int error = varlink_reply_parse(text, n, out);
    if (error != 0)
        return error == -ENOMEM ? error : -EPROTO;
    return 1;
}

int connection_take_set(struct connection *c, struct descriptor_set *out)
{
    *out = (struct descriptor_set){0};
    if (c->n_sets == 0)
        return -EPROTO;
    *out = c->sets[0];
    c->n_sets--;
    memmove(c->sets, c->sets + 1, c->n_sets * sizeof(c->sets[0]));
    if (!out->is_cut)
        return 0;
    descriptor_set_close(out);
    return -EMFILE;
}

int connection_wait(struct connection *c, int64_t deadline)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    if (connection_has_output(c))
        p.events |= POLLOUT;
    int n = poll(&p, 1, deadline_left_ms(deadline));
    if (n < 0)
        return -errno;
    return n == 0 ? -ETIMEDOUT : 0;
}

int connection_probe(struct connection *c)
{
    char byte;
    ssize_t n;

    if (c->in.length > c->in.start)
        return -EPROTO;
    do
        n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -ECONNRESET;
    return n == 0 ? -ECONNRESET : -EPROTO;
}
