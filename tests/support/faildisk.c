/* SPDX-License-Identifier: MIT */
/*
 * An LD_PRELOAD library whose disk breaks: once the file that FAILDISK names exists, fsync and
 * fdatasync fail with EIO. What was written before is as it was.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int sync_by(const char *name, int fd)
{
    const char *path = getenv("FAILDISK");

    if (path != NULL && access(path, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd)
{
    return sync_by("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_by("fdatasync", fd);
}
