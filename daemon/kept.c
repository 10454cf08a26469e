/* SPDX-License-Identifier: MIT */
/* What the daemon has beside itself. */
#include "daemon/kept.h"

#include "daemon/config/config.h"
#include "daemon/store/stash.h"
#include "daemon/store/store.h"
#include "daemon/successor.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The directory and those above it. */
static int make_directories(const char *directory)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/", directory) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

int kept_open_store(struct kept *kept, const struct config *config)
{
    struct store_options options = {.directory = config->state_directory,
                                    .max_bytes = config->limits.spool_bytes,
                                    .min_free_bytes = config->limits.spool_free_bytes};
    int r = make_directories(config->state_directory);

    if (r < 0)
        return error_trace(r, "cannot make the state directory %s (see --state)",
                           config->state_directory);
    r = store_open(&kept->store, &options);
    if (r == -EBUSY)
        return KEPT_IS_BUSY;
    return r == -EPROTONOSUPPORT ? KEPT_UNKNOWN_VERSION : r;
}

static int open_stash(struct kept *kept, struct successor *successor)
{
    size_t n_ends = successor->n_ends;

    if (!successor->is_one)
        return stash_open(&kept->stash, &kept->inherited);
    successor->n_ends = 0;
    return stash_open_ends(&kept->stash, successor->ends, n_ends);
}

int kept_open(struct kept *out, struct successor *successor)
{
    int r;

    *out = (struct kept){0};
    r = inherited_read(&out->inherited);
    if (r == 0)
        r = open_stash(out, successor);
    return r == STASH_UNKNOWN_VERSION ? KEPT_UNKNOWN_VERSION : r;
}

void kept_close(struct kept *kept)
{
    kept->store = store_stop(kept->store);
    kept->stash = stash_close(kept->stash);
    inherited_deinit(&kept->inherited);
}
