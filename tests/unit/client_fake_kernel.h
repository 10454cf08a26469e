/* SPDX-License-Identifier: MIT */
/* A kernel that takes and refuses what the test says. Link with --wrap=sendmmsg. */
#ifndef MSGD_TESTS_CLIENT_FAKE_KERNEL_H
#define MSGD_TESTS_CLIENT_FAKE_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* What a call does: takes so many, at most; or fails. No step left: everything is taken. */
struct step {
    int most;
    int error;
};

static struct step script[16];
static size_t n_steps, at_step;
static size_t n_taken;     /* headers */
static size_t taken[1024]; /* their lengths */
static size_t n_parts;     /* of the last one */
static bool can_offload;

static inline void begin(bool is_offload, const struct step *steps, size_t n)
{
    if (n > 0)
        memcpy(script, steps, n * sizeof *steps);
    n_steps = n;
    at_step = n_taken = 0;
    can_offload = is_offload;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *headers, unsigned n, int flags);

int __wrap_sendmmsg(int fd, struct mmsghdr *headers, unsigned n, int flags)
{
    struct step s = at_step < n_steps ? script[at_step++] : (struct step){.most = 1024};
    int done = 0;

    (void)fd;
    (void)flags;
    if (s.error != 0) {
        errno = s.error;
        return -1;
    }
    for (; done < (int)n && done < s.most; done++) {
        const struct msghdr *h = &headers[done].msg_hdr;
        if (h->msg_controllen > 0 && !can_offload) {
            errno = EIO;
            return done > 0 ? done : -1;
        }
        taken[n_taken] = 0;
        n_parts = h->msg_iovlen;
        for (size_t i = 0; i < n_parts; i++)
            taken[n_taken] += h->msg_iov[i].iov_len;
        n_taken++;
    }
    return done;
}

#endif
