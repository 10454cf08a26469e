/* SPDX-License-Identifier: MIT */
/*
 * Room on the file system that nobody else can take. A release needs the log, and the log has to go
 * into the database before it can be used again: blocks for a whole log, and for all pages that a
 * whole log may add to the database, are allocated before an append is let in. So a store drains on
 * a disk that others have filled. Sizes of files do not change by it.
 */
#include "daemon/store/store_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t no_header[32]; /* of a log: it is empty */

static int open_file(const struct store *s, const char *ending)
{
    char path[PATH_MAX + 8];
    int fd;

    snprintf(path, sizeof(path), "%s%s", s->path, ending);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

int reserve_open(struct store *s)
{
    int log, database = open_file(s, "");

    s->reserve = (struct reserve){.database_fd = -1, .log_fd = -1};
    if (database == -ENOENT) /* the file system is SQLite's own business: a test's */
        return 0;
    if (database < 0)
        return database;
    log = open_file(s, "-wal");
    if (log < 0) {
        close(database);
        return log;
    }
    s->reserve = (struct reserve){.database_fd = database, .log_fd = log};
    return 0;
}

/* Nothing of the log is needed any more: it is made an empty one, and keeps its blocks. A database
 * that is put back from a copy must not meet the log of another. */
static void empty_log(int fd)
{
    if (pwrite(fd, no_header, sizeof(no_header), 0) == (ssize_t)sizeof(no_header))
        (void)fdatasync(fd);
}

void reserve_close(struct store *s, bool is_log_empty)
{
    /* After the database: closing a descriptor of its file gives up the locks on it. */
    if (s->reserve.log_fd >= 0) {
        if (is_log_empty)
            empty_log(s->reserve.log_fd);
        close(s->reserve.log_fd);
    }
    if (s->reserve.database_fd >= 0)
        close(s->reserve.database_fd);
    s->reserve = (struct reserve){.database_fd = -1, .log_fd = -1};
}

static int allocate(int fd, uint64_t n_bytes)
{
    int r;

    do
        r = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)n_bytes) < 0 ? -errno : 0;
    while (r == -EINTR);
    if (r == -EDQUOT)
        return -ENOSPC;
    return r == -EOPNOTSUPP || r == -ENOSYS ? 0 : r;
}

/* Where the bound was larger once: what lies behind the end of the file is given back. */
static void give_back(int fd, uint64_t n_bytes)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && (uint64_t)st.st_blocks * 512 > n_bytes + DATABASE_PAGE_BYTES)
        (void)!ftruncate(fd, st.st_size);
}

void reserve_take(struct store *s, uint64_t database_bytes, uint64_t log_bytes)
{
    int r;

    if (s->reserve.database_fd < 0)
        return;
    give_back(s->reserve.log_fd, log_bytes);
    r = allocate(s->reserve.log_fd, log_bytes);
    if (r == 0)
        r = allocate(s->reserve.database_fd, database_bytes);
    s->reserve.error = r;
}
