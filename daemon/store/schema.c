/* SPDX-License-Identifier: MIT */
/* The tables of the database. */
#include "daemon/store/schema.h"

#include "daemon/base/crash_point.h"

#include <errno.h>
#include <stdio.h>

/*
 * content: records as in proto/ring.h, rising in seq, each with its CRC-32C in place of the slot.
 * endpoint.n: records on disk, so that a row that damage has taken away is missed. What is in
 * chunk_of is in chunk too: searching and counting reads no content.
 */
static const char version_1[] =
    "CREATE TABLE meta (next_number INTEGER NOT NULL);"
    "INSERT INTO meta VALUES (1);"
    "CREATE TABLE endpoint (number INTEGER PRIMARY KEY, released INTEGER NOT NULL,"
    " n INTEGER NOT NULL);"
    "CREATE TABLE chunk (id INTEGER PRIMARY KEY, endpoint INTEGER NOT NULL,"
    " first INTEGER NOT NULL, last INTEGER NOT NULL, n INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " oldest INTEGER NOT NULL, newest INTEGER NOT NULL, crc INTEGER NOT NULL,"
    " content BLOB NOT NULL);"
    "CREATE INDEX chunk_of ON chunk (endpoint, last, first, n, bytes, oldest, newest, crc);"
    "CREATE TABLE remembered (id INTEGER PRIMARY KEY, endpoint INTEGER NOT NULL,"
    " time INTEGER NOT NULL, ids BLOB NOT NULL);"
    "CREATE INDEX remembered_of ON remembered (endpoint);"
    "CREATE TABLE registration (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " text TEXT NOT NULL);"
    "CREATE TABLE quarantine (id INTEGER PRIMARY KEY, uid INTEGER NOT NULL, name TEXT NOT NULL,"
    " reason TEXT NOT NULL, time INTEGER NOT NULL, source BLOB NOT NULL,"
    " destination BLOB NOT NULL, content BLOB NOT NULL);"
    "CREATE TABLE damaged (endpoint INTEGER NOT NULL, first INTEGER NOT NULL,"
    " last INTEGER NOT NULL, n INTEGER NOT NULL, time INTEGER NOT NULL, content BLOB,"
    " UNIQUE (endpoint, first));";

/* Rows have a checksum, of all columns before it (but remembered.id, which its reader has no use
 * for); those that are damaged go, as text, to damaged_row. */
static const char version_2[] =
    "ALTER TABLE endpoint ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;"
    "UPDATE endpoint SET crc = row_crc(number, released, n);"
    "ALTER TABLE registration RENAME COLUMN text TO content;"
    "ALTER TABLE registration ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;"
    "UPDATE registration SET crc = row_crc(number, name, content);"
    "ALTER TABLE remembered ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;"
    "UPDATE remembered SET crc = row_crc(endpoint, time, ids);"
    "ALTER TABLE quarantine ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;"
    "UPDATE quarantine SET"
    " crc = row_crc(id, uid, name, reason, time, source, destination, content);"
    "CREATE TABLE damaged_row (origin TEXT NOT NULL, key INTEGER NOT NULL, time INTEGER NOT NULL,"
    " content BLOB NOT NULL);";

/* What brings a database of the version before to this one. */
static const char *const steps[DATABASE_VERSION] = {version_1, version_2};

/* In a transaction. */
static int take_steps(struct database *d, int64_t version)
{
    char text[120];
    int r = 0;

    for (int64_t i = version; i < DATABASE_VERSION && r == 0; i++)
        r = database_execute(d, steps[i]);
    snprintf(text, sizeof(text), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             DATABASE_APPLICATION_ID, DATABASE_VERSION);
    if (r == 0)
        r = database_execute(d, text);
    CRASH_POINT("store.before_create");
    return r == 0 ? database_execute(d, "COMMIT") : r;
}

static int bring_up_from(struct database *d, int64_t version)
{
    int r = database_execute(d, "BEGIN IMMEDIATE");

    if (r < 0)
        return r;
    d->is_in_transaction = true;
    r = take_steps(d, version);
    if (r < 0)
        database_roll_back(d);
    d->is_in_transaction = false;
    CRASH_POINT("store.after_create");
    /* The version must be in the file itself, where database_check_file looks. */
    return r == 0 ? database_begin_log(d) : r;
}

int schema_bring_up(struct database *d)
{
    int64_t application = 0, version = 0, n_tables = 0;
    int r = database_ask(d, "PRAGMA application_id", &application);

    if (r == 0)
        r = database_ask(d, "PRAGMA user_version", &version);
    if (r == 0)
        r = database_ask(d, "SELECT count(*) FROM sqlite_schema", &n_tables);
    if (r < 0)
        return r;
    /* A file that a predecessor began and did not finish has neither tables nor a version. */
    bool is_new = application == 0 && version == 0 && n_tables == 0;
    bool is_ours = application == DATABASE_APPLICATION_ID && version > 0;
    if (!(is_new || is_ours) || version > DATABASE_VERSION)
        return -EPROTONOSUPPORT;
    return version < DATABASE_VERSION ? bring_up_from(d, version) : 0;
}
