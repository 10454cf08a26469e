/* SPDX-License-Identifier: MIT */
/* A bound on log lines that others can cause. */
#include "daemon/base/log_limit.h"

#define WINDOW_NS        INT64_C(10000000000)
#define LINES_PER_WINDOW 20

bool log_limit_allows(struct log_limit *limit, int64_t now_ns, uint32_t *suppressed)
{
    *suppressed = 0;
    if (limit->n_logged == 0 || now_ns - limit->window_began_ns >= WINDOW_NS) {
        limit->window_began_ns = now_ns;
        limit->n_logged = 0;
    }
    if (limit->n_logged >= LINES_PER_WINDOW) {
        limit->n_suppressed++;
        return false;
    }
    limit->n_logged++;
    *suppressed = limit->n_suppressed;
    limit->n_suppressed = 0;
    return true;
}
