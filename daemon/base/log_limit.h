/* SPDX-License-Identifier: MIT */
/* A bound on log lines that others can cause. */
#ifndef MSGD_DAEMON_BASE_LOG_LIMIT_H
#define MSGD_DAEMON_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed to begin with. */
struct log_limit {
    int64_t window_began_ns;
    uint32_t n_logged;
    uint32_t n_suppressed;
};

/*
 * May one more line be logged now (any clock that only grows)? At most 20 in 10 s. *suppressed: how
 * many lines were kept back since the last one that was not, to be said with it.
 */
bool log_limit_allows(struct log_limit *limit, int64_t now_ns, uint32_t *suppressed);

#endif
