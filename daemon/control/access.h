/* SPDX-License-Identifier: MIT */
/* Who may do what to which endpoint: docs/protocol.md, "Access". */
#ifndef MSGD_DAEMON_CONTROL_ACCESS_H
#define MSGD_DAEMON_CONTROL_ACCESS_H

#include <stdbool.h>

struct call;
struct desk;
struct entry;

bool access_is_administrator(const struct call *call);
/* Is the caller the entry's owner, or an administrator? */
bool access_may_own(const struct call *call, const struct entry *entry);

/*
 * The desk of that name, if the caller may own it. NULL: the call has been answered with
 * NoSuchEndpoint or NotPermitted.
 */
struct desk *access_owned(struct call *call, const char *name);

/* The same for a call whose only parameter is `name`; also InvalidParameter. */
struct desk *access_owned_by_name(struct call *call);

/* False: the call has been answered with NotPermitted. act: "reload the configuration". */
bool access_administrate(struct call *call, const char *act);

#endif
