/* SPDX-License-Identifier: MIT */
/*
 * Settings to bytes and back. The database has thousands of these and is read whole before a socket
 * is read again, so what is as by default is left out, and there is no text to parse.
 */
#ifndef MSGD_DAEMON_CORE_SETTINGS_ARCHIVE_H
#define MSGD_DAEMON_CORE_SETTINGS_ARCHIVE_H

#include "daemon/core/settings.h"
#include "proto/archive.h"

/*
 * All but what only static endpoints have: users, groups and the interface by name. Where a default
 * is to change, what is left out must go on to mean the former one: then the version of the archive
 * that it is part of changes. Loading: into an uninitialised s, which is to be deinitialised after
 * an error, too.
 */
void settings_archive(struct archive *a, struct settings *s);

/* An IP address with its interface, and its port; each leaves the other as it is. */
void archive_ip(struct archive *a, struct address *address);
void archive_port(struct archive *a, struct address *address);

#endif
