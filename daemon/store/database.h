/* SPDX-License-Identifier: MIT */
/* The SQLite database: opening it, its schema and statements, and errors as errno. */
#ifndef MSGD_DAEMON_STORE_DATABASE_H
#define MSGD_DAEMON_STORE_DATABASE_H

#include "daemon/base/error.h"
#include "daemon/store/log_mend.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define DATABASE_NAME           "msgd.db"
#define DATABASE_APPLICATION_ID 0x6d736764 /* "msgd" */
#define DATABASE_VERSION        2
#define DATABASE_PAGE_BYTES     16384
#define DATABASE_CACHE_KIB      2048

/* A damaged row as text, where nobody deletes it; bytes, and texts that may hold anything, in
 * hexadecimal. */
#define HEX(column)     "hex(" column ")"
#define HEX_TOO(column) " || ',' || " HEX(column)
#define KEEP_ROW(table, key, columns)                                           \
    "INSERT INTO damaged_row (origin, key, time, content)"                      \
    " SELECT '" table "', " key ", ?2, CAST(" columns " || ',' || crc AS BLOB)" \
    " FROM " table " WHERE " key " = ?1"

/* Each statement once: name, text. */
#define STATEMENTS(X)                                                                             \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                   \
    X(COMMIT, "COMMIT")                                                                           \
    X(PAGES, "SELECT (SELECT page_count FROM pragma_page_count)"                                  \
             ", (SELECT freelist_count FROM pragma_freelist_count)")                              \
    X(OVERLAP, "SELECT max(last) FROM chunk INDEXED BY chunk_of"                                  \
               " WHERE endpoint = ?1 AND last >= ?2 AND first <= ?3")                             \
    X(APPEND, "INSERT INTO chunk (endpoint, first, last, n, bytes, oldest, newest, crc, content)" \
              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                     \
    X(COUNT, "INSERT INTO endpoint (number, released, n, crc)"                                    \
             " VALUES (?1, 0, ?2, row_crc(?1, 0, ?2)) ON CONFLICT (number) DO UPDATE SET"         \
             " n = n + excluded.n, crc = crc - row_crc(number, released, n)"                      \
             " + row_crc(number, released, n + excluded.n)")                                      \
    X(REACH, "SELECT (SELECT released FROM endpoint WHERE number = ?1"                            \
             " AND crc = row_crc(number, released, n))"                                           \
             ", (SELECT max(last) FROM chunk INDEXED BY chunk_of WHERE endpoint = ?1)")           \
    X(RELEASE, "INSERT INTO endpoint (number, released, n, crc)"                                  \
               " VALUES (?1, ?2, 0, row_crc(?1, ?2, 0)) ON CONFLICT (number) DO UPDATE SET"       \
               " released = max(released, excluded.released),"                                    \
               " crc = crc - row_crc(number, released, n)"                                        \
               " + row_crc(number, max(released, excluded.released), n)")                         \
    X(MAKE_ENDPOINT, "INSERT OR IGNORE INTO endpoint (number, released, n, crc)"                  \
                     " SELECT ?1, 0, n, row_crc(?1, 0, n) FROM"                                   \
                     " (SELECT sum(n) AS n FROM chunk INDEXED BY chunk_of WHERE endpoint = ?1)")  \
    X(ROWS_UP_TO, "SELECT id, last, n, bytes, newest FROM chunk INDEXED BY chunk_of"              \
                  " WHERE endpoint = ?1 AND last > ?2 AND last <= ?3 ORDER BY last LIMIT ?4")     \
    X(DELETE_ROW, "DELETE FROM chunk WHERE id = ?1")                                              \
    X(ROW_FROM, "SELECT id, first, last, n, bytes FROM chunk INDEXED BY chunk_of"                 \
                " WHERE endpoint = ?1 AND last >= ?2 ORDER BY last LIMIT 1")                      \
    X(CONTENT, "SELECT content FROM chunk WHERE id = ?1")                                         \
    X(IS_ROW, "SELECT 1 FROM chunk WHERE id = ?1 AND endpoint = ?2 AND last = ?3")                \
    X(SET_ASIDE, "INSERT OR IGNORE INTO damaged (endpoint, first, last, n, time, content)"        \
                 " SELECT endpoint, first, last, n, ?2, content FROM chunk WHERE id = ?1")        \
    X(NOTE_DAMAGE, "INSERT OR IGNORE INTO damaged (endpoint, first, last, n, time, content)"      \
                   " VALUES (?1, ?2, ?3, ?4, ?5, NULL)")                                          \
    X(DAMAGED, "SELECT (SELECT count(*) FROM damaged) + (SELECT count(*) FROM damaged_row),"      \
               " (SELECT total(length(content)) FROM damaged)"                                    \
               " + (SELECT total(length(content)) FROM damaged_row)")                             \
    X(KEEP_ENDPOINT, KEEP_ROW("endpoint", "number", "released || ',' || n"))                      \
    X(KEEP_REGISTRATION, KEEP_ROW("registration", "number", HEX("name") HEX_TOO("content")))      \
    X(KEEP_IDS, KEEP_ROW("remembered", "id", "endpoint || ',' || time" HEX_TOO("ids")))           \
    X(KEEP_REJECTED, KEEP_ROW("quarantine", "id",                                                 \
                              "uid || ',' || time" HEX_TOO("name") HEX_TOO("reason")              \
                                  HEX_TOO("source") HEX_TOO("destination") HEX_TOO("content")))   \
    X(REMEMBER, "INSERT INTO remembered (endpoint, time, ids, crc)"                               \
                " VALUES (?1, ?2, ?3, row_crc(?1, ?2, ?3))")                                      \
    X(FORGET_IDS, "DELETE FROM remembered WHERE id IN"                                            \
                  " (SELECT id FROM remembered ORDER BY id LIMIT ?2) AND time < ?1")              \
    X(FORGET_ID_ROW, "DELETE FROM remembered WHERE id = ?1")                                      \
    X(FORGET_ENDPOINT, "DELETE FROM endpoint WHERE number = ?1")                                  \
    X(FORGET_IDS_OF, "DELETE FROM remembered WHERE id IN"                                         \
                     " (SELECT id FROM remembered WHERE endpoint = ?1 LIMIT ?2)")                 \
    X(PUT_REGISTRATION, "INSERT OR REPLACE INTO registration (number, name, content, crc)"        \
                        " VALUES (?1, ?2, ?3, row_crc(?1, ?2, ?3))")                              \
    X(DELETE_REGISTRATION, "DELETE FROM registration WHERE number = ?1")                          \
    X(PUT_REJECTED, "INSERT OR REPLACE INTO quarantine"                                           \
                    " (id, uid, name, reason, time, source, destination, content, crc)"           \
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"                                    \
                    " row_crc(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8))")                                  \
    X(DELETE_REJECTED, "DELETE FROM quarantine WHERE id = ?1")                                    \
    X(SET_NEXT, "UPDATE meta SET next_number = ?1")                                               \
    X(GET_NEXT, "SELECT next_number FROM meta")                                                   \
    X(LOAD_REGISTRATIONS, "SELECT number, crc = row_crc(number, name, content), name, content"    \
                          " FROM registration WHERE number > ?1 ORDER BY number")                 \
    X(LOAD_ENDPOINTS, "SELECT number, crc = row_crc(number, released, n), released, n"            \
                      " FROM endpoint WHERE number > ?1 ORDER BY number")                         \
    X(NEXT_REGISTRATION, "SELECT min(number) FROM registration WHERE number > ?1")                \
    X(NEXT_ENDPOINT, "SELECT min(number) FROM endpoint WHERE number > ?1")                        \
    X(NEXT_IDS, "SELECT min(id) FROM remembered WHERE id > ?1")                                   \
    X(NEXT_REJECTED, "SELECT min(id) FROM quarantine WHERE id > ?1")                              \
    X(LOAD_STRAYS, "WITH RECURSIVE every (e) AS ("                                                \
                   " SELECT min(endpoint) FROM chunk INDEXED BY chunk_of UNION"                   \
                   " SELECT (SELECT min(endpoint) FROM chunk INDEXED BY chunk_of"                 \
                   " WHERE endpoint > e) FROM every WHERE e IS NOT NULL)"                         \
                   " SELECT e FROM every WHERE e IS NOT NULL"                                     \
                   " AND e NOT IN (SELECT number FROM endpoint)")                                 \
    X(LOAD_ROWS, "SELECT id, first, last, n, bytes, oldest, newest, crc FROM chunk"               \
                 " INDEXED BY chunk_of WHERE endpoint = ?1 ORDER BY last")                        \
    X(LOAD_IDS, "SELECT id, crc = row_crc(endpoint, time, ids), endpoint, time, ids"              \
                " FROM remembered WHERE id > ?1 ORDER BY id")                                     \
    X(LOAD_REJECTED,                                                                              \
      "SELECT id, crc = row_crc(id, uid, name, reason, time, source, destination, content),"      \
      " uid, name, reason, time, source, destination, content FROM quarantine"                    \
      " WHERE id > ?1 ORDER BY id")

enum statement {
#define X(name, text) SQL_##name,
    STATEMENTS(X)
#undef X
        N_STATEMENTS
};

struct database {
    sqlite3 *db;
    sqlite3_stmt *statements[N_STATEMENTS];
    bool is_opened;
    struct log_verdict log; /* as it was found; not changed after that */
    bool is_in_transaction;
    bool is_lazy;       /* commits are not synced for the present */
    int n_log_pages;    /* in the log that are not in the database yet */
    uint32_t log_bytes; /* with more, they are put there */
};

/*
 * Opens or makes `path`, for this process alone. 0; -EBUSY: somebody else has it; -EPROTONOSUPPORT;
 * -EUCLEAN: damaged; -EMFILE, -EACCES, -ENOSPC, -EIO...
 */
int database_open(struct database *d, const char *path, const char *vfs) MUST_USE;
/* Safe on a zeroed or half-opened one. The log stays, with what it takes on disk; true: all of it
 * is in the database, and nothing of it is needed any more. */
bool database_close(struct database *d);

/* Statements that answer nothing. 0 or -errno. */
int database_execute(struct database *d, const char *text) MUST_USE;
/* The one number that a statement answers. */
int database_ask(struct database *d, const char *text, int64_t *out) MUST_USE;

/* The application's and schema's version in the first bytes of a database's file. 0, -ENOENT (none
 * or empty), -EPROTONOSUPPORT, -EUCLEAN (no database), -errno. */
int database_check_file(const char *path) MUST_USE;

/* What SQLite said, as a negative errno: -ENOSPC, -ENOMEM, -EMFILE, -EUCLEAN (damaged), -EIO... */
int database_error(const struct database *d, int code) MUST_USE;
/* May it succeed later, with nothing lost? (No room, no memory, no descriptor.) */
bool database_error_passes(int error);

/* The statement, ready for its parameters. */
sqlite3_stmt *database_get(struct database *d, enum statement s);
/* Runs it to its end. 0 or -errno. */
int database_run(struct database *d, enum statement s) MUST_USE;
/* Its next row: 1, 0 at the end, -errno. After either of these it has been reset. */
int database_step(struct database *d, enum statement s) MUST_USE;
/* Ends it before its end. */
void database_reset(struct database *d, enum statement s);

/* is_lazy: what it changes is not synced; a power cut may undo it, and nothing from before. */
int database_begin(struct database *d, bool is_lazy) MUST_USE;
/* Where it fails it has been rolled back. */
int database_commit(struct database *d) MUST_USE;
/* Does nothing where no transaction is open. */
void database_roll_back(struct database *d);
/* Puts all that a predecessor left in the log into the database: there it takes room that releases
 * may need. 0, also where that has to wait for room, or -errno. */
int database_begin_log(struct database *d) MUST_USE;
/* Puts the log into the database where it has grown. 0 or -errno. */
int database_checkpoint(struct database *d) MUST_USE;
/* How many pages the database may have; with how many bytes the log is put into the database; how
 * many it then keeps. */
int database_set_bounds(struct database *d, uint64_t max_pages, uint32_t log_bytes,
                        uint32_t kept_bytes) MUST_USE;

#endif
