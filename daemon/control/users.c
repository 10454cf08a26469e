/* SPDX-License-Identifier: MIT */
/* Names of uids, remembered. */
#include "daemon/control/users.h"

#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void look_up(struct user_name *user, uid_t uid)
{
    struct passwd entry, *found = NULL;
    char text[4096];

    *user = (struct user_name){.is_used = true, .uid = uid};
    if (getpwuid_r(uid, &entry, text, sizeof(text), &found) == 0 && found)
        snprintf(user->name, sizeof(user->name), "%s", entry.pw_name);
}

const char *user_names_get(struct user_names *users, uid_t uid)
{
    struct user_name *user = &users->kept[uid % USER_NAMES_KEPT];

    if (!user->is_used || user->uid != uid)
        look_up(user, uid);
    return user->name[0] ? user->name : NULL;
}

void user_names_reset(struct user_names *users)
{
    memset(users, 0, sizeof(*users));
}
