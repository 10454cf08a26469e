/* SPDX-License-Identifier: MIT */
/* One socket pair of the stash. */
#include "daemon/store/stash_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Enough for SEGMENT_RECORDS messages of one record each; the kernel cuts it to wmem_max. */
#define SEND_BUFFER_BYTES (1024 * 1024)

static const char magic[8] = "msgdstsh";

struct segment_head {
    char magic[8];
    uint32_t version;
    uint32_t reserved;
    uint64_t number;
};

/* Aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(SEGMENT_BATCH * sizeof(int))];
};

static int send_head(const struct segment *g)
{
    struct segment_head head = {.version = STASH_VERSION, .number = g->number};

    memcpy(head.magic, magic, sizeof(head.magic));
    return send(g->writing_end, &head, sizeof(head), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int segment_new(struct segment **out, uint64_t number)
{
    struct segment *g = calloc(1, sizeof(*g));
    int bytes = SEND_BUFFER_BYTES;
    int ends[2];
    int r;

    *out = NULL;
    if (!g)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        r = -errno;
        free(g);
        return r;
    }
    *g = (struct segment){.number = number, .kept_end = ends[0], .writing_end = ends[1]};
    (void)setsockopt(g->writing_end, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    r = send_head(g);
    if (r < 0) {
        segment_free(g);
        return r;
    }
    *out = g;
    return 0;
}

/* The length of the first message, or -errno. */
static ssize_t peek_head(int end, struct segment_head *head)
{
    int start = 0;
    ssize_t n;

    if (setsockopt(end, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof(start)) < 0)
        return -errno;
    n = recv(end, head, sizeof(*head), MSG_PEEK | MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

int segment_adopt(struct segment **out, int end, uint32_t *version)
{
    struct segment *g = calloc(1, sizeof(*g));
    struct segment_head head = {0};
    ssize_t n;
    int r = 0;

    *out = NULL;
    if (!g) {
        close(end);
        return -ENOMEM;
    }
    *g = (struct segment){.kept_end = end, .writing_end = -1};
    n = peek_head(end, &head);
    if (n < 0 && n != -EAGAIN)
        r = (int)n;
    else if (n != sizeof(head) || memcmp(head.magic, magic, sizeof(magic)) != 0)
        r = -EBADMSG;
    else if (head.version != STASH_VERSION)
        r = STASH_UNKNOWN_VERSION;
    *version = head.version;
    if (r != 0) {
        segment_free(g);
        return r;
    }
    g->number = head.number;
    *out = g;
    return 0;
}

struct segment *segment_free(struct segment *g)
{
    if (!g)
        return NULL;
    segment_seal(g);
    close(g->kept_end);
    free(g);
    return NULL;
}

void segment_seal(struct segment *g)
{
    if (g->writing_end >= 0)
        close(g->writing_end);
    g->writing_end = -1;
}

int segment_append(struct segment *g, const struct segment_batch *batch)
{
    struct iovec bytes = {.iov_base = (void *)(uintptr_t)batch->records,
                          .iov_len = batch->n * sizeof(batch->records[0])};
    union control control = {0};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(batch->n * sizeof(int))};

    if (g->writing_end < 0 || g->n_records + batch->n > SEGMENT_RECORDS)
        return -ENOBUFS;
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(batch->n * sizeof(int)),
                                      .cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), batch->fds, batch->n * sizeof(int));
    if (sendmsg(g->writing_end, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return errno == EAGAIN ? -ENOBUFS : -errno;
    g->n_records += (uint32_t)batch->n;
    g->n_messages++;
    return 0;
}

/* ---- Reading ---- */

int segment_walk_begin(struct segment *g)
{
    struct segment_head head;
    ssize_t n = peek_head(g->kept_end, &head);

    return n < 0 ? (int)n : n == sizeof(head) ? 0 : -EBADMSG;
}

static size_t take_descriptors(struct msghdr *message, int *fds)
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), n * sizeof(int));
    }
    return n;
}

int segment_walk_next(struct segment *g, struct segment_batch *out)
{
    struct iovec bytes = {.iov_base = out->records, .iov_len = sizeof(out->records)};
    union control control;
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(g->kept_end, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    out->n = 0;
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (n == 0)
        return 0;
    out->n = take_descriptors(&message, out->fds);
    if ((message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) == 0 &&
        (size_t)n == out->n * sizeof(out->records[0]))
        return 1;
    segment_batch_close(out);
    return message.msg_flags & MSG_CTRUNC ? -EMFILE : -EBADMSG;
}

void segment_batch_close(struct segment_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        close(batch->fds[i]);
    batch->n = 0;
}
