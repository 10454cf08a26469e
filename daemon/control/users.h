/* SPDX-License-Identifier: MIT */
/* Names of uids, remembered. */
#ifndef MSGD_DAEMON_CONTROL_USERS_H
#define MSGD_DAEMON_CONTROL_USERS_H

#include <stdbool.h>
#include <sys/types.h>

#define USER_NAMES_KEPT 64
#define USER_NAME_MAX   64

/* Zeroed to begin with. */
struct user_names {
    struct user_name {
        bool is_used;
        uid_t uid;
        char name[USER_NAME_MAX]; /* "": it has none */
    } kept[USER_NAMES_KEPT];
};

/* NULL: it has none. Valid until the next call. The first question about a uid may ask the network.
 */
const char *user_names_get(struct user_names *users, uid_t uid);
/* Forgets all, since names may have changed. */
void user_names_reset(struct user_names *users);

#endif
