/* SPDX-License-Identifier: MIT */
/* A disk in memory for SQLite. */
#include "tests/support/memory_vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 4096

struct open_file {
    sqlite3_file base;
    enum memory_name name;
    bool is_new; /* its first sync syncs the directory */
};

static struct memory_disk *disk;
static int last_error;

/* ---- Bytes ---- */

static void reserve(struct memory_file *f, size_t capacity)
{
    if (capacity <= f->capacity)
        return;
    f->capacity = capacity < 2 * f->capacity ? 2 * f->capacity : capacity;
    f->bytes = realloc(f->bytes, f->capacity);
    if (f->bytes == NULL)
        abort();
}

void memory_file_truncate(struct memory_file *f, uint64_t size)
{
    reserve(f, size);
    if (size > f->size)
        memset(f->bytes + f->size, 0, size - f->size);
    f->size = size;
}

void memory_file_write(struct memory_file *f, uint64_t at, const void *bytes, size_t n)
{
    if (at + n > f->size)
        memory_file_truncate(f, at + n);
    memcpy(f->bytes + at, bytes, n);
}

static void assign(struct memory_file *to, const struct memory_file *from)
{
    to->size = 0;
    if (from->size > 0)
        memory_file_write(to, 0, from->bytes, from->size);
}

/* ---- The record ---- */

void memory_record_init(struct memory_record *r)
{
    *r = (struct memory_record){0};
    if (uv_mutex_init(&r->lock) < 0)
        abort();
}

void memory_record_deinit(struct memory_record *r)
{
    uv_mutex_destroy(&r->lock);
    free(r->ops);
    free(r->bytes.bytes);
    *r = (struct memory_record){0};
}

static void add(struct memory_record *r, struct memory_op op, const void *bytes)
{
    uv_mutex_lock(&r->lock);
    if (r->n_ops == r->ops_capacity) {
        r->ops_capacity = r->ops_capacity == 0 ? 1024 : 2 * r->ops_capacity;
        r->ops = reallocarray(r->ops, r->ops_capacity, sizeof(*r->ops));
        if (r->ops == NULL)
            abort();
    }
    if (bytes != NULL) {
        op.bytes = r->bytes.size;
        memory_file_write(&r->bytes, op.bytes, bytes, op.n);
    }
    r->ops[r->n_ops++] = op;
    uv_mutex_unlock(&r->lock);
}

void memory_record_mark(struct memory_record *r, uint32_t n, uint64_t at)
{
    if (r != NULL)
        add(r, (struct memory_op){.act = MEMORY_MARK, .n = n, .at = at}, NULL);
}

static void note(enum memory_act act, enum memory_name name, uint64_t at, const void *bytes, int n)
{
    if (disk->record != NULL)
        add(disk->record,
            (struct memory_op){
                .act = act, .name = name, .file = disk->file_of[name], .n = (uint32_t)n, .at = at},
            bytes);
}

void memory_disk_sync_directory(struct memory_disk *d)
{
    if (d->record != NULL)
        add(d->record, (struct memory_op){.act = MEMORY_SYNC_DIRECTORY}, NULL);
}

/* ---- Faults ---- */

static bool fails(enum memory_call call)
{
    struct memory_fault *f = &disk->fault;

    if ((f->calls & call) == 0 || f->from == 0)
        return false;
    f->n_seen++;
    if (f->n_seen < f->from || f->n_failed >= f->n)
        return false;
    f->n_failed++;
    last_error = f->error;
    return true;
}

static int code_of_write(void)
{
    return disk->fault.error == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

/* ---- Files ---- */

static struct memory_file *content_of(sqlite3_file *file)
{
    return &disk->files[((struct open_file *)file)->name];
}

static int on_close(sqlite3_file *file)
{
    (void)file;
    return SQLITE_OK;
}

static int on_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    const struct memory_file *f = content_of(file);
    size_t n_there = (size_t)at < f->size ? f->size - (size_t)at : 0;

    if (fails(MEMORY_CALL_READ))
        return SQLITE_IOERR_READ;
    if (n_there >= (size_t)n) {
        memcpy(to, f->bytes + at, (size_t)n);
        return SQLITE_OK;
    }
    memset(to, 0, (size_t)n);
    if (n_there > 0)
        memcpy(to, f->bytes + at, n_there);
    return SQLITE_IOERR_SHORT_READ;
}

static int on_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
    if (fails(MEMORY_CALL_WRITE))
        return code_of_write();
    note(MEMORY_WRITE, ((struct open_file *)file)->name, (uint64_t)at, bytes, n);
    memory_file_write(content_of(file), (uint64_t)at, bytes, (size_t)n);
    return SQLITE_OK;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fails(MEMORY_CALL_TRUNCATE))
        return disk->fault.error == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_TRUNCATE;
    note(MEMORY_TRUNCATE, ((struct open_file *)file)->name, (uint64_t)size, NULL, 0);
    memory_file_truncate(content_of(file), (uint64_t)size);
    return SQLITE_OK;
}

static int on_sync(sqlite3_file *file, int flags)
{
    struct open_file *f = (struct open_file *)file;

    (void)flags;
    if (fails(MEMORY_CALL_SYNC))
        return SQLITE_IOERR_FSYNC;
    note(MEMORY_SYNC, f->name, 0, NULL, 0);
    if (f->is_new)
        memory_disk_sync_directory(disk);
    f->is_new = false;
    return SQLITE_OK;
}

static int on_size(sqlite3_file *file, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)content_of(file)->size;
    return SQLITE_OK;
}

static int on_lock(sqlite3_file *file, int level)
{
    (void)file;
    (void)level;
    return SQLITE_OK;
}

static int on_check_lock(sqlite3_file *file, int *out)
{
    (void)file;
    *out = 0;
    return SQLITE_OK;
}

static int on_control(sqlite3_file *file, int op, void *argument)
{
    (void)file;
    (void)argument;
    return op == SQLITE_FCNTL_PERSIST_WAL ? SQLITE_OK : SQLITE_NOTFOUND;
}

static int sector_bytes(sqlite3_file *file)
{
    (void)file;
    return SECTOR_BYTES;
}

static int characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as SQLite takes it of every Unix file */
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_lock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = sector_bytes,
    .xDeviceCharacteristics = characteristics,
};

/* ---- The directory ---- */

static enum memory_name name_of(const char *path)
{
    size_t n = strlen(path);

    if (n > 4 && strcmp(path + n - 4, "-wal") == 0)
        return MEMORY_WAL;
    if (n > 8 && strcmp(path + n - 8, "-journal") == 0)
        return MEMORY_JOURNAL;
    return MEMORY_DATABASE;
}

static int on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
    struct open_file *f = (struct open_file *)file;

    (void)vfs;
    f->base.pMethods = NULL;
    if (path == NULL || fails(MEMORY_CALL_OPEN))
        return SQLITE_CANTOPEN;
    f->name = name_of(path);
    f->is_new = false;
    if (!disk->is_there[f->name]) {
        if ((flags & SQLITE_OPEN_CREATE) == 0)
            return SQLITE_CANTOPEN;
        f->is_new = true;
        disk->is_there[f->name] = true;
        disk->files[f->name].size = 0;
        disk->file_of[f->name] = disk->n_files++;
        note(MEMORY_CREATE, f->name, 0, NULL, 0);
    }
    f->base.pMethods = &methods;
    if (out != NULL)
        *out = flags;
    return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *vfs, const char *path, int syncs_directory)
{
    enum memory_name name = name_of(path);

    (void)vfs;
    if (!disk->is_there[name])
        return SQLITE_IOERR_DELETE_NOENT;
    note(MEMORY_DELETE, name, 0, NULL, 0);
    disk->is_there[name] = false;
    if (syncs_directory)
        memory_disk_sync_directory(disk);
    return SQLITE_OK;
}

static int on_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    enum memory_name name = name_of(path);

    (void)vfs;
    *out = disk->is_there[name] && (flags != SQLITE_ACCESS_EXISTS || disk->files[name].size > 0);
    return SQLITE_OK;
}

static int on_full_name(sqlite3_vfs *vfs, const char *path, int n, char *out)
{
    (void)vfs;
    sqlite3_snprintf(n, out, "%s", path);
    return SQLITE_OK;
}

static int on_last_error(sqlite3_vfs *vfs, int n, char *text)
{
    (void)vfs;
    (void)n;
    (void)text;
    return last_error;
}

void memory_vfs_use(struct memory_disk *d)
{
    static sqlite3_vfs vfs;

    disk = d;
    if (vfs.zName != NULL)
        return;
    vfs = *sqlite3_vfs_find(NULL); /* chance, clock and sleep as they are */
    vfs.iVersion = 1;
    vfs.szOsFile = sizeof(struct open_file);
    vfs.zName = MEMORY_VFS;
    vfs.pNext = NULL;
    vfs.xOpen = on_open;
    vfs.xDelete = on_delete;
    vfs.xAccess = on_access;
    vfs.xFullPathname = on_full_name;
    vfs.xGetLastError = on_last_error;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
        abort();
}

/* ---- Disks ---- */

void memory_disk_clear(struct memory_disk *d)
{
    for (int i = 0; i < MEMORY_N; i++)
        free(d->files[i].bytes);
    *d = (struct memory_disk){0};
}

void memory_disk_copy(struct memory_disk *to, const struct memory_disk *from)
{
    for (int i = 0; i < MEMORY_N; i++) {
        assign(&to->files[i], &from->files[i]);
        to->is_there[i] = from->is_there[i];
        to->file_of[i] = from->file_of[i];
    }
    to->n_files = from->n_files;
    to->record = NULL;
    to->fault = (struct memory_fault){0};
}
