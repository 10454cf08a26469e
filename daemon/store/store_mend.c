/* SPDX-License-Identifier: MIT */
/*
 * Tables of which a page cannot be read, or not be written. Such a table is renamed and stays as it
 * is, with its pages; one of its name takes its place, with all rows that can be read. Of the index
 * of messages nothing is kept: it is made anew from what it is an index of.
 */
#include "daemon/store/store_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each leaves a table behind, which takes room. */
#define MAX_MENDS 8

#define TEXT_BYTES 1024

struct mendable {
    const char *name;
    const char *is_good; /* of a row whose checksum is right */
};

/* The first is where it is noted that another was made anew. */
static const struct mendable tables[] = {
    {"damaged_row", "1"},
    {"damaged", "1"},
    {"meta", "1"},
    {"endpoint", "crc = row_crc(number, released, n)"},
    {"registration", "crc = row_crc(number, name, content)"},
    {"remembered", "crc = row_crc(endpoint, time, ids)"},
    {"quarantine", "crc = row_crc(id, uid, name, reason, time, source, destination, content)"},
};

static int failed(const struct store *s)
{
    return database_error(&s->database, sqlite3_extended_errcode(s->database.db));
}

/* 0, or why it could not be prepared. */
static int prepare(struct store *s, const char *text, sqlite3_stmt **out)
{
    *out = NULL;
    return database_error(&s->database, sqlite3_prepare_v2(s->database.db, text, -1, out, NULL));
}

/* Its first row's first column. 1, 0: there is none, -errno. */
static int ask_text(struct store *s, const char *text, char out[TEXT_BYTES])
{
    sqlite3_stmt *q;
    int r = prepare(s, text, &q);

    out[0] = '\0';
    if (r == 0 && sqlite3_step(q) == SQLITE_ROW) {
        const char *answer = (const char *)sqlite3_column_text(q, 0);
        int n = snprintf(out, TEXT_BYTES, "%s", answer != NULL ? answer : "");
        r = n < TEXT_BYTES ? 1 : -EUCLEAN;
    } else if (r == 0) {
        r = failed(s);
    }
    (void)sqlite3_finalize(q);
    return r;
}

/* ---- Is it damaged? ---- */

/* 1: its pages and those of its indexes are whole, 0: they are not, -errno. */
static int is_whole(struct store *s, const char *name)
{
    char text[80], answer[TEXT_BYTES];
    int r;

    snprintf(text, sizeof(text), "PRAGMA integrity_check('%s')", name);
    r = ask_text(s, text, answer);
    if (r == -EUCLEAN)
        return 0;
    return r < 0 ? r : strcmp(answer, "ok") == 0;
}

/* ---- Copying ---- */

/*
 * Rows go to a table in memory first: after a read that damage makes fail inside of a transaction
 * SQLite writes nothing more in that.
 */
#define RESCUED "temp.rescued"

struct copying {
    const char *from;  /* table */
    const char *which; /* rows */
    int64_t last;      /* rowid up to which all have been tried */
};

static int prepare_copy(struct store *s, const struct copying *c, const char *order,
                        sqlite3_stmt **q, sqlite3_stmt **insert)
{
    char text[TEXT_BYTES];
    int r, at;

    *insert = NULL;
    snprintf(text, sizeof(text),
             "SELECT rowid, * FROM main.%s NOT INDEXED WHERE rowid > ?1 AND %s ORDER BY rowid %s",
             c->from, c->which, order);
    r = prepare(s, text, q);
    if (r < 0)
        return r;
    at = snprintf(text, sizeof(text), "INSERT OR IGNORE INTO " RESCUED " VALUES (?");
    for (int i = 1; i < sqlite3_column_count(*q); i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, ",?");
    snprintf(text + at, sizeof(text) - (size_t)at, ")");
    return prepare(s, text, insert);
}

static int copy_row(struct store *s, sqlite3_stmt *q, sqlite3_stmt *insert)
{
    int code;

    for (int i = 0; i < sqlite3_column_count(q); i++)
        (void)sqlite3_bind_value(insert, i + 1, sqlite3_column_value(q, i));
    code = sqlite3_step(insert);
    (void)sqlite3_reset(insert);
    return database_error(&s->database, code);
}

/* Rows behind c->last, until one of them, or a page, cannot be read: -EUCLEAN. */
static int copy_on(struct store *s, struct copying *c, bool is_downward)
{
    sqlite3_stmt *q, *insert;
    int code = SQLITE_ROW;
    int r = prepare_copy(s, c, is_downward ? "DESC" : "ASC", &q, &insert);

    if (r == 0)
        (void)sqlite3_bind_int64(q, 1, c->last);
    while (r == 0 && (code = sqlite3_step(q)) == SQLITE_ROW) {
        if (!is_downward && sqlite3_column_int64(q, 0) > c->last)
            c->last = sqlite3_column_int64(q, 0);
        r = copy_row(s, q, insert);
    }
    if (r == 0)
        r = database_error(&s->database, code);
    (void)sqlite3_finalize(q);
    (void)sqlite3_finalize(insert);
    return r;
}

/* Steps over the row at which copy_on ended. -EUCLEAN: it is no row that ended it. */
static int step_over(struct store *s, struct copying *c)
{
    char text[TEXT_BYTES], answer[TEXT_BYTES];
    int64_t next = c->last;
    int r;

    snprintf(text, sizeof(text), "SELECT min(rowid) FROM main.%s NOT INDEXED WHERE rowid > %lld",
             c->from, (long long)c->last);
    r = ask_text(s, text, answer);
    if (r > 0 && answer[0] != '\0')
        next = strtoll(answer, NULL, 10);
    if (next <= c->last)
        return r < 0 ? r : -EUCLEAN;
    c->last = next;
    return 0;
}

/* From the first row on up to a page that cannot be read, then from the last one down to one. */
static int copy_rows(struct store *s, struct copying *c)
{
    int r;

    c->last = INT64_MIN;
    while ((r = copy_on(s, c, false)) == -EUCLEAN) {
        r = step_over(s, c);
        if (r < 0)
            break;
    }
    if (r == -EUCLEAN)
        r = copy_on(s, c, true);
    return r == -EUCLEAN ? 0 : r;
}

/* "c1, c2, ...": as many as the table has. 0 or -errno. */
static int name_columns(struct store *s, const char *table, char out[TEXT_BYTES])
{
    char text[80];
    sqlite3_stmt *q;
    int r, at = 0;

    snprintf(text, sizeof(text), "SELECT * FROM main.%s", table);
    r = prepare(s, text, &q);
    for (int i = 1; r == 0 && i <= sqlite3_column_count(q); i++)
        at += snprintf(out + at, TEXT_BYTES - (size_t)at, "%sc%d", i > 1 ? ", " : "", i);
    (void)sqlite3_finalize(q);
    return r;
}

/* Where two rows have the same number, the one that is right is there first. */
static int rescue(struct store *s, const struct mendable *t, const char *columns)
{
    char text[TEXT_BYTES + 100], others[200];
    struct copying c = {.from = t->name, .which = t->is_good};
    int r;

    snprintf(others, sizeof(others), "NOT (%s)", t->is_good);
    snprintf(text, sizeof(text), "CREATE TABLE " RESCUED " (number INTEGER PRIMARY KEY, %s)",
             columns);
    r = database_execute(&s->database, text);
    if (r == 0)
        r = copy_rows(s, &c);
    c.which = others;
    return r == 0 ? copy_rows(s, &c) : r;
}

/* ---- Making anew ---- */

/* What changes the schema itself; then it is read anew. */
static int change_schema(struct store *s, const char *text)
{
    sqlite3 *db = s->database.db;
    int r;

    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    r = database_execute(&s->database, "PRAGMA writable_schema = ON");
    if (r == 0)
        r = database_execute(&s->database, text);
    (void)!database_execute(&s->database, "PRAGMA writable_schema = RESET");
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return r;
}

/* Takes an index out of the schema; its pages, which may be anybody's, are left alone. */
static int forget_index(struct store *s, const char *table)
{
    char text[200];

    snprintf(text, sizeof(text),
             "DELETE FROM sqlite_schema WHERE type = 'index' AND tbl_name = '%s'"
             " AND sql IS NOT NULL",
             table);
    return change_schema(s, text);
}

/* How it was made: 1, 0: there is none, -errno. */
static int look_up(struct store *s, const char *type, const char *table, char out[TEXT_BYTES])
{
    char text[160];

    snprintf(text, sizeof(text),
             "SELECT sql FROM sqlite_schema WHERE type = '%s' AND tbl_name = '%s' AND sql IS NOT "
             "NULL",
             type, table);
    return ask_text(s, text, out);
}

static int name_aside(struct store *s, const char *name, char *out, size_t n_out)
{
    char text[160];
    int64_t n = 0;
    int r;

    snprintf(text, sizeof(text),
             "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'damaged_%s_[0-9]*'", name);
    r = database_ask(&s->database, text, &n);
    snprintf(out, n_out, "damaged_%s_%lld", name, (long long)n + 1);
    return r;
}

static int note(struct store *s, const char *name, const char *aside)
{
    char text[240];

    snprintf(text, sizeof(text),
             "INSERT INTO damaged_row (origin, key, time, content)"
             " VALUES ('%s', 0, %lld, CAST('table %s' AS BLOB));"
             "INSERT INTO meta SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM meta)",
             name, (long long)wall_ns(), aside);
    return database_execute(&s->database, text);
}

/* In a transaction: the table has that name no longer, and a new one has the rows. */
static int replace_table(struct store *s, const char *name, const char *aside, const char *columns)
{
    char create[TEXT_BYTES], create_index[TEXT_BYTES], text[2 * TEXT_BYTES];
    int r = look_up(s, "table", name, create);
    int n_indexes = r > 0 ? look_up(s, "index", name, create_index) : -EUCLEAN;

    if (n_indexes < 0)
        return r < 0 ? r : n_indexes;
    r = n_indexes > 0 ? forget_index(s, name) : 0;
    snprintf(text, sizeof(text), "ALTER TABLE main.%s RENAME TO %s", name, aside);
    if (r == 0)
        r = database_execute(&s->database, text);
    if (r == 0)
        r = database_execute(&s->database, create);
    snprintf(text, sizeof(text),
             "INSERT OR IGNORE INTO main.%s SELECT %s FROM " RESCUED " ORDER BY number", name,
             columns);
    if (r == 0)
        r = database_execute(&s->database, text);
    if (r == 0 && n_indexes > 0)
        r = database_execute(&s->database, create_index);
    return r == 0 ? note(s, name, aside) : r;
}

struct index_rows {
    int64_t n;
    int64_t n_right; /* as they were written */
};

/* Up to a page that cannot be read. 0 or -errno. */
static int count_index(struct store *s, struct index_rows *out)
{
    sqlite3_stmt *q;
    int r = prepare(s,
                    "SELECT id, first, last, n, bytes, oldest, newest, crc, endpoint"
                    " FROM chunk INDEXED BY chunk_of",
                    &q);

    *out = (struct index_rows){0};
    while (r == 0 && sqlite3_step(q) == SQLITE_ROW) {
        out->n++;
        out->n_right += store_index_row_is_right(q, (uint64_t)sqlite3_column_int64(q, 8));
    }
    (void)sqlite3_finalize(q);
    return r;
}

/* In a transaction. -EUCLEAN: the table has rows that are wrong, and the index of before has more
 * that are right. */
static int replace_index(struct store *s, const struct index_rows *before)
{
    char create[TEXT_BYTES];
    struct index_rows now = {0};
    int r = look_up(s, "index", "chunk", create);

    if (r <= 0)
        return r < 0 ? r : -EUCLEAN;
    r = forget_index(s, "chunk");
    if (r == 0)
        r = database_execute(&s->database, create);
    if (r == 0)
        r = count_index(s, &now);
    if (r == 0 && now.n_right < now.n && now.n_right < before->n_right)
        return -EUCLEAN;
    return r == 0 ? note(s, "chunk_of", "chunk_of") : r;
}

/* 0 or -errno: nothing has changed. */
static int finish(struct store *s, int r)
{
    if (r == 0)
        r = database_commit(&s->database);
    if (r < 0) {
        database_roll_back(&s->database);
        (void)!change_schema(s, "");
        return r;
    }
    s->n_damaged_rows++;
    atomic_fetch_add(&s->n_damaged, 1);
    return 0;
}

/* With the rows rescued. */
static int mend_with(struct store *s, const struct mendable *t, const char *columns)
{
    char aside[64];
    int64_t n = 0;
    int r = name_aside(s, t->name, aside, sizeof(aside));

    if (r == 0)
        r = database_ask(&s->database, "SELECT count(*) FROM " RESCUED, &n);
    if (r == 0)
        r = database_begin(&s->database, false);
    if (r == 0)
        r = finish(s, replace_table(s, t->name, aside, columns));
    if (r == 0)
        log_error("%s: pages of table %s are damaged: it is set aside as table %s, and made anew "
                  "with the %lld rows that can be read",
                  s->path, t->name, aside, (long long)n);
    return r;
}

static int mend_table(struct store *s, const struct mendable *t)
{
    char columns[TEXT_BYTES];
    int r = name_columns(s, t->name, columns);

    if (r == 0)
        r = rescue(s, t, columns);
    if (r == 0)
        r = mend_with(s, t, columns);
    (void)!database_execute(&s->database, "DROP TABLE IF EXISTS " RESCUED);
    return r;
}

static int mend_index(struct store *s)
{
    struct index_rows before;
    int r = count_index(s, &before); /* not in the transaction: see above of failing reads */

    if (r == 0)
        r = database_begin(&s->database, false);
    if (r == 0)
        r = finish(s, replace_index(s, &before));
    if (r == 0)
        log_error("%s: pages of the index of messages are damaged: it is made anew, and nothing is "
                  "lost by that",
                  s->path);
    return r;
}

/* Returns how many were made anew; -errno. */
static int mend_all(struct store *s)
{
    int n = 0, r;

    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        r = is_whole(s, tables[i].name);
        if (r == 0) {
            r = mend_table(s, &tables[i]);
            n++;
        }
        if (r < 0)
            return r;
    }
    r = is_whole(s, "chunk");
    if (r == 0 && mend_index(s) == 0) {
        r = is_whole(s, "chunk");
        n += r > 0;
    }
    return r < 0 ? r : n;
}

bool store_is_whole(struct store *s, const char *table)
{
    return is_whole(s, table) != 0;
}

static bool can_mend(const struct store *s)
{
    return atomic_load(&s->state) != STORE_FAILED && s->n_mends < MAX_MENDS;
}

int store_mend(struct store *s)
{
    int r;

    if (!can_mend(s))
        return 0;
    s->n_mends++;
    /* What is right for its place, if not for its neighbours, is read; rows have checksums. */
    r = database_execute(&s->database, "PRAGMA cell_size_check = OFF");
    if (r == 0)
        r = mend_all(s);
    (void)!database_execute(&s->database, "PRAGMA cell_size_check = ON");
    if (r <= 0)
        s->n_mends = MAX_MENDS;
    else
        s->n_stuck = 0; /* it may have been for the index */
    return r;
}
