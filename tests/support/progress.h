/* SPDX-License-Identifier: MIT */
/*
 * A file of one page that a receiver and a sender map: how many messages have arrived, so that the
 * sender can keep a window of them under way without any datagram coming back.
 */
#ifndef MSGD_TESTS_PROGRESS_H
#define MSGD_TESTS_PROGRESS_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct progress {
    _Atomic uint64_t arrived;
    _Atomic uint32_t is_ready; /* the receiver has its socket or its attachment */
};

/* Maps the file, made if it is not there. NULL on failure. */
static inline struct progress *progress_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return NULL;
    void *p = MAP_FAILED;
    if (ftruncate(fd, 4096) == 0)
        p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

#endif
