/* SPDX-License-Identifier: MIT */
/* The checksum of a row. */
#include "daemon/store/row_crc.h"

#include "proto/crc32c.h"

#include <stdbool.h>
#include <stdint.h>

static uint32_t add_value(uint32_t crc, sqlite3_value *value)
{
    const uint32_t type = (uint32_t)sqlite3_value_type(value);
    const int64_t number = type == SQLITE_INTEGER ? sqlite3_value_int64(value) : 0;
    const bool has_bytes = type == SQLITE_TEXT || type == SQLITE_BLOB;
    const void *bytes = has_bytes ? sqlite3_value_blob(value) : &number;
    const uint32_t n = has_bytes ? (uint32_t)sqlite3_value_bytes(value) : sizeof(number);
    const uint32_t head[] = {type, n};

    crc = crc32c(crc, head, sizeof(head));
    return n > 0 ? crc32c(crc, bytes, n) : crc;
}

static void row_crc(sqlite3_context *context, int n, sqlite3_value **values)
{
    uint32_t crc = 0;

    for (int i = 0; i < n; i++)
        crc = add_value(crc, values[i]);
    sqlite3_result_int64(context, crc);
}

int row_crc_register(sqlite3 *db)
{
    return sqlite3_create_function_v2(db, "row_crc", -1,
                                      SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                      row_crc, NULL, NULL, NULL);
}
