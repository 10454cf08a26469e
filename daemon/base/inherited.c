/* SPDX-License-Identifier: MIT */
/* Descriptors that whoever started msgd passed. */
#include "daemon/base/inherited.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static void free_names(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}

int inherited_read(struct inherited *out)
{
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);

    *out = (struct inherited){0};
    if (n < 0)
        return error_trace(n, "cannot read which descriptors were passed");
    if (n == 0)
        return 0;
    out->fds = calloc((size_t)n, sizeof(out->fds[0]));
    if (!out->fds) {
        free_names(names);
        return -ENOMEM;
    }
    out->names = names;
    out->n = (size_t)n;
    for (int i = 0; i < n; i++)
        out->fds[i] = SD_LISTEN_FDS_START + i;
    return 0;
}

void inherited_deinit(struct inherited *i)
{
    for (size_t k = 0; k < i->n; k++)
        if (i->fds[k] >= 0)
            close(i->fds[k]);
    free(i->fds);
    free_names(i->names);
    *i = (struct inherited){0};
}

int inherited_take(struct inherited *i, const char *prefix)
{
    for (size_t k = 0; k < i->n; k++) {
        int fd = i->fds[k];

        if (fd < 0 || strncmp(i->names[k], prefix, strlen(prefix)) != 0)
            continue;
        i->fds[k] = -1;
        return fd;
    }
    return -ENOENT;
}
