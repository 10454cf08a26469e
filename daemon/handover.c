/* SPDX-License-Identifier: MIT */
/* What an old msgd and its successor say to each other. */
#include "daemon/handover.h"

#include "daemon/data/vault.h"
#include "daemon/data/worker.h"
#include "daemon/store/stash_segment.h"
#include "proto/ring.h"
#include "proto/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define NOTIFY_PATIENCE_US (UINT64_C(5) * 1000000)

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(HANDOVER_BATCH * sizeof(int))];
};

int handover_send_descriptors(int fd, enum handover_word word, const char *text, const int *fds,
                              size_t n)
{
    char bytes[1 + HANDOVER_TEXT_MAX] = {(char)word};
    int n_text = snprintf(bytes + 1, HANDOVER_TEXT_MAX, "%s", text);
    struct iovec part = {
        .iov_base = bytes,
        .iov_len = 1 + (n_text < HANDOVER_TEXT_MAX ? (size_t)n_text : HANDOVER_TEXT_MAX - 1)};
    union control control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (n > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(n * sizeof(int)),
                                          .cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int handover_send(int fd, enum handover_word word, const char *text)
{
    return handover_send_descriptors(fd, word, text, NULL, 0);
}

static int wait_readable(int fd, int timeout_ms)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    int n;

    do {
        n = poll(&at, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n == 0 ? -ETIMEDOUT : 0;
}

static void take_descriptors(struct msghdr *message, struct handover_message *out)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        out->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(out->fds, CMSG_DATA(c), out->n_fds * sizeof(int));
    }
}

int handover_receive(int fd, int timeout_ms, struct handover_message *out)
{
    char bytes[HANDOVER_TEXT_MAX + 1];
    struct iovec part = {.iov_base = bytes, .iov_len = HANDOVER_TEXT_MAX};
    union control control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int r = wait_readable(fd, timeout_ms);
    ssize_t n;

    *out = (struct handover_message){.n_fds = 0};
    if (r < 0)
        return r;
    n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    /* It went without having read everything; what it said before is still there. */
    if (n < 0 && errno == ECONNRESET)
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n <= 0)
        return n == 0 || errno == ECONNRESET ? -EPIPE : -errno;
    take_descriptors(&message, out);
    out->word = (enum handover_word)bytes[0];
    memcpy(out->text, bytes + 1, (size_t)n - 1);
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
        return 0;
    for (size_t i = 0; i < out->n_fds; i++)
        close(out->fds[i]);
    out->n_fds = 0;
    return -EBADMSG;
}

void handover_tell_main(pid_t pid)
{
    if (!getenv("NOTIFY_SOCKET"))
        return;
    (void)sd_notifyf(0, "MAINPID=%d", (int)pid);
    (void)sd_notify_barrier(0, NOTIFY_PATIENCE_US);
}

const char *layouts_text(void)
{
    static char text[128];

    snprintf(text, sizeof(text), "stash %d, vault %u, ring %u, session %u, carrier %u",
             STASH_VERSION, VAULT_VERSION, RING_VERSION, SESSION_SAVED_VERSION,
             CARRIER_SAVED_VERSION);
    return text;
}
