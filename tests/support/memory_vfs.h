/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory for SQLite: a VFS named MEMORY_VFS over the three files of one database, which
 * may be copied, damaged, and told to fail. With a record every write, truncation, sync, creation
 * and deletion is noted, so that what a power cut leaves can be made from it (tests/storm/cut.h).
 *
 * As on Unix a file's first sync after its creation syncs its directory too.
 */
#ifndef MSGD_TESTS_MEMORY_VFS_H
#define MSGD_TESTS_MEMORY_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define MEMORY_VFS "memory"

/* A name in the directory. */
enum memory_name { MEMORY_DATABASE, MEMORY_WAL, MEMORY_JOURNAL, MEMORY_N };

struct memory_file {
    uint8_t *bytes;
    size_t size, capacity;
};

enum memory_act {
    MEMORY_WRITE,
    MEMORY_TRUNCATE, /* at: the new size */
    MEMORY_SYNC,
    MEMORY_CREATE, /* the name stands for the (new, empty) file */
    MEMORY_DELETE,
    MEMORY_SYNC_DIRECTORY,
    MEMORY_MARK, /* the recorder's own: at, n */
};

struct memory_op {
    enum memory_act act;
    enum memory_name name;
    uint32_t file; /* counts up: one name may stand for several files, one after the other */
    uint32_t n;
    uint64_t at;
    size_t bytes; /* where they lie in the record's */
};

struct memory_record {
    uv_mutex_t lock;
    struct memory_op *ops;
    size_t n_ops, ops_capacity;
    struct memory_file bytes; /* what was written, one behind the other */
};

void memory_record_init(struct memory_record *r);
void memory_record_deinit(struct memory_record *r);
void memory_record_mark(struct memory_record *r, uint32_t n, uint64_t at);

/* Which calls may fail. */
enum memory_call {
    MEMORY_CALL_WRITE = 1,
    MEMORY_CALL_SYNC = 2,
    MEMORY_CALL_TRUNCATE = 4,
    MEMORY_CALL_OPEN = 8,
    MEMORY_CALL_READ = 16,
    MEMORY_CALL_ALL = 31,
};

struct memory_fault {
    unsigned calls; /* of these, */
    uint64_t from;  /* from the so-many-th on (1: the first; 0: none), */
    uint64_t n;     /* so many fail, */
    int error;      /* with this errno. ENOSPC is for writes and truncations alone. */
    uint64_t n_seen, n_failed;
};

struct memory_disk {
    struct memory_file files[MEMORY_N];
    bool is_there[MEMORY_N];
    uint32_t file_of[MEMORY_N];
    uint32_t n_files;             /* that there have been */
    struct memory_record *record; /* NULL: none */
    struct memory_fault fault;
};

/* Registers the VFS; all files that are opened from now on are of this disk. */
void memory_vfs_use(struct memory_disk *disk);

void memory_disk_clear(struct memory_disk *disk);
/* `to` is cleared, then has the same files; no record, no fault. */
void memory_disk_copy(struct memory_disk *to, const struct memory_disk *from);
/* The directory itself is synced. */
void memory_disk_sync_directory(struct memory_disk *disk);

void memory_file_write(struct memory_file *f, uint64_t at, const void *bytes, size_t n);
void memory_file_truncate(struct memory_file *f, uint64_t size);

#endif
