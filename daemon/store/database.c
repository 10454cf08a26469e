/* SPDX-License-Identifier: MIT */
/* The SQLite database. */
#include "daemon/store/database.h"

#include "daemon/base/crash_point.h"
#include "daemon/base/log.h"
#include "daemon/store/row_crc.h"
#include "daemon/store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const texts[N_STATEMENTS] = {
#define X(name, text) [SQL_##name] = text,
    STATEMENTS(X)
#undef X
};

/* ---- Errors ---- */

static int system_error(const struct database *d)
{
    int error = d->db != NULL ? sqlite3_system_errno(d->db) : 0;

    if (error == EDQUOT)
        return -ENOSPC;
    return error > 0 ? -error : -EIO;
}

int database_error(const struct database *d, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* a statement that does not fit the schema: the schema is not ours */
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT: /* ours cannot be broken but by damage */
    case SQLITE_FORMAT:
        return -EUCLEAN;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_IOERR:
        return code == SQLITE_IOERR_NOMEM ? -ENOMEM : system_error(d);
    case SQLITE_CANTOPEN:
        return system_error(d);
    default:
        return -EIO;
    }
}

bool database_error_passes(int error)
{
    return error == -ENOSPC || error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

/* ---- Statements ---- */

sqlite3_stmt *database_get(struct database *d, enum statement s)
{
    return d->statements[s];
}

void database_reset(struct database *d, enum statement s)
{
    (void)sqlite3_reset(d->statements[s]);
    (void)sqlite3_clear_bindings(d->statements[s]);
}

int database_step(struct database *d, enum statement s)
{
    int code = sqlite3_step(d->statements[s]);
    int r;

    if (code == SQLITE_ROW)
        return 1;
    r = database_error(d, code);
    database_reset(d, s);
    return r;
}

int database_run(struct database *d, enum statement s)
{
    int r;

    do
        r = database_step(d, s);
    while (r > 0);
    return r;
}

int database_execute(struct database *d, const char *text)
{
    return database_error(d, sqlite3_exec(d->db, text, NULL, NULL, NULL));
}

static int prepare(struct database *d)
{
    for (int i = 0; i < N_STATEMENTS; i++) {
        int code = sqlite3_prepare_v3(d->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &d->statements[i], NULL);

        if (code != SQLITE_OK)
            return database_error(d, code);
    }
    return 0;
}

/* ---- Transactions ---- */

static int set_lazy(struct database *d, bool is_lazy)
{
    int r;

    if (is_lazy == d->is_lazy)
        return 0;
    r = database_execute(d, is_lazy ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
    if (r == 0)
        d->is_lazy = is_lazy;
    return r;
}

int database_begin(struct database *d, bool is_lazy)
{
    int r = set_lazy(d, is_lazy);

    if (r == 0)
        r = database_run(d, SQL_BEGIN);
    d->is_in_transaction = r == 0;
    return r;
}

int database_commit(struct database *d)
{
    int r = database_run(d, SQL_COMMIT);

    if (r == 0)
        d->is_in_transaction = false;
    else
        database_roll_back(d);
    return r;
}

void database_roll_back(struct database *d)
{
    if (d->is_in_transaction && !sqlite3_get_autocommit(d->db))
        (void)sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    d->is_in_transaction = false;
}

int database_checkpoint(struct database *d)
{
    int code;

    if ((int64_t)d->n_log_pages * DATABASE_PAGE_BYTES < d->log_bytes)
        return 0;
    CRASH_POINT("store.before_checkpoint");
    code = sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    CRASH_POINT("store.after_checkpoint");
    if (code == SQLITE_OK)
        d->n_log_pages = 0;
    return database_error(d, code);
}

int database_set_bounds(struct database *d, uint64_t max_pages, uint32_t log_bytes,
                        uint32_t kept_bytes)
{
    char text[120];

    d->log_bytes = log_bytes;
    snprintf(text, sizeof(text), "PRAGMA max_page_count = %llu; PRAGMA journal_size_limit = %u",
             (unsigned long long)max_pages, kept_bytes);
    return database_execute(d, text);
}

/* ---- Opening ---- */

static int note_log(void *context, sqlite3 *db, const char *name, int n_pages)
{
    struct database *d = context;

    (void)db;
    (void)name;
    d->n_log_pages = n_pages;
    return SQLITE_OK;
}

int database_ask(struct database *d, const char *text, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(d->db, text, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            *out = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return database_error(d, code);
}

/* Closing does not delete the log: it has room on disk that another process might take. */
static int keep_log(struct database *d)
{
    int is_kept = 1;

    return database_error(d,
                          sqlite3_file_control(d->db, "main", SQLITE_FCNTL_PERSIST_WAL, &is_kept));
}

static int configure(struct database *d)
{
    static const char before[] = /* the file is looked at */
        "PRAGMA locking_mode = EXCLUSIVE;"
        "PRAGMA cell_size_check = ON;"
        "PRAGMA trusted_schema = OFF;"
        "PRAGMA mmap_size = 0;"
        "PRAGMA temp_store = MEMORY;"
        "PRAGMA secure_delete = OFF;";
    char text[160];
    int r;

    (void)sqlite3_extended_result_codes(d->db, 1);
    (void)sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    r = database_execute(d, before);
    if (r < 0)
        return r;
    snprintf(text, sizeof(text),
             "PRAGMA page_size = %d; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
             "PRAGMA cache_size = -%d;",
             DATABASE_PAGE_BYTES, DATABASE_CACHE_KIB);
    r = database_execute(d, text);
    (void)sqlite3_wal_hook(d->db, note_log, d);
    if (r == 0)
        r = database_error(d, row_crc_register(d->db));
    if (r == 0)
        r = keep_log(d);
    return r;
}

/* Puts all of the log into the database, whatever there is. */
static int empty_log(struct database *d, bool *is_empty)
{
    int n_frames = -1, n_moved = -1;
    int code =
        sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &n_frames, &n_moved);

    *is_empty = code == SQLITE_OK && n_frames == n_moved;
    return database_error(d, code);
}

int database_begin_log(struct database *d)
{
    bool is_empty;
    int r = empty_log(d, &is_empty);

    return database_error_passes(r) ? 0 : r;
}

static int connect_to(struct database *d, const char *path, const char *vfs)
{
    int code = sqlite3_open_v2(path, &d->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                   SQLITE_OPEN_PRIVATECACHE,
                               vfs);
    int r = database_error(d, code);

    return r < 0 ? r : configure(d);
}

/* Closed without a word to the disk, and opened again, so that SQLite reads its log anew. */
static int connect_again(struct database *d, const char *path, const char *vfs)
{
    (void)sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_close(d->db);
    d->db = NULL;
    return connect_to(d, path, vfs);
}

/* SQLite has locked the database and read its log, and nothing has been written yet. */
static int mend_log(struct database *d, const char *path, const char *vfs)
{
    int r = log_mend(d->db, &d->log);

    if (r < 0)
        return r;
    if (d->log.breaks_off)
        log_warning("%s-wal breaks off before its end: after a power cut that was under way and "
                    "not acknowledged; else the disk has damaged it, and messages are lost",
                    path);
    if (d->log.n_mended == 0)
        return 0;
    log_warning("%s-wal was wrong in %u places, and nothing is lost: check the disk", path,
                d->log.n_mended);
    return connect_again(d, path, vfs);
}

int database_open(struct database *d, const char *path, const char *vfs)
{
    int r = connect_to(d, path, vfs);

    if (r == 0)
        r = mend_log(d, path, vfs);
    if (r == 0)
        r = schema_bring_up(d);
    if (r == 0)
        r = prepare(d);
    d->is_opened = r == 0;
    CRASH_POINT("store.opened");
    if (r < 0)
        (void)database_close(d);
    return r;
}

bool database_close(struct database *d)
{
    bool is_empty = false;

    database_roll_back(d);
    for (int i = 0; i < N_STATEMENTS; i++)
        (void)sqlite3_finalize(d->statements[i]);
    if (d->is_opened) {
        (void)!database_execute(d, "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = -1");
        (void)empty_log(d, &is_empty);
    }
    (void)sqlite3_close(d->db);
    *d = (struct database){0};
    return is_empty;
}

/* ---- Looking from outside ---- */

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* SQLite's file format, section 1.3: the header string, at 60 the version, at 68 whose it is. */
int database_check_file(const char *path)
{
    static const char magic[16] = "SQLite format 3";
    uint8_t header[100];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -errno;
    n = pread(fd, header, sizeof(header), 0);
    if (n < 0)
        n = -errno;
    close(fd);
    if (n < 0)
        return (int)n;
    if (n == 0)
        return -ENOENT;
    if (n < (ssize_t)sizeof(header) || memcmp(header, magic, sizeof(magic)) != 0)
        return -EUCLEAN;
    if (big_endian(header + 68) == 0 && big_endian(header + 60) == 0)
        return -ENOENT;
    if (big_endian(header + 68) != DATABASE_APPLICATION_ID || big_endian(header + 60) == 0 ||
        big_endian(header + 60) > DATABASE_VERSION)
        return -EPROTONOSUPPORT;
    return 0;
}
