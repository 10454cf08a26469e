/* SPDX-License-Identifier: MIT */
/* User and group ids, resolved. */
#include "daemon/core/principals.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(sizeof(uid_t) == sizeof(gid_t), "one set of helpers serves both");

bool credentials_has_group(const struct credentials *c, gid_t gid)
{
    if (c->gid == gid)
        return true;
    for (size_t i = 0; i < c->n_groups; i++) {
        if (c->groups[i] == gid)
            return true;
    }
    return false;
}

void principals_deinit(struct principals *p)
{
    free(p->uids);
    free(p->gids);
    *p = (struct principals){0};
}

static int copy_ids(const uid_t *ids, size_t n, uid_t **out)
{
    *out = NULL;
    if (n == 0)
        return 0;
    *out = calloc(n, sizeof(ids[0]));
    if (!*out)
        return -ENOMEM;
    memcpy(*out, ids, n * sizeof(ids[0]));
    return 0;
}

int principals_copy(const struct principals *p, struct principals *out)
{
    struct principals copy = {.n_uids = p->n_uids, .n_gids = p->n_gids};

    if (copy_ids(p->uids, p->n_uids, &copy.uids) < 0 ||
        copy_ids(p->gids, p->n_gids, &copy.gids) < 0) {
        principals_deinit(&copy);
        return -ENOMEM;
    }
    *out = copy;
    return 0;
}

bool principals_is_empty(const struct principals *p)
{
    return p->n_uids == 0 && p->n_gids == 0;
}

bool principals_contains(const struct principals *p, const struct credentials *c)
{
    for (size_t i = 0; i < p->n_uids; i++) {
        if (p->uids[i] == c->uid)
            return true;
    }
    for (size_t i = 0; i < p->n_gids; i++) {
        if (credentials_has_group(c, p->gids[i]))
            return true;
    }
    return false;
}

static bool same_ids(const uid_t *a, const uid_t *b, size_t n)
{
    return n == 0 || memcmp(a, b, n * sizeof(a[0])) == 0;
}

bool principals_equal(const struct principals *a, const struct principals *b)
{
    return a->n_uids == b->n_uids && a->n_gids == b->n_gids &&
           same_ids(a->uids, b->uids, a->n_uids) && same_ids(a->gids, b->gids, a->n_gids);
}
