/* SPDX-License-Identifier: MIT */
/* What a test does to the database itself. */
#ifndef MSGD_TESTS_STORE_BY_HAND_H
#define MSGD_TESTS_STORE_BY_HAND_H

#include "tests/unit/store_fixture.h"

#include <sqlite3.h>

/* Statements for the database while no store has it open. Returns the number that it answers. */
static inline int64_t by_hand(const struct fixture *f, const char *text)
{
    char path[128];
    sqlite3 *db;
    sqlite3_stmt *q;
    int64_t answer = 0;

    snprintf(path, sizeof(path), "%s/msgd.db", f->directory);
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &q, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    if (sqlite3_step(q) == SQLITE_ROW)
        answer = sqlite3_column_int64(q, 0);
    cr_assert_eq(sqlite3_finalize(q), SQLITE_OK);
    sqlite3_close(db);
    return answer;
}

static inline uint64_t damaged_rows(const struct fixture *f)
{
    struct store_info info;

    store_info(f->store, &info);
    return info.damaged_rows;
}

#endif
