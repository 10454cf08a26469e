/* SPDX-License-Identifier: MIT */
/* The tables of the database, and how those of an earlier version become these. */
#ifndef MSGD_DAEMON_STORE_SCHEMA_H
#define MSGD_DAEMON_STORE_SCHEMA_H

#include "daemon/store/database.h"

/*
 * Makes the tables, or brings them from their version to DATABASE_VERSION, in one transaction. 0;
 * -EPROTONOSUPPORT: of a version that this msgd does not know, or somebody else's; -ENOSPC...
 */
int schema_bring_up(struct database *d) MUST_USE;

#endif
