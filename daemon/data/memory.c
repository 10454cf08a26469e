/* SPDX-License-Identifier: MIT */
/* Sealed memfds. */
#include "daemon/data/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int shared_memory_open(struct shared_memory *m, const char *name, size_t n_bytes)
{
    *m = (struct shared_memory){.n_bytes = n_bytes};
    m->descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (m->descriptor < 0)
        return error_trace(-errno, "memfd_create %s", name);
    if (fchmod(m->descriptor, 0600) != 0 || ftruncate(m->descriptor, (off_t)n_bytes) != 0 ||
        fcntl(m->descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        goto fail;
    m->bytes = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->descriptor, 0);
    if (m->bytes != MAP_FAILED)
        return 0;
    m->bytes = NULL;
fail:;
    int rc = error_trace(-errno, "shared memory %s of %zu bytes", name, n_bytes);
    shared_memory_close(m);
    return rc;
}

int shared_memory_adopt(struct shared_memory *m, int descriptor)
{
    struct stat info;

    *m = (struct shared_memory){.descriptor = descriptor, .n_bytes = 1};
    if (fstat(descriptor, &info) == 0) {
        m->n_bytes = (size_t)info.st_size;
        m->bytes = mmap(NULL, m->n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        if (m->bytes != MAP_FAILED)
            return 0;
        m->bytes = NULL;
    }
    int rc = error_trace(-errno, "map memory of the last msgd");
    shared_memory_close(m);
    return rc;
}

size_t shared_memory_extent(const struct shared_memory *m)
{
    off_t end = 0, at = 0;

    while ((at = lseek(m->descriptor, at, SEEK_DATA)) >= 0) {
        at = lseek(m->descriptor, at, SEEK_HOLE);
        if (at < 0)
            return m->n_bytes;
        end = at;
    }
    return errno == ENXIO ? (size_t)end : m->n_bytes;
}

int shared_memory_open_read(struct shared_memory *m)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", m->descriptor);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_trace(-errno, "open %s for reading", path);
    m->read_descriptor = descriptor;
    return 0;
}

void shared_memory_close(struct shared_memory *m)
{
    if (m->bytes != NULL)
        munmap(m->bytes, m->n_bytes);
    if (m->n_bytes > 0 && m->descriptor >= 0)
        close(m->descriptor);
    if (m->read_descriptor > 0)
        close(m->read_descriptor);
    *m = (struct shared_memory){0};
}

void shared_memory_discard(uint8_t *bytes, size_t n_bytes)
{
    madvise(bytes, n_bytes, MADV_REMOVE);
}
