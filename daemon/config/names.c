/* SPDX-License-Identifier: MIT */
/* Names of users and groups to ids. */
#include "daemon/config/names.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define FIRST_ROOM 1024u
#define MAX_ROOM   (1024u * 1024u) /* a group's members may fill a large part of it */

/* All digits, and not the id that stands for none. */
static bool parse_id(const char *text, uint32_t *id)
{
    uint64_t value = 0;

    for (const char *at = text; *at; at++) {
        if (!isdigit((unsigned char)*at))
            return false;
        value = value * 10 + (uint64_t)(*at - '0');
        if (value >= UINT32_MAX)
            return false;
    }
    *id = (uint32_t)value;
    return *text != '\0';
}

/* One try with so much room: 0, -ENOENT, -ERANGE (more room), or the error. */
typedef int (*lookup)(const char *name, char *room, size_t n_room, uint32_t *id);

static int look_up_user(const char *name, char *room, size_t n_room, uint32_t *id)
{
    struct passwd entry, *found = NULL;
    int error = getpwnam_r(name, &entry, room, n_room, &found);

    if (found)
        *id = found->pw_uid;
    return found ? 0 : -error;
}

static int look_up_group(const char *name, char *room, size_t n_room, uint32_t *id)
{
    struct group entry, *found = NULL;
    int error = getgrnam_r(name, &entry, room, n_room, &found);

    if (found)
        *id = found->gr_gid;
    return found ? 0 : -error;
}

static int find(const char *text, lookup look_up, uint32_t *id)
{
    int error = -ERANGE;
    bool is_found = false;

    if (parse_id(text, id))
        return 0;
    for (size_t n_room = FIRST_ROOM; error == -ERANGE && n_room <= MAX_ROOM; n_room *= 4) {
        char *room = malloc(n_room);

        if (!room)
            return -ENOMEM;
        *id = UINT32_MAX;
        error = look_up(text, room, n_room, id);
        is_found = error == 0 && *id != UINT32_MAX;
        free(room);
    }
    if (is_found)
        return 0;
    /* What getpwnam(3) lists as "not found" in one implementation or another. */
    if (error == 0 || error == -ENOENT || error == -ESRCH || error == -EBADF || error == -EPERM)
        return -ENOENT;
    return error;
}

int names_find_user(const char *text, uid_t *out)
{
    uint32_t id = 0;
    int error = find(text, look_up_user, &id);

    *out = id;
    return error;
}

int names_find_group(const char *text, gid_t *out)
{
    uint32_t id = 0;
    int error = find(text, look_up_group, &id);

    *out = id;
    return error;
}
