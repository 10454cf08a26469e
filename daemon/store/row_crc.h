/* SPDX-License-Identifier: MIT */
/*
 * The checksum of a row: a function of SQL, so that whatever writes a row, or changes a column of
 * it, says in the same statement what the row is now.
 */
#ifndef MSGD_DAEMON_STORE_ROW_CRC_H
#define MSGD_DAEMON_STORE_ROW_CRC_H

#include <sqlite3.h>

/* Statements of the connection have row_crc(column, ...): the CRC-32C of the values, with the type
 * and length of each. What SQLite says. */
int row_crc_register(sqlite3 *db);

#endif
