/* SPDX-License-Identifier: MIT */
/* Where the process dies when a test asks for it. */
#include "daemon/base/crash_point.h"

#ifdef MSGD_CRASH_POINTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *wanted; /* NULL: none */
static size_t n_wanted;    /* length of its name */
static _Atomic unsigned long n_left;

static void read_wanted(void)
{
    const char *text = getenv("MSGD_CRASH");
    const char *colon = text != NULL ? strrchr(text, ':') : NULL;

    if (colon == NULL)
        return;
    n_left = strtoul(colon + 1, NULL, 10);
    n_wanted = (size_t)(colon - text);
    wanted = n_left > 0 ? text : NULL;
}

void crash_point(const char *name)
{
    pthread_once(&once, read_wanted);
    if (wanted == NULL || strlen(name) != n_wanted || strncmp(name, wanted, n_wanted) != 0)
        return;
    if (atomic_fetch_sub(&n_left, 1) == 1)
        raise(SIGKILL);
}

#endif
